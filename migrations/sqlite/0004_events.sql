-- What the node met with and did about it: drift that was healed, and the like.
-- The other dialect's file says the same: change both.

-- `user_id` has no reference on purpose: writing an event never fails because
-- its tenant has just gone. Bounded by number and age (crates/store/src/events.rs).
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    node_id INTEGER NOT NULL REFERENCES nodes (id),
    at      INTEGER NOT NULL,
    user_id INTEGER,
    kind    TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
CREATE INDEX events_user ON events (user_id, id);
CREATE INDEX events_at ON events (at);
