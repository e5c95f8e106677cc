-- Plans that hold: speeds each way, what happens once the month's data are used up,
-- and the day on which the month begins.
-- The other dialect's file says the same: change both.

-- `speed_bps` was both directions' limit. It is not read or written any more.
ALTER TABLE plans ADD COLUMN down_bps INTEGER CHECK (down_bps > 0);
ALTER TABLE plans ADD COLUMN up_bps INTEGER CHECK (up_bps > 0);
ALTER TABLE plans ADD COLUMN at_limit TEXT NOT NULL DEFAULT 'slow' CHECK (at_limit IN ('slow', 'stop'));
ALTER TABLE plans ADD COLUMN slow_bps INTEGER NOT NULL DEFAULT 1000000 CHECK (slow_bps > 0);
ALTER TABLE plans ADD COLUMN month_day INTEGER NOT NULL DEFAULT 1 CHECK (month_day BETWEEN 1 AND 31);
ALTER TABLE plans ADD COLUMN visible INTEGER NOT NULL DEFAULT 1 CHECK (visible IN (0, 1));
UPDATE plans SET down_bps = speed_bps, up_bps = speed_bps;

-- The state in force, which also says which warnings were sent in this month. It is
-- neither `state` (suspended by the operator) nor derived: a change of it is one
-- transaction with its event and the node's generation.
ALTER TABLE users ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'UTC';
ALTER TABLE users ADD COLUMN quota_state TEXT NOT NULL DEFAULT 'open'
    CHECK (quota_state IN ('open', 'warned', 'slowed', 'stopped'));
CREATE INDEX users_plan ON users (plan);

-- The bytes of the month from `period_start` to `period_end`, in the row that each
-- reading writes anyway. With an end of 0 nothing was counted yet: the days in
-- `usage_days` are taken over with the next reading.
ALTER TABLE tenant_traffic ADD COLUMN period_start INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenant_traffic ADD COLUMN period_end INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenant_traffic ADD COLUMN period_bytes INTEGER NOT NULL DEFAULT 0;

-- The slot and the host part that were given last: what is free is given in a circle,
-- so that no tenant gets at once what another has just left.
ALTER TABLE nodes ADD COLUMN last_slot INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_host INTEGER NOT NULL DEFAULT 0;
UPDATE nodes SET last_slot = COALESCE((SELECT MAX(slot) FROM users WHERE users.node_id = nodes.id), 0);
