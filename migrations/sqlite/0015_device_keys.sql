-- When a device's present keys were made; NULL for those it was added with. Keys that are older than
-- a few minutes are shown only to a holder who is proved to be present.
-- The other dialect's file says the same: change both.
ALTER TABLE peers ADD COLUMN key_made_at INTEGER;
