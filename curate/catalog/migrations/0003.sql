-- From version 2 to 3: what candidates share is said once; one index for what is pending.
CREATE TABLE shared_meta (
    id INTEGER PRIMARY KEY,
    meta TEXT NOT NULL,               -- JSON object of texts that several candidates share
    shared_id INTEGER REFERENCES shared_meta (id) -- what it shares with others; NULL: nothing
);

ALTER TABLE candidates ADD COLUMN shared_id INTEGER REFERENCES shared_meta (id);

CREATE VIEW whole_meta AS             -- all that a source says of a candidate, as one object
SELECT candidates.id AS candidate_id, CASE WHEN candidates.shared_id IS NULL THEN candidates.meta
    ELSE json_patch(json_patch(COALESCE(far.meta, '{}'), near.meta), COALESCE(candidates.meta, '{}'))
    END AS whole
FROM candidates LEFT JOIN shared_meta AS near ON near.id = candidates.shared_id
LEFT JOIN shared_meta AS far ON far.id = near.shared_id;

DROP INDEX candidates_pending;
DROP INDEX candidates_state;
CREATE INDEX candidates_state ON candidates (state);
CREATE INDEX candidates_reason ON candidates (reason, state) WHERE reason IS NOT NULL;
