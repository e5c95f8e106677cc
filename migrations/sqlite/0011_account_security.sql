-- Second factors, recovery codes, links to a new password, sign-ins that wait for their second
-- factor, the clients that an account has signed in from, and what is known of each session.
-- The other dialect's file says the same: change both.

-- Second factors. `last_step` is the time step of the last code that was accepted (RFC 6238), so
-- that none works twice. A factor holds once it is confirmed.
CREATE TABLE factors (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('totp', 'passkey')),
    user_id      INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id  INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    secret       TEXT NOT NULL, -- sealed
    last_step    INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    confirmed_at INTEGER,
    used_at      INTEGER,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX factors_user ON factors (user_id);
CREATE INDEX factors_operator ON factors (operator_id);

-- Recovery codes that were not used yet. Only the hash is kept: a code has 80 random bits.
CREATE TABLE recovery_codes (
    code_hash   TEXT PRIMARY KEY,
    user_id     INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    created_at  INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);
CREATE INDEX recovery_codes_operator ON recovery_codes (operator_id);

-- Links to a new password, one for an account. `proof` is the value of the password that it
-- replaces. With `without_factors` it takes the account's second factors away as well.
CREATE TABLE reset_links (
    token_hash      TEXT PRIMARY KEY,
    user_id         INTEGER UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    operator_id     INTEGER UNIQUE REFERENCES operators (id) ON DELETE CASCADE,
    proof           TEXT NOT NULL,
    without_factors INTEGER NOT NULL CHECK (without_factors IN (0, 1)),
    expires         INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX reset_links_expires ON reset_links (expires);

-- Sign-ins whose password was right and whose second factor is still asked for. `browser` is the
-- hash of the browser's cookie; `access` is what a session of the API may do, and empty for pages.
CREATE TABLE pending_sign_ins (
    token_hash  TEXT PRIMARY KEY,
    user_id     INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    proof       TEXT NOT NULL,
    browser     TEXT NOT NULL,
    stays       INTEGER NOT NULL CHECK (stays IN (0, 1)),
    access      TEXT NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    expires     INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX pending_sign_ins_user ON pending_sign_ins (user_id);
CREATE INDEX pending_sign_ins_operator ON pending_sign_ins (operator_id);
CREATE INDEX pending_sign_ins_expires ON pending_sign_ins (expires);

-- The browsers and networks that an account has signed in from, which strangers do not hold up.
-- `key_hash` is the hash of the account with the browser's cookie or with the prefix of the address.
CREATE TABLE known_clients (
    key_hash    TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('browser', 'network')),
    user_id     INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    seen_at     INTEGER NOT NULL,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX known_clients_user ON known_clients (user_id);
CREATE INDEX known_clients_operator ON known_clients (operator_id);

-- Whose a session is, on what client it began, and when its holder was last proved to be present.
-- A session is valid while `proof` is the value of its holder's password. Sessions from before
-- have no holder here and are over.
ALTER TABLE sessions ADD COLUMN user_id INTEGER REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE sessions ADD COLUMN operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE;
ALTER TABLE sessions ADD COLUMN audience TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN parent TEXT;
ALTER TABLE sessions ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN system TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN present_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_operator ON sessions (operator_id);
CREATE INDEX sessions_parent ON sessions (parent);
DELETE FROM sessions;

-- The value of the password that the ticket's holder had, and whether the session lasts.
ALTER TABLE tickets ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE tickets ADD COLUMN stays INTEGER NOT NULL DEFAULT 0 CHECK (stays IN (0, 1));
DELETE FROM tickets;

ALTER TABLE api_credentials ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE api_credentials ADD COLUMN system TEXT NOT NULL DEFAULT '';
ALTER TABLE api_credentials ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE api_credentials ADD COLUMN present_at INTEGER NOT NULL DEFAULT 0;
