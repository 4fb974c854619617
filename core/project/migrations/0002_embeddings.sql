-- The vectors of texts, so that none is computed twice: 16-bit floating-point numbers, little-endian, of length one.
CREATE TABLE embeddings (
    id INTEGER PRIMARY KEY,
    model_sha256 TEXT NOT NULL,
    text_sha256 TEXT NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (model_sha256, text_sha256)
) STRICT;
