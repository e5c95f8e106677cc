-- Passkeys (WebAuthn), beside the authenticator apps in `factors`, and the challenges that they
-- sign. The other dialect's file says the same: change both.

-- The hash of a passkey's credential id, by which a sign-in without a name finds it; NULL for an
-- authenticator app. Of a passkey, `last_step` is the counter of its last signature, and
-- `secret` has its id, its public key and the host that it is for.
ALTER TABLE factors ADD COLUMN credential TEXT;
CREATE UNIQUE INDEX factors_credential ON factors (credential);

-- Challenges that were given out and not yet answered. Each is answered once. `binding` is what it
-- was given to: the hash of a browser's cookie, of a sign-in that waits, or of a session. A
-- sign-in with a passkey alone has no holder yet.
CREATE TABLE passkey_challenges (
    challenge_hash TEXT PRIMARY KEY,
    purpose        TEXT NOT NULL CHECK (purpose IN ('register', 'sign-in', 'second-step', 'presence')),
    user_id        BIGINT REFERENCES users (id) ON DELETE CASCADE,
    operator_id    BIGINT REFERENCES operators (id) ON DELETE CASCADE,
    host           TEXT NOT NULL,
    binding        TEXT NOT NULL,
    expires        BIGINT NOT NULL,
    CHECK (user_id IS NULL OR operator_id IS NULL)
);
CREATE INDEX passkey_challenges_user ON passkey_challenges (user_id);
CREATE INDEX passkey_challenges_operator ON passkey_challenges (operator_id);
CREATE INDEX passkey_challenges_expires ON passkey_challenges (expires);
