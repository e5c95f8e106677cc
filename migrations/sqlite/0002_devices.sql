-- Devices (`peers`) and what went through them.
-- The other dialect's file says the same: change both.

-- `last_rx` and `last_tx` are the interface's counters as last read: the next
-- reading is compared with them, so that totals survive an interface that was
-- made anew and counts from zero. "rx" came from the device, "tx" went to it.
CREATE TABLE peers (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id              INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    device_label         TEXT NOT NULL,
    label_folded         TEXT NOT NULL,
    vpn_ip               TEXT NOT NULL,
    private_key          TEXT NOT NULL, -- sealed; empty where the browser made the key
    public_key           TEXT NOT NULL UNIQUE,
    preshared_key        TEXT NOT NULL, -- sealed
    mesh_routing         INTEGER NOT NULL DEFAULT 0 CHECK (mesh_routing IN (0, 1)),
    adguard_client_id    TEXT NOT NULL,
    dns_filtering_policy TEXT NOT NULL DEFAULT 'standard',
    routing              TEXT NOT NULL DEFAULT 'everything',
    created_at           INTEGER NOT NULL,
    rx_total             INTEGER NOT NULL DEFAULT 0,
    tx_total             INTEGER NOT NULL DEFAULT 0,
    last_rx              INTEGER NOT NULL DEFAULT 0,
    last_tx              INTEGER NOT NULL DEFAULT 0,
    last_handshake       INTEGER,
    endpoint             TEXT,
    UNIQUE (user_id, label_folded),
    UNIQUE (user_id, vpn_ip),
    UNIQUE (user_id, adguard_client_id)
) STRICT;

-- Bytes of a device in the minute that begins at `recorded_at`. Readings of
-- one minute are added up in one row: watching a page does not fill the disk.
CREATE TABLE bandwidth_stats (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    peer_id     INTEGER NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    tx_bytes    INTEGER NOT NULL,
    rx_bytes    INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    UNIQUE (peer_id, recorded_at)
) STRICT;
CREATE INDEX bandwidth_stats_recorded_at ON bandwidth_stats (recorded_at);

-- The roll-up: bytes of a tenant on the UTC day that begins at `day`. It
-- outlives both the minutes above and a deleted device, so a month's total
-- does not shrink, and a year of graphs is 365 rows.
CREATE TABLE usage_days (
    user_id  INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    day      INTEGER NOT NULL,
    rx_bytes INTEGER NOT NULL,
    tx_bytes INTEGER NOT NULL,
    PRIMARY KEY (user_id, day)
) STRICT, WITHOUT ROWID;
