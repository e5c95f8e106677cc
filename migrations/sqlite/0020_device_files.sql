-- What a device's configuration file says besides `routing`. home_direct: with the routing
-- `everything`, networks like the one a device is at home in are reached directly (a release before
-- this one reads `everything`). small_packets: the file asks for packets of 1280 bytes at most.
-- ipv4_only: the file has no IPv6.
-- The other dialect's file says the same: change both.
ALTER TABLE peers ADD COLUMN home_direct INTEGER NOT NULL DEFAULT 0 CHECK (home_direct IN (0, 1));
ALTER TABLE peers ADD COLUMN small_packets INTEGER NOT NULL DEFAULT 0 CHECK (small_packets IN (0, 1));
ALTER TABLE peers ADD COLUMN ipv4_only INTEGER NOT NULL DEFAULT 0 CHECK (ipv4_only IN (0, 1));
