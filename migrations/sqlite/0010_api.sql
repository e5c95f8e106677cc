-- The API: the keys of its access tokens, what access is granted by, and the answers of
-- requests that may be repeated.
-- The other dialect's file says the same: change both.

-- Keys that sign access tokens (Ed25519). `public_key` is base64 of its 32 bytes.
CREATE TABLE api_keys (
    kid         TEXT PRIMARY KEY,
    public_key  TEXT NOT NULL,
    private_key TEXT NOT NULL, -- sealed
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX api_keys_created ON api_keys (created_at);

-- What access is granted by: a session, which began with a password and goes on with refresh
-- tokens, or an API token. `secret_hash` is the hash of the session's newest refresh token, or
-- of the API token. `proof` changes with the holder's password.
CREATE TABLE api_credentials (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('session', 'token')),
    user_id     INTEGER REFERENCES users (id) ON DELETE CASCADE,
    operator_id INTEGER REFERENCES operators (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    access      TEXT NOT NULL CHECK (access IN ('read', 'write')),
    proof       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER,
    CHECK ((user_id IS NULL) <> (operator_id IS NULL))
) STRICT;
CREATE INDEX api_credentials_user ON api_credentials (user_id);
CREATE INDEX api_credentials_operator ON api_credentials (operator_id);
CREATE INDEX api_credentials_expires ON api_credentials (expires_at);

-- The answers of requests with an `Idempotency-Key`. `key` and `request` are hashes; `answer`
-- is empty while the request is carried out.
CREATE TABLE api_answers (
    key        TEXT PRIMARY KEY,
    request    TEXT NOT NULL,
    answer     TEXT NOT NULL, -- sealed
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX api_answers_expires ON api_answers (expires_at);
