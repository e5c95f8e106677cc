-- What AdGuard Home has stored goes along with a move.
-- The other dialect's file says the same: change both.

-- Whether it is copied (1) or left behind (0), and how much the present attempt has copied.
ALTER TABLE moves ADD COLUMN with_data BIGINT NOT NULL DEFAULT 0 CHECK (with_data IN (0, 1));
ALTER TABLE moves ADD COLUMN copied_bytes BIGINT NOT NULL DEFAULT 0;
