-- Several operators with roles, the links by which they choose a password, and what the audit
-- log says beyond who did what.
-- The other dialect's file says the same: change both.

-- Operators from before there were roles may do everything, as before.
ALTER TABLE operators ADD COLUMN role TEXT NOT NULL DEFAULT 'owner'
    CHECK (role IN ('read-only', 'support', 'owner'));
CREATE INDEX operators_role ON operators (role, id);

-- One-time links by which an operator chooses a password. Only the hash is kept. A link with a
-- name makes an operator of that name and role; one without makes the first, who chooses a name.
CREATE TABLE operator_links (
    token_hash TEXT PRIMARY KEY,
    name       TEXT UNIQUE,
    role       TEXT NOT NULL CHECK (role IN ('read-only', 'support', 'owner')),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- `origin` is the prefix of the client's address, empty where there is no client. `before`
-- and `after` are the changed values, without secrets.
ALTER TABLE audit_log ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_log ADD COLUMN before TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_log ADD COLUMN after TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_log_actor ON audit_log (actor, id);
CREATE INDEX audit_log_action ON audit_log (action, id);
