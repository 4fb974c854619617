CREATE TABLE project (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'),
    created_at TEXT NOT NULL,
    app_version TEXT NOT NULL
) STRICT;

CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL,  -- empty when the file could not be read at all
    path TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    page_count INTEGER NOT NULL,
    passage_count INTEGER NOT NULL,
    warnings TEXT NOT NULL,
    metadata TEXT NOT NULL,
    outline TEXT NOT NULL,
    passage_size INTEGER NOT NULL,
    overlap INTEGER NOT NULL,
    added_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX documents_by_sha256 ON documents (sha256) WHERE sha256 <> '';

CREATE TABLE pages (
    id INTEGER PRIMARY KEY,
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    number INTEGER NOT NULL,
    label TEXT NOT NULL,
    width REAL NOT NULL,
    height REAL NOT NULL,
    warnings TEXT NOT NULL,
    furniture TEXT NOT NULL,
    text TEXT NOT NULL,
    words BLOB NOT NULL,
    UNIQUE (document_id, number)
) STRICT;

CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    section TEXT NOT NULL,
    parts TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (document_id, ordinal)
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    reason TEXT NOT NULL,
    model_path TEXT NOT NULL,
    model_name TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    quantisation TEXT NOT NULL,
    prompt_style TEXT NOT NULL,
    prompt_version TEXT NOT NULL,
    prompts TEXT NOT NULL,
    settings TEXT NOT NULL,
    seed INTEGER NOT NULL,
    app_version TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    usage TEXT NOT NULL
) STRICT;

CREATE TABLE examples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs,
    passage_id INTEGER NOT NULL REFERENCES passages,
    slot INTEGER NOT NULL,
    document_id INTEGER NOT NULL REFERENCES documents,
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    rating INTEGER NOT NULL,  -- 0: not rated
    attempts INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    edited_at TEXT NOT NULL,  -- empty: never edited
    reason TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    choices TEXT NOT NULL,
    draft_question TEXT NOT NULL,
    draft_answer TEXT NOT NULL,
    draft_choices TEXT NOT NULL,
    UNIQUE (run_id, passage_id, slot)
) STRICT;
CREATE INDEX examples_by_state ON examples (state);
CREATE INDEX examples_by_kind ON examples (kind);
CREATE INDEX examples_by_rating ON examples (rating);
CREATE INDEX examples_by_document ON examples (document_id);
CREATE INDEX examples_by_state_and_kind ON examples (state, kind);
CREATE INDEX examples_by_state_and_rating ON examples (state, rating);
CREATE INDEX examples_by_state_and_document ON examples (state, document_id);
CREATE INDEX examples_by_passage ON examples (passage_id);

-- What the search looks through, narrow so that 100,000 rows are scanned in milliseconds; UTF-8 as bytes, in which
-- instr() is three times as fast as in text.
CREATE TABLE folded (
    example_id INTEGER PRIMARY KEY REFERENCES examples ON DELETE CASCADE,
    text BLOB NOT NULL
) STRICT;

CREATE TABLE evidence (
    example_id INTEGER PRIMARY KEY REFERENCES examples ON DELETE CASCADE,
    page INTEGER NOT NULL,
    start INTEGER NOT NULL,
    stop INTEGER NOT NULL,
    rectangles TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE checks (
    example_id INTEGER NOT NULL REFERENCES examples ON DELETE CASCADE,
    name TEXT NOT NULL,
    passed INTEGER NOT NULL,
    score REAL,
    detail TEXT NOT NULL,
    PRIMARY KEY (example_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX checks_failed ON checks (name, example_id) WHERE passed = 0;

CREATE TABLE discards (
    run_id INTEGER NOT NULL REFERENCES runs,
    passage_id INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run_id, passage_id, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX discards_by_passage ON discards (passage_id);

-- The undo log, which is the history of reviews too: what the user did, and each value it changed.
CREATE TABLE actions (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    label TEXT NOT NULL,
    undone INTEGER NOT NULL
) STRICT;

CREATE TABLE changes (
    action_id INTEGER NOT NULL REFERENCES actions ON DELETE CASCADE,
    example_id INTEGER NOT NULL REFERENCES examples ON DELETE CASCADE,
    field TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    PRIMARY KEY (action_id, example_id, field)
) STRICT, WITHOUT ROWID;
CREATE INDEX changes_by_example ON changes (example_id);
