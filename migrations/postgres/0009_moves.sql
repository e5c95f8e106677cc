-- Moving tenants from one node to another.
-- The other dialect's file says the same: change both.

-- Counts a tenant's moves.
ALTER TABLE users ADD COLUMN placement BIGINT NOT NULL DEFAULT 0;

-- Moves that are still to be carried out. `to_node` is NULL where any node will do.
-- `problem` says as JSON why the last attempt failed; the next is not before `retry_at`.
CREATE TABLE moves (
    user_id   BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    from_node BIGINT NOT NULL REFERENCES nodes (id),
    to_node   BIGINT REFERENCES nodes (id),
    reason    TEXT NOT NULL CHECK (reason IN ('move', 'drain', 'lose')),
    actor     TEXT NOT NULL,
    begun_at  BIGINT NOT NULL,
    retry_at  BIGINT NOT NULL,
    problem   TEXT
);
CREATE INDEX moves_from ON moves (from_node);
CREATE INDEX moves_retry ON moves (retry_at);

-- What stays on a node of a tenant that has moved away: its folder until `kept_until`,
-- and its slot, so that its port can be forwarded to the new node, if the node has an
-- address, until `forward_until`. `user_id` is NULL once the tenant is deleted.
CREATE TABLE moved_tenants (
    node_id       BIGINT NOT NULL REFERENCES nodes (id),
    slot          BIGINT NOT NULL CHECK (slot BETWEEN 1 AND 1000),
    user_id       BIGINT REFERENCES users (id) ON DELETE SET NULL,
    forward_to    TEXT,
    forward_until BIGINT NOT NULL,
    kept_until    BIGINT NOT NULL,
    PRIMARY KEY (node_id, slot)
);
CREATE INDEX moved_tenants_user ON moved_tenants (user_id);
