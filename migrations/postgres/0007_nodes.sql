-- Workers: nodes on other machines, how they join, and how new tenants are placed.
-- The other dialect's file says the same: change both.

-- `host` is what devices connect to; the local node has none, its host is a setting.
-- `tenants` is the number of rows of `users`, which placement orders the nodes by.
-- A removed node keeps its row, without its name: events name it, and its id is never
-- given twice. `previous_serial` is a certificate's that was renewed until the new one is
-- used, because the answer may have been lost. `public_key` is base64 of the
-- SubjectPublicKeyInfo (RFC 5280, 4.1.2.7).
ALTER TABLE nodes ADD COLUMN host TEXT;
ALTER TABLE nodes ADD COLUMN state TEXT NOT NULL DEFAULT 'open'
    CHECK (state IN ('open', 'closed', 'revoked', 'removed'));
ALTER TABLE nodes ADD COLUMN tenants BIGINT NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN certificate_serial TEXT;
ALTER TABLE nodes ADD COLUMN previous_serial TEXT;
ALTER TABLE nodes ADD COLUMN certificate_expires BIGINT;
ALTER TABLE nodes ADD COLUMN public_key TEXT;
ALTER TABLE nodes ADD COLUMN joined_at BIGINT;
ALTER TABLE nodes ADD COLUMN last_heard BIGINT;
ALTER TABLE nodes ADD COLUMN version TEXT;
UPDATE nodes SET tenants = (SELECT COUNT(*) FROM users WHERE users.node_id = nodes.id);

-- Join tokens: with each, one machine becomes a node. Only the hash is stored. `node_id`
-- is the node that joined with it or, before that, the one that may join again.
CREATE TABLE node_tokens (
    id          TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT,
    node_id     BIGINT REFERENCES nodes (id),
    created_by  TEXT NOT NULL
);
CREATE INDEX node_tokens_expires ON node_tokens (expires_at);
CREATE INDEX node_tokens_node ON node_tokens (node_id);
