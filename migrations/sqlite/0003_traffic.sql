-- Traffic, rolled up (crates/store/src/statistics.rs says why it is packed).
-- The other dialect's file says the same: change both.

-- A tenant's counters: of each of its devices what its interface showed last,
-- its totals, its last handshake, and the sums of the buckets that are not full
-- yet. One row a tenant, so a reading of 20,000 devices writes 1,000 rows. A
-- device that is not in it starts from its columns in `peers`, where the
-- version before kept them; those columns are written by nobody any more.
CREATE TABLE tenant_traffic (
    user_id  INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    counters BLOB NOT NULL
) STRICT;

-- Full buckets: bytes of a tenant's devices from `bucket` on, for 10 s, a
-- minute, a quarter of an hour, an hour. In order of time, so that writing
-- appends, pruning takes whole pages off the other end, and no page is half
-- full. `user_id` has no reference: its index would be longer than the rows;
-- whoever deletes a tenant deletes these too, and what is missed gets old.
CREATE TABLE traffic_ticks (
    bucket  INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    devices BLOB NOT NULL,
    PRIMARY KEY (bucket, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE traffic_minutes (
    bucket  INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    devices BLOB NOT NULL,
    PRIMARY KEY (bucket, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE traffic_quarters (
    bucket  INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    devices BLOB NOT NULL,
    PRIMARY KEY (bucket, user_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE traffic_hours (
    bucket  INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    devices BLOB NOT NULL,
    PRIMARY KEY (bucket, user_id)
) STRICT, WITHOUT ROWID;

-- Days have their table already; from now on they tell the devices apart. The
-- day that is not over is in `tenant_traffic`.
ALTER TABLE usage_days ADD COLUMN devices BLOB NOT NULL DEFAULT x'';
