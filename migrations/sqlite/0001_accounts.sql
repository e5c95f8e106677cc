-- Accounts: nodes, plans, tenants (`users`), operators, tickets, sessions, the
-- audit log. Times are milliseconds since 1970 (UTC); truth values are 0 and 1;
-- "sealed" is text of the store's sealer, never a key in the clear.
-- The other dialect's file says the same: change both.

-- What the installation remembers about itself, e.g. a sealed word by which a
-- key file that does not fit this database is found out before it does harm.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Machines that hold tunnels and DNS containers. `generation` grows with every
-- change of what the node should hold; the row is also the lock that puts
-- changes of one node in a line.
CREATE TABLE nodes (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO nodes (id, name) VALUES (1, 'local');

CREATE TABLE plans (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    devices       INTEGER NOT NULL CHECK (devices BETWEEN 1 AND 253),
    monthly_bytes INTEGER CHECK (monthly_bytes > 0),
    speed_bps     INTEGER CHECK (speed_bps > 0),
    recommended   INTEGER NOT NULL DEFAULT 0 CHECK (recommended IN (0, 1)),
    position      INTEGER NOT NULL
) STRICT;
INSERT INTO plans (id, name, devices, monthly_bytes, speed_bps, recommended, position) VALUES
    ('personal', 'Personal', 5, 100000000000, 50000000, 0, 1),
    ('home', 'Home', 10, 500000000000, 200000000, 1, 2),
    ('studio', 'Studio', 50, 2000000000000, NULL, 0, 3);

-- Tenants. The constraints, not a lock in memory, keep two sign-ups from the
-- same slot, interface, port or subnet. Ids are never given twice: the audit
-- log and old sessions name them.
CREATE TABLE users (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    username          TEXT NOT NULL UNIQUE,
    password_hash     TEXT NOT NULL,
    plan              TEXT NOT NULL REFERENCES plans (id),
    subdomain         TEXT NOT NULL UNIQUE,
    interface_name    TEXT NOT NULL,
    listen_port       INTEGER NOT NULL,
    subnet_cidr       TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    node_id           INTEGER NOT NULL REFERENCES nodes (id),
    slot              INTEGER NOT NULL CHECK (slot BETWEEN 1 AND 1000),
    wg_private_key    TEXT NOT NULL, -- sealed
    wg_public_key     TEXT NOT NULL UNIQUE,
    dns_password      TEXT NOT NULL, -- sealed
    dns_password_hash TEXT NOT NULL,
    state             TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    UNIQUE (node_id, slot),
    UNIQUE (node_id, interface_name),
    UNIQUE (node_id, listen_port),
    UNIQUE (node_id, subnet_cidr)
) STRICT;

CREATE TABLE operators (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

-- One-time tickets that carry a sign-in from one host to another. Only the
-- hash is kept: a copy of this table signs nobody in. `parent` is the session
-- (its id below) the ticket came from: what it makes ends with that one. No
-- reference, because a sign-out must not wait for it.
CREATE TABLE tickets (
    token_hash  TEXT PRIMARY KEY,
    user_id     INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    audience    TEXT NOT NULL,
    parent      TEXT,
    expires     INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX tickets_user ON tickets (user_id);
CREATE INDEX tickets_operator ON tickets (operator_id);
CREATE INDEX tickets_expires ON tickets (expires);

-- Sessions of tower-sessions; `id` is the hash of the cookie's value.
CREATE TABLE sessions (
    id      TEXT PRIMARY KEY,
    data    BLOB NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_expires ON sessions (expires);

-- Who did what. `user_id` has no reference on purpose: an entry outlives its tenant.
CREATE TABLE audit_log (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    object  TEXT NOT NULL,
    detail  TEXT NOT NULL,
    user_id INTEGER
) STRICT;
CREATE INDEX audit_log_user ON audit_log (user_id, id);
CREATE INDEX audit_log_at ON audit_log (at);
