# What a client of the API reads whose request was refused.

token-missing = This needs a token: Authorization: Bearer and the token.
token-invalid = The token is not valid here. Sign in again.
token-expired = The access token has expired. Get another one with the refresh token.
token-limit = There are { $allowed } API tokens already. Delete one first.
token-name-malformed = Use 1 to { $most } visible characters for the token's name.
token-days-range = A token is valid for 1 to { $most } days.
access-read-only = This token may only read, and reads no secrets. Use one with the access "write".
access-tenant-only = Only a tenant has this. Sign in as a tenant.
access-operator-only = Only an operator may do this.
changed-meanwhile = It was changed meanwhile. Read it again, and repeat the change if it still fits.
precondition-needed = Send If-Match with the ETag that you read, so that no other change is lost.
idempotency-key-malformed = An Idempotency-Key has 1 to { $most } visible ASCII characters.
idempotency-key-reused = This Idempotency-Key was used for another request. Use another one.
idempotency-key-pending = A request with this Idempotency-Key is being carried out. Try again in a moment.
cursor-invalid = That cursor is not one of this list. Begin without a cursor.
body-too-large = The body is larger than { $most } bytes.
body-not-json = The body must be JSON, and Content-Type must be application/json.
body-unreadable = The body cannot be read: { $reason }.
query-unreadable = The query cannot be read: { $reason }.
method-not-allowed = That address does not accept such a request. The header Allow names what it accepts.
other-origin = That request came from a page of another site and was refused.
answer-timed-out = That took too long. Try again in a moment.
streams-open = There are { $most } open streams already. Close one first.
