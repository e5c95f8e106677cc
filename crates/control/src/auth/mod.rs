//! Who may act: passwords, sign-in, tickets, sessions, and the limits on
//! attempts. Only this folder issues scopes.

mod account_limits;
mod account_scope;
mod api;
mod client;
mod hasher;
mod known_clients;
mod lifetimes;
mod limiter;
mod limits;
mod logged_name;
mod looking_in;
mod passkeys;
mod password;
mod password_strength;
mod presence;
mod recovery_codes;
mod scopes;
mod second_factor;
mod sessions;
mod shared_limiter;
mod ticket_binding;
mod tickets;
mod too_many;
mod totp;
mod user_agent;
mod webauthn;

pub(crate) use account_limits::TriedAccount;
pub(crate) use account_scope::AccountCaller;
pub use account_scope::{AccountScope, FactorScope};
pub use api::{
    ApiCaller, ApiGrant, ApiPermission, ApiStep, ApiToken, ApiTokens, CreatedToken, Grant,
    NewApiToken,
};
pub(crate) use api::{
    CredentialReads, KnownCredentials, SIGNING_KEY_RETENTION_MILLIS, SigningKeys, VerifiedTokens,
};
pub use client::SignInClient;
pub(crate) use hasher::Hasher;
pub(crate) use limiter::address_key;
pub use limiter::address_prefix;
pub use limits::ChangeBudget;
pub(crate) use limits::Limits;
pub(crate) use logged_name::logged;
pub use looking_in::LookingIn;
pub(crate) use looking_in::run_looks;
pub(crate) use passkeys::{ChallengeRequest, because, stored as stored_passkeys};
pub(crate) use password_strength::{MAX_BYTES, check_length};
pub use presence::Presence;
pub(crate) use presence::presence_needed;
pub use recovery_codes::RecoveryCodes;
pub(crate) use recovery_codes::{new_codes, recovery_hash};
pub use scopes::TenantSession;
pub(crate) use sessions::{Refusal, code_wrong, proof};
pub use ticket_binding::{PresentedTicket, browser_hash};
pub use totp::TotpEnrolment;
pub(crate) use totp::{SECRET_BYTES, enrolment, step_of};

pub(crate) use webauthn::{Answer, AnswerKind, StoredPasskey};

use crate::inner::Inner;

/// Returns the failure of a passkey that has not checked that it is its owner.
pub(crate) fn unverified_passkey() -> domain::Failure {
    webauthn::invalid(domain::Message::PasskeyUnverified)
}

/// The handle on sign-in, sessions and permissions.
#[derive(Clone, Copy)]
pub struct Auth<'a>(pub(crate) &'a Inner);
