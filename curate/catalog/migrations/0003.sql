-- From version 2 to 3: what candidates share is said once; one index for what is pending.
CREATE TABLE common_meta (
    id INTEGER PRIMARY KEY,           -- from the SHA-256 of meta: the same text is the same row
    meta TEXT NOT NULL                -- JSON object of texts that rows of shared_meta share
);

CREATE TABLE shared_meta (
    id INTEGER PRIMARY KEY,
    meta TEXT NOT NULL,               -- JSON object of texts that several candidates share
    common_id INTEGER REFERENCES common_meta (id) -- what it shares in turn; NULL: nothing
);

ALTER TABLE candidates ADD COLUMN shared_id INTEGER REFERENCES shared_meta (id);

CREATE VIEW whole_meta AS             -- all that a source says of a candidate, as one object
SELECT candidates.id AS candidate_id, CASE WHEN candidates.shared_id IS NULL THEN candidates.meta
    ELSE json_patch(json_patch(COALESCE(common_meta.meta, '{}'), shared_meta.meta),
        COALESCE(candidates.meta, '{}')) END AS whole
FROM candidates LEFT JOIN shared_meta ON shared_meta.id = candidates.shared_id
LEFT JOIN common_meta ON common_meta.id = common_id;

DROP INDEX candidates_pending;
DROP INDEX candidates_state;
CREATE INDEX candidates_state ON candidates (state);
CREATE INDEX candidates_reason ON candidates (reason, state) WHERE reason IS NOT NULL;
