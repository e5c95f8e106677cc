//! Access to the API: what a client is given for a password or a token, and what it may do
//! with that.
//!
//! An access token is a JWT (RFC 7519) that is valid for 15 minutes. It names a credential,
//! which is read with every request that changes something, and known for others
//! ([`known_credentials`]): a session that began with a password, or an API token.
//! A credential is valid while its holder exists, is not suspended, and has the password that
//! it had then. A session goes on with refresh tokens, of which each works once; one that
//! comes a second time ends the session, because two clients have it (RFC 9700, 4.14.2).

mod access_token;
mod api_tokens;
mod bearer;
mod command_line;
mod grants;
mod known_credentials;
mod of_account;
mod permission;
mod read_token;
mod secret_token;
mod shared_reads;
mod signer;
mod signing_keys;
mod verified_tokens;

pub use api_tokens::{ApiToken, CreatedToken, NewApiToken};
pub use grants::{ApiGrant, ApiStep, ApiTokens, Grant};
pub(crate) use known_credentials::KnownCredentials;
pub use permission::{ApiCaller, ApiPermission};
pub(crate) use shared_reads::CredentialReads;
pub(crate) use signing_keys::{SIGNING_KEY_RETENTION_MILLIS, SigningKeys};
pub(crate) use verified_tokens::VerifiedTokens;
