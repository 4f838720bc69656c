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
    limited INTEGER NOT NULL DEFAULT 0, -- those of them that a 429 answered
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

CREATE TABLE left_out_before (
    image_id TEXT PRIMARY KEY,        -- was excluded when it was taken back to be fetched again
    excluded TEXT NOT NULL,
    excluded_for TEXT
) WITHOUT ROWID;
CREATE TRIGGER images_back AFTER INSERT ON images
WHEN EXISTS (SELECT 1 FROM left_out_before WHERE image_id = NEW.image_id) BEGIN
    UPDATE images SET (excluded, excluded_for) = (SELECT excluded, excluded_for
        FROM left_out_before WHERE image_id = NEW.image_id) WHERE image_id = NEW.image_id;
    DELETE FROM left_out_before WHERE image_id = NEW.image_id;
END;

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

-- Near-duplicates. Pairs are what the search found and confirmed; groups follow from pairs
-- and decisions, and can be made again from them.

CREATE TABLE near_pairs (
    a TEXT NOT NULL,                  -- the smaller image id
    b TEXT NOT NULL,
    distance INTEGER NOT NULL,        -- differing bits of the 64-bit hash, 0-64
    distance256 INTEGER NOT NULL,     -- differing bits of the 256-bit hash, 0-256
    PRIMARY KEY (a, b)
) WITHOUT ROWID;
CREATE INDEX near_pairs_b ON near_pairs (b);

CREATE TABLE near_groups (
    image_id TEXT PRIMARY KEY,
    linked TEXT NOT NULL,             -- smallest image id that a chain of pairs leads to
    keeper TEXT NOT NULL,             -- the image kept of its group; itself for the keeper
    left_out INTEGER NOT NULL         -- 1: excluded as a near-duplicate of the keeper
) WITHOUT ROWID;
CREATE INDEX near_groups_linked ON near_groups (linked, keeper, left_out);

CREATE TABLE semantic_groups (
    image_id TEXT PRIMARY KEY,
    linked TEXT NOT NULL,             -- smallest image id that a chain of similar pairs leads to
    keeper TEXT NOT NULL,             -- the best image of its group; itself for the keeper
    cosine REAL NOT NULL              -- similarity of its embedding to the keeper's
) WITHOUT ROWID;

CREATE TABLE not_same (
    a TEXT NOT NULL,                  -- the smaller image id
    b TEXT NOT NULL,
    decided_at REAL NOT NULL,
    PRIMARY KEY (a, b)
) WITHOUT ROWID;

CREATE TABLE included (
    image_id TEXT PRIMARY KEY,        -- stays in, whatever it is like
    decided_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE dedupe_queue (
    image_id TEXT PRIMARY KEY,        -- something about it has changed since the last search
    added INTEGER NOT NULL,           -- 1: it was not compared with the others yet
    gone INTEGER NOT NULL             -- 1: an image of this id was taken back
) WITHOUT ROWID;
CREATE TRIGGER images_added AFTER INSERT ON images BEGIN
    INSERT INTO dedupe_queue VALUES (NEW.image_id, 1, 0)
        ON CONFLICT (image_id) DO UPDATE SET added = 1;
END;
CREATE TRIGGER images_gone AFTER DELETE ON images BEGIN
    INSERT INTO dedupe_queue VALUES (OLD.image_id, 0, 1)
        ON CONFLICT (image_id) DO UPDATE SET added = 0, gone = 1;
END;
CREATE TRIGGER images_excluded AFTER UPDATE OF excluded ON images
WHEN NEW.excluded IS NOT OLD.excluded BEGIN
    INSERT INTO dedupe_queue VALUES (NEW.image_id, 0, 0) ON CONFLICT (image_id) DO NOTHING;
END;

CREATE TABLE dedupe_state (
    name TEXT PRIMARY KEY,            -- `settings` of the last search; `cache`, its token
    value TEXT NOT NULL
) WITHOUT ROWID;
