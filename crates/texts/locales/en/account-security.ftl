# Second factors, sessions, presence, links to a new password.

code-wrong = That code is not right, or was used before. Wait for the next one, or use a recovery code.
second-factor-needed = This account signs in with a second factor. Use POST /v1/auth/token, or an API token.
sign-in-expired = That took too long, or too many codes were wrong. Begin again with your password.
presence-needed = Confirm that it is you: enter your password.
reset-invalid = This link was used, has expired, or a newer one was made. Ask for another one.
totp-exists = A second factor is switched on already. Remove it first.
totp-not-begun = Begin with a new secret for your authenticator app.
access-own-only = Only the account's own holder may do this, signed in as itself.
passkey-invalid = The passkey's answer took too long or was used before. Try again.
passkey-unreadable = The passkey's answer could not be read. Try again, or use another browser.
passkey-unknown = That passkey is not one of this account. Use another one.
passkey-other-host = That passkey belongs to another address. Use one that was added at this address.
passkey-copied = That passkey's counter went back, as that of a copy does. Remove it from your account, and add it again.
passkey-unverified = The passkey did not check that it is you. Unlock it with a fingerprint, a face or a PIN, or sign in with your password.
passkey-algorithm = That passkey signs in a way that is not supported here. Use another one.
passkey-exists = That passkey is on an account already.
passkey-limit = An account may have { $most } passkeys. Remove one first.
passkey-name = A passkey's name has 1 to { $most } characters, without line breaks.
second-factor-required = An owner needs a second factor first. Add an authenticator app or a passkey at /account/two-step.
last-factor = An owner needs a second factor: add another one before you remove this one.
