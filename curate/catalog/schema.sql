-- The catalog, version 3. Times are Unix seconds UTC; sizes are bytes; sides are pixels.
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
    shared_id INTEGER REFERENCES shared_meta (id), -- what it shares with others; NULL: nothing
    UNIQUE (source, source_id)
);
CREATE INDEX candidates_state ON candidates (state);
CREATE INDEX candidates_reason ON candidates (reason, state) WHERE reason IS NOT NULL;
CREATE INDEX candidates_due ON candidates (due_at) WHERE state = 'pending' AND due_at > 0;
CREATE INDEX candidates_image ON candidates (image_id) WHERE image_id IS NOT NULL;

CREATE TABLE common_meta (
    id INTEGER PRIMARY KEY,           -- from the SHA-256 of meta: the same text is the same row
    meta TEXT NOT NULL                -- JSON object of texts that rows of shared_meta share
);

CREATE TABLE shared_meta (
    id INTEGER PRIMARY KEY,
    meta TEXT NOT NULL,               -- JSON object of texts that several candidates share
    common_id INTEGER REFERENCES common_meta (id) -- what it shares in turn; NULL: nothing
);

CREATE VIEW whole_meta AS             -- all that a source says of a candidate, as one object
SELECT candidates.id AS candidate_id, CASE WHEN candidates.shared_id IS NULL THEN candidates.meta
    ELSE json_patch(json_patch(COALESCE(common_meta.meta, '{}'), shared_meta.meta),
        COALESCE(candidates.meta, '{}')) END AS whole
FROM candidates LEFT JOIN shared_meta ON shared_meta.id = candidates.shared_id
LEFT JOIN common_meta ON common_meta.id = common_id;

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

CREATE TABLE disputes (
    candidate_id INTEGER NOT NULL REFERENCES candidates (id), -- was offered with other classes
    search_id INTEGER NOT NULL REFERENCES searches (id),      -- by the same search
    PRIMARY KEY (candidate_id, search_id)
) WITHOUT ROWID;

-- People. The ledger only grows: nothing in it is ever changed or deleted.

CREATE TABLE annotations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    key TEXT NOT NULL UNIQUE,         -- made where it was decided: sent twice, it is one row
    kind TEXT NOT NULL,               -- label, reject, unsure, undo or rename
    image_id TEXT,                    -- NULL for a rename
    annotator TEXT NOT NULL,
    classes TEXT,                     -- JSON list; []: none of them; of a rename: from and to
    undoes TEXT,                      -- of an undo: the key of what it takes back
    shown TEXT,                       -- JSON list of the classes proposed to the person; NULL: none
    shown_score REAL,                 -- score of that proposal, 0-1
    shown_by TEXT,                    -- SHA-256 of the model that proposed, or source or query
    tool TEXT NOT NULL,               -- audit, labelme or import
    queue TEXT NOT NULL DEFAULT '',   -- the queue it came from
    mode TEXT NOT NULL DEFAULT '',    -- how: one by one, with the rest of a page, without proposal
    seconds REAL,                     -- time the person took for it
    decided_at REAL NOT NULL
);
CREATE INDEX annotations_image ON annotations (image_id) WHERE image_id IS NOT NULL;
CREATE INDEX annotations_undoes ON annotations (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX annotations_general ON annotations (id) WHERE image_id IS NULL;
CREATE TRIGGER annotations_fixed BEFORE UPDATE ON annotations BEGIN
    SELECT RAISE(ABORT, 'annotations are never changed');
END;
CREATE TRIGGER annotations_kept BEFORE DELETE ON annotations BEGIN
    SELECT RAISE(ABORT, 'annotations are never deleted');
END;
CREATE TRIGGER annotations_added AFTER INSERT ON annotations
WHEN EXISTS (SELECT 1 FROM images WHERE image_id = NEW.image_id) BEGIN
    INSERT INTO dedupe_queue VALUES (NEW.image_id, 0, 0) ON CONFLICT (image_id) DO NOTHING;
END;

CREATE TABLE decisions (
    image_id TEXT NOT NULL,
    annotator TEXT NOT NULL,
    annotation_id INTEGER NOT NULL REFERENCES annotations (id), -- the newest in force
    PRIMARY KEY (image_id, annotator)
) WITHOUT ROWID;
CREATE INDEX decisions_annotator ON decisions (annotator);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,            -- SHA-256 of the secret in a browser's cookie
    annotator TEXT NOT NULL,
    began_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE assignments (
    image_id TEXT NOT NULL,
    annotator TEXT NOT NULL,
    queue TEXT NOT NULL,
    given_at REAL NOT NULL,
    PRIMARY KEY (image_id, annotator, queue)
) WITHOUT ROWID;
CREATE INDEX assignments_annotator ON assignments (annotator, queue);

CREATE TABLE class_lists (
    version INTEGER PRIMARY KEY,
    names TEXT NOT NULL,              -- JSON list, in the order they are shown
    exclusive INTEGER NOT NULL,       -- 1: an image has one class
    after_id INTEGER NOT NULL,        -- the newest annotation then: later renames apply to it
    made_at REAL NOT NULL
);

-- Models, and what they say.

CREATE TABLE models (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,      -- of the model's file
    name TEXT NOT NULL,               -- the file's name
    classes TEXT NOT NULL,            -- JSON list of the classes that it proposes
    exclusive INTEGER NOT NULL,       -- 1: one class each
    settings TEXT NOT NULL,           -- JSON object: preset, map, thresholds
    added_at REAL NOT NULL
);

CREATE TABLE proposals (
    image_id TEXT NOT NULL,
    model_id INTEGER NOT NULL REFERENCES models (id),
    classes TEXT NOT NULL,            -- JSON list of the classes proposed; may be empty
    score REAL NOT NULL,              -- confidence in them, 0-1
    scores TEXT NOT NULL,             -- JSON object: class to score, the best first
    made_at REAL NOT NULL,
    PRIMARY KEY (image_id, model_id)
) WITHOUT ROWID;
CREATE INDEX proposals_model ON proposals (model_id);

CREATE TABLE trainings (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL UNIQUE,       -- SHA-256 of the file that came out
    path TEXT NOT NULL,               -- where it was written
    backbone TEXT NOT NULL,           -- the file that gave the embeddings
    preset TEXT,                      -- how it wanted pixels; NULL: as it says itself
    embeddings TEXT NOT NULL,         -- name of its embeddings in the cache
    size INTEGER NOT NULL,            -- numbers in one embedding
    held_out TEXT NOT NULL,           -- JSON: how good the model was on held-out folds
    trained_at REAL NOT NULL
);

CREATE TABLE training_images (
    training_id INTEGER NOT NULL REFERENCES trainings (id),
    image_id TEXT NOT NULL,
    PRIMARY KEY (training_id, image_id)
) WITHOUT ROWID;

CREATE TABLE queues (
    queue TEXT NOT NULL,              -- uncertain, suspects, disagreements, different, random, …
    image_id TEXT NOT NULL,
    place INTEGER NOT NULL,           -- the first is the most urgent
    suggested TEXT,                   -- JSON list of classes, if it has another opinion
    score REAL,                       -- what it was ordered by
    blind INTEGER NOT NULL DEFAULT 0, -- 1: shown without proposal
    PRIMARY KEY (queue, image_id)
) WITHOUT ROWID;
CREATE INDEX queues_place ON queues (queue, place);
CREATE INDEX queues_blind ON queues (image_id) WHERE blind = 1;

-- What must be cited.

CREATE TABLE citations (
    source TEXT NOT NULL,
    key TEXT NOT NULL,                -- e.g. the key of a GBIF download
    doi TEXT,
    text TEXT NOT NULL,               -- the citation, as it is to be printed
    PRIMARY KEY (source, key)
) WITHOUT ROWID;

CREATE TABLE downloads (
    key TEXT PRIMARY KEY,             -- GBIF's name of the download
    predicate TEXT NOT NULL,          -- JSON of what was asked
    status TEXT NOT NULL,             -- GBIF's word
    doi TEXT,
    n_bytes INTEGER,
    n_records INTEGER,
    requested_at REAL NOT NULL
) WITHOUT ROWID;

-- What of the long tail is fetched, and in which order.

CREATE TABLE minimums (
    class_id INTEGER PRIMARY KEY REFERENCES classes (id),
    minimum INTEGER NOT NULL          -- with fewer candidates nothing of the class is fetched
);

CREATE TABLE turns (
    class_id INTEGER NOT NULL REFERENCES classes (id),
    place INTEGER NOT NULL,           -- the first is taken first
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    PRIMARY KEY (class_id, place)
) WITHOUT ROWID;

-- Datasets that were imported with their splits.

CREATE TABLE given_splits (
    candidate_id INTEGER NOT NULL REFERENCES candidates (id),
    search_id INTEGER NOT NULL REFERENCES searches (id), -- the import that says so
    split TEXT NOT NULL,              -- train, val or test
    PRIMARY KEY (candidate_id, search_id)
) WITHOUT ROWID;
