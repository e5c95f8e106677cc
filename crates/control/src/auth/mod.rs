//! Who may act: passwords, sign-in, tickets, sessions, and the limits on
//! attempts. Only this folder issues scopes.

mod api;
mod hasher;
mod lifetimes;
mod limiter;
mod limits;
mod password;
mod password_strength;
mod scopes;
mod sessions;
mod shared_limiter;
mod tickets;
mod too_many;

pub use api::{
    ApiCaller, ApiGrant, ApiPermission, ApiToken, ApiTokens, CreatedToken, Grant, NewApiToken,
};
pub(crate) use api::{SIGNING_KEY_RETENTION_MILLIS, SigningKeys};
pub(crate) use hasher::Hasher;
pub(crate) use limiter::address_key;
pub use limits::ChangeBudget;
pub(crate) use limits::Limits;
pub(crate) use password_strength::check_length;
pub use scopes::TenantSession;

use crate::inner::Inner;

/// The handle on sign-in, sessions and permissions.
#[derive(Clone, Copy)]
pub struct Auth<'a>(pub(crate) &'a Inner);
