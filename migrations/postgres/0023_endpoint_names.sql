-- Names of tenants' endpoints, e.g. lina-vpn.example.org, and what the operator's name server
-- has of them.
-- The other dialect's file says the same: change both.

-- `host` is what the server was last known to have; NULL until it has acknowledged the newest.
-- Without a tenant the record is to be removed. `version` grows with each change, so that an
-- acknowledgement that comes late is told from the newest one's. `is_told` says whether the server has ever
-- acknowledged it: only such names are in the configurations of devices.
CREATE TABLE endpoint_names (
    name    TEXT PRIMARY KEY,
    user_id BIGINT UNIQUE REFERENCES users (id) ON DELETE SET NULL,
    host    TEXT,
    version BIGINT NOT NULL,
    is_told BIGINT NOT NULL DEFAULT 0 CHECK (is_told IN (0, 1))
);
CREATE INDEX endpoint_names_pending ON endpoint_names (name) WHERE host IS NULL;
CREATE INDEX endpoint_names_gone ON endpoint_names (name) WHERE user_id IS NULL;
