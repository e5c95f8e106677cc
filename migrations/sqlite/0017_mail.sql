-- Mail: the addresses of accounts, and what waits to be sent.
-- The other dialect's file says the same: change both.

-- An account's address. `address` is verified and gets all mail; `pending` waits for its link to be
-- opened and gets nothing but that link, of which only the hash is kept.
CREATE TABLE mail_addresses (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id        INTEGER UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    operator_id    INTEGER UNIQUE REFERENCES operators (id) ON DELETE CASCADE,
    address        TEXT,
    verified_at    INTEGER,
    pending        TEXT,
    token_hash     TEXT UNIQUE,
    token_expires  INTEGER,
    quota_warnings INTEGER NOT NULL DEFAULT 1 CHECK (quota_warnings IN (0, 1)),
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;

-- The outbox. `arguments` are the content as JSON, without secrets; `secret` is the token of the
-- mail's link, empty where there is none and once it was sent. `next_try` is also the end of the
-- lease of the control plane that sends it. `answer` is what the server said last.
CREATE TABLE mail_outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,
    arguments   TEXT NOT NULL,
    token_hash  TEXT UNIQUE,
    secret      TEXT NOT NULL DEFAULT '', -- sealed
    recipient   TEXT NOT NULL,
    user_id     INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    next_try    INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    state       TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    done_at     INTEGER,
    answer      TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX mail_outbox_state ON mail_outbox (state, next_try);
CREATE INDEX mail_outbox_done ON mail_outbox (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX mail_outbox_recipient ON mail_outbox (recipient, created_at);
CREATE INDEX mail_outbox_user ON mail_outbox (user_id);
CREATE INDEX mail_outbox_operator ON mail_outbox (operator_id);
