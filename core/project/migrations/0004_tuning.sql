-- What models are tuned on, frozen: examples may be changed and files may go, and it is still known.
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    sha256 TEXT NOT NULL UNIQUE,  -- of its rows
    recipe TEXT NOT NULL,
    size INTEGER NOT NULL,
    held_out INTEGER NOT NULL
) STRICT;

CREATE TABLE dataset_rows (
    dataset_id INTEGER NOT NULL REFERENCES datasets ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    example_id INTEGER,  -- the example it was, if it was one
    held_out INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (dataset_id, ordinal)
) STRICT, WITHOUT ROWID;

-- The curve of a tuning run. Step 0 is before the first: it has no loss of its own.
CREATE TABLE tuning_steps (
    run_id INTEGER NOT NULL REFERENCES runs,
    step INTEGER NOT NULL,
    epoch REAL NOT NULL,
    loss REAL,
    learning_rate REAL NOT NULL,
    gradient REAL NOT NULL,
    tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    memory INTEGER NOT NULL,
    held_out REAL,  -- the loss on what was held out, where it was reckoned
    accuracy REAL,
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE tuning_samples (
    run_id INTEGER NOT NULL REFERENCES runs,
    step INTEGER NOT NULL,
    prompt INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run_id, step, prompt)
) STRICT, WITHOUT ROWID;

CREATE TABLE adapters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES runs,
    name TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL,
    step INTEGER NOT NULL,
    best_loss REAL,
    rank INTEGER NOT NULL,
    alpha REAL NOT NULL,
    scale REAL NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    path TEXT NOT NULL,  -- its name in the folder beside the project; empty: it is in `content`
    content BLOB
) STRICT;
