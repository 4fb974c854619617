-- Rationales beside answers, scores beside checks, picks beside datasets, and passages that are not asked about.
ALTER TABLE examples ADD COLUMN rationale TEXT NOT NULL DEFAULT '[]';
ALTER TABLE examples ADD COLUMN rationale_draft INTEGER NOT NULL DEFAULT 0;  -- the rationale it comes from; 0: none
ALTER TABLE examples ADD COLUMN rejected TEXT NOT NULL DEFAULT '';  -- an answer that is known to be worse
ALTER TABLE examples ADD COLUMN origin TEXT NOT NULL DEFAULT '{}';  -- what an imported row says of itself
CREATE INDEX examples_with_rationale ON examples (id) WHERE rationale <> '[]';

-- Rationales as they were drafted; what became of them is in the examples.
CREATE TABLE rationales (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs,
    example_id INTEGER NOT NULL REFERENCES examples,
    slot INTEGER NOT NULL,
    instruction TEXT NOT NULL,
    steps TEXT NOT NULL,
    UNIQUE (run_id, example_id, slot)
) STRICT;
CREATE INDEX rationales_by_example ON rationales (example_id);

-- What runs of a model found of examples, figure by figure; the newest run counts.
CREATE TABLE scores (
    run_id INTEGER NOT NULL REFERENCES runs,
    example_id INTEGER NOT NULL REFERENCES examples,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (run_id, example_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX scores_by_name ON scores (name, example_id, run_id);

CREATE TABLE passage_marks (
    passage_id INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE,
    label INTEGER,  -- a person's: 1 worth asking about, 0 not
    value REAL,  -- the probability that it is worth it, as the filter has it
    set_aside INTEGER NOT NULL
) STRICT;

CREATE TABLE picks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    recipe TEXT NOT NULL,
    size INTEGER NOT NULL
) STRICT;

CREATE TABLE pick_rows (
    pick_id INTEGER NOT NULL REFERENCES picks ON DELETE CASCADE,
    baseline INTEGER NOT NULL,  -- 1: of the random selection beside it
    ordinal INTEGER NOT NULL,
    example_id INTEGER NOT NULL REFERENCES examples,
    reason TEXT NOT NULL,
    PRIMARY KEY (pick_id, baseline, ordinal)
) STRICT, WITHOUT ROWID;

-- 0: trained on, 1: looked at while training (validation), 2: left for the end (test).
ALTER TABLE dataset_rows RENAME COLUMN held_out TO split;
ALTER TABLE datasets ADD COLUMN test INTEGER NOT NULL DEFAULT 0;
