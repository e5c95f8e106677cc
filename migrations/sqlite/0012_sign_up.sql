-- Sign-up: who may sign up, invitations, further reserved names, and accounts that sleep.
-- The other dialect's file says the same: change both. Who may sign up is in `settings`
-- (`sign_up`), if an operator has changed it.

-- Invitations. Only the code's hash is stored. A tenant names its invitation without a
-- reference, as it names a deleted one. `plan` is NULL where the visitor chooses one; it has
-- no reference, because an invitation does not keep a plan from being deleted.
CREATE TABLE invitations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    code_hash  TEXT NOT NULL UNIQUE,
    plan       TEXT,
    uses       INTEGER NOT NULL CHECK (uses BETWEEN 1 AND 10000),
    used       INTEGER NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND uses),
    note       TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;
CREATE INDEX invitations_expires ON invitations (expires_at);

-- Names that no tenant may have, beside those of the program.
CREATE TABLE reserved_names (
    name     TEXT PRIMARY KEY,
    added_by TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT;

-- The invitation that a tenant signed up with.
ALTER TABLE users ADD COLUMN invitation_id INTEGER;
-- Since when a tenant is awake of which no device has connected yet; NULL once one has, and
-- for tenants of earlier versions, of which that is not known.
ALTER TABLE users ADD COLUMN unused_since INTEGER;
-- Since when a tenant sleeps: it has no container until it is used.
ALTER TABLE users ADD COLUMN asleep_since INTEGER;
CREATE INDEX users_unused ON users (unused_since) WHERE unused_since IS NOT NULL;
