-- Several control planes on one database. Times are milliseconds since 1970 (UTC) by the
-- database's own clock, never by a control plane's.
-- The other dialect's file says the same: change both. SQLite has one control plane: there
-- the first three tables are empty.

-- The control planes that use the database. `address` is where workers reach this one.
CREATE TABLE control_planes (
    id       TEXT PRIMARY KEY,
    address  TEXT,
    has_node BIGINT NOT NULL CHECK (has_node IN (0, 1)),
    heard_at BIGINT NOT NULL
) WITH (fillfactor = 50);

-- Who does what only one control plane does at a time. `holder` is empty once it was given
-- back, `epoch` rises with each other holder, `renewed` is when it was renewed or given back
-- last, and `unattended` is how long before the last renewal the one before it was.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    epoch      BIGINT NOT NULL,
    until      BIGINT NOT NULL,
    renewed    BIGINT NOT NULL,
    unattended BIGINT
) WITH (fillfactor = 50);

-- Attempts that are limited, e.g. wrong passwords. `key` is a hash, `times` the times of the
-- attempts, separated by commas; `expires` is when none of them counts any more.
CREATE TABLE attempts (
    key     TEXT PRIMARY KEY,
    times   TEXT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX attempts_expires ON attempts (expires);

-- The newest reading of a node's counters that was stored: `nanos` after the boot `boot` of
-- its machine. `former` are boots before that one. The row is also the lock that puts the
-- readings of one node in a line.
CREATE TABLE node_readings (
    node_id   BIGINT PRIMARY KEY REFERENCES nodes (id),
    boot      TEXT NOT NULL,
    nanos     BIGINT NOT NULL,
    former    TEXT NOT NULL,
    stored_at BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The generation that a restored database was raised to last: a node below it has not
-- learned of the restore.
ALTER TABLE nodes ADD COLUMN restored_generation BIGINT;
