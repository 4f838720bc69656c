-- The catalog, version 1. Times are Unix seconds UTC; sizes are bytes; sides are pixels.
-- Migrations to later versions are in migrations/NNNN.sql and end in this same shape.

CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    request TEXT NOT NULL,            -- JSON of what was asked: text, classes, parameters
    query TEXT NOT NULL DEFAULT '',   -- the search text
    cursor TEXT,                      -- where the search goes on; NULL at its start
    done INTEGER NOT NULL DEFAULT 0,  -- 1: the source has nothing more
    wanted INTEGER,                   -- candidates asked for at most; NULL: all
    given INTEGER NOT NULL DEFAULT 0, -- candidates that its pages held, known ones included
    total INTEGER,                    -- what the source says it has, if it does
    skipped TEXT NOT NULL DEFAULT '{}', -- JSON: rows that gave no candidate, by reason
    created_at REAL NOT NULL,
    UNIQUE (source, request)
);

CREATE TABLE classes (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,        -- '' stands for "none of the classes"
    quota INTEGER                     -- valid, distinct images to fetch; NULL: all
);

CREATE TABLE candidates (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    search_id INTEGER NOT NULL REFERENCES searches (id),
    url TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    reason TEXT,                      -- of the last failure, also while pending
    detail TEXT,
    http_status INTEGER,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL DEFAULT 0,   -- not tried again before
    image_id TEXT,
    group_hint TEXT,
    page_url TEXT,
    author TEXT,
    license TEXT,
    license_url TEXT,
    rights_holder TEXT,
    attribution TEXT,
    meta TEXT,                        -- JSON object of texts
    UNIQUE (source, source_id)
);
CREATE INDEX candidates_pending ON candidates (id) WHERE state = 'pending';
CREATE INDEX candidates_due ON candidates (due_at) WHERE state = 'pending' AND due_at > 0;
CREATE INDEX candidates_state ON candidates (state, reason);
CREATE INDEX candidates_image ON candidates (image_id) WHERE image_id IS NOT NULL;

CREATE TABLE hints (
    class_id INTEGER NOT NULL REFERENCES classes (id),
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    search_id INTEGER NOT NULL REFERENCES searches (id),
    PRIMARY KEY (class_id, candidate_id, search_id)
) WITHOUT ROWID;
CREATE INDEX hints_candidate ON hints (candidate_id);

CREATE TABLE images (
    image_id TEXT PRIMARY KEY,        -- SHA-256 of the bytes
    first_id INTEGER NOT NULL REFERENCES candidates (id), -- the first candidate with these bytes
    format TEXT NOT NULL,
    n_bytes INTEGER NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    orientation INTEGER NOT NULL,
    phash INTEGER NOT NULL,           -- the unsigned 64 bits, as a signed integer
    phash256 BLOB NOT NULL,
    brightness REAL NOT NULL,
    contrast REAL NOT NULL,
    sharpness REAL NOT NULL,
    entropy REAL NOT NULL,
    note TEXT,
    fetched_at REAL NOT NULL,
    excluded TEXT,                    -- why a dataset leaves it out; NULL: it is kept
    excluded_for TEXT                 -- the image kept in its place, if one is
) WITHOUT ROWID;
CREATE INDEX images_excluded ON images (image_id) WHERE excluded IS NOT NULL;

CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    paused_until REAL NOT NULL,
    why TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE pings (
    url TEXT PRIMARY KEY,             -- download_location of an image that was stored
    sent_at REAL                      -- NULL: still to be sent
) WITHOUT ROWID;

CREATE TABLE notices (
    name TEXT PRIMARY KEY,            -- what the user has been told once, e.g. a source's terms
    told_at REAL NOT NULL
) WITHOUT ROWID;
