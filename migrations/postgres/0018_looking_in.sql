-- Operators who look in as a tenant, and the audit log with two filters at once.
-- The other dialect's file says the same: change both.

-- A look that is not over. It belongs to the operator's session, whose key (the hash of its id) it
-- has, and ends with it; `operator_id` is NULL once the operator is removed. Until
-- `changes_until` it may also change things. What becomes of it is in the audit log: when it ends,
-- the row is removed, in the transaction that writes the entry.
CREATE TABLE looks (
    session       TEXT NOT NULL,
    user_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    operator_id   BIGINT REFERENCES operators (id) ON DELETE SET NULL,
    actor         TEXT NOT NULL,
    origin        TEXT NOT NULL,
    begun_at      BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    changes_until BIGINT,
    PRIMARY KEY (session, user_id)
);
CREATE INDEX looks_user ON looks (user_id);
CREATE INDEX looks_operator ON looks (operator_id);

-- With the index of one column alone, every entry of a busy tenant or operator would be read to
-- find those of an action that is rare.
CREATE INDEX audit_log_user_action ON audit_log (user_id, action, id);
CREATE INDEX audit_log_actor_action ON audit_log (actor, action, id);
