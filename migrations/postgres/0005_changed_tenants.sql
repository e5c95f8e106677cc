-- At which of its node's generations a tenant, or a device of it, changed last:
-- a node that knows all up to there reads only what came since.
-- The other dialect's file says the same: change both.
ALTER TABLE users ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
CREATE INDEX users_generation ON users (node_id, generation);
