# Second factors, sessions, presence, links to a new password.

code-wrong = That code is not right, or was used before. Wait for the next one, or use a recovery code.
second-factor-needed = This account signs in with a second factor. Use POST /v1/auth/token, or an API token.
sign-in-expired = That took too long, or too many codes were wrong. Begin again with your password.
presence-needed = Confirm that it is you: enter your password.
reset-invalid = This link was used, has expired, or a newer one was made. Ask for another one.
totp-exists = A second factor is switched on already. Remove it first.
totp-not-begun = Begin with a new secret for your authenticator app.
access-own-only = Only the account's own holder may do this, signed in as itself.
