-- Traffic, rolled up (crates/store/src/statistics.rs says why it is packed).
-- The other dialect's file says the same: change both.

-- A tenant's counters: of each of its devices what its interface showed last,
-- its totals, its last handshake, and the sums of the buckets that are not full
-- yet. One row a tenant, so a reading of 20,000 devices writes 1,000 rows. A
-- device that is not in it starts from its columns in `peers`, where the
-- version before kept them; those columns are written by nobody any more.
CREATE TABLE tenant_traffic (
    user_id  BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    counters BYTEA NOT NULL
) WITH (fillfactor = 50, toast_tuple_target = 8160);

-- Full buckets: bytes of a tenant's devices from `bucket` on, for 10 s, a
-- minute, a quarter of an hour, an hour. In order of time, so that writing
-- appends, pruning takes whole pages off the other end, and no page is half
-- full. `user_id` has no reference: its index would be longer than the rows;
-- whoever deletes a tenant deletes these too, and what is missed gets old.
CREATE TABLE traffic_ticks (
    bucket  BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    devices BYTEA NOT NULL,
    PRIMARY KEY (bucket, user_id)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE traffic_minutes (
    bucket  BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    devices BYTEA NOT NULL,
    PRIMARY KEY (bucket, user_id)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE traffic_quarters (
    bucket  BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    devices BYTEA NOT NULL,
    PRIMARY KEY (bucket, user_id)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE traffic_hours (
    bucket  BIGINT NOT NULL,
    user_id BIGINT NOT NULL,
    devices BYTEA NOT NULL,
    PRIMARY KEY (bucket, user_id)
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);

-- Days have their table already; from now on they tell the devices apart. The
-- day that is not over is in `tenant_traffic`.
ALTER TABLE usage_days ADD COLUMN devices BYTEA NOT NULL DEFAULT '';

-- Packed already, and short: trying to compress it would only take time.
ALTER TABLE tenant_traffic ALTER COLUMN counters SET STORAGE EXTERNAL;
ALTER TABLE traffic_ticks ALTER COLUMN devices SET STORAGE EXTERNAL;
ALTER TABLE traffic_minutes ALTER COLUMN devices SET STORAGE EXTERNAL;
ALTER TABLE traffic_quarters ALTER COLUMN devices SET STORAGE EXTERNAL;
ALTER TABLE traffic_hours ALTER COLUMN devices SET STORAGE EXTERNAL;
ALTER TABLE usage_days ALTER COLUMN devices SET STORAGE EXTERNAL;
