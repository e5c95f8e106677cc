//! How accounts are protected: second factors, recovery codes, links to a new password, sign-ins
//! that wait for their second factor, sessions, and the clients that signed in before. All of it
//! is the same for tenants and operators.

mod activity;
mod clients;
mod factors;
mod owners_factor;
mod passkeys;
mod password;
mod pending;
mod recovery;
mod reset;
mod sessions;

pub use clients::{ClientKind, KnownClients};
pub use factors::{FactorKind, FactorRecord, NewFactor};
pub use passkeys::{ChallengePurpose, ChallengeRecord, NewChallenge, NewPasskey};
pub use password::{PasswordChange, PasswordProof};
pub use pending::{NewPendingSignIn, PendingSignInRecord};
pub use reset::{NewResetLink, ResetLinkRecord};
#[cfg(test)]
pub(crate) use sessions::OF_TENANT as SESSIONS_OF_TENANT;
pub use sessions::{SessionListing, SessionRef};

use crate::{Result, Store, TicketHolder, db::fetch_optional};
use domain::Secret;

/// What an account is checked by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    pub holder: TicketHolder,
    pub name: String,
    pub password_hash: Secret,
}

impl Store {
    /// Finds an account.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn account(&self, holder: TicketHolder) -> Result<Option<AccountRecord>> {
        let (sql, id) = match holder {
            TicketHolder::Tenant(id) => (
                "SELECT username, password_hash FROM users WHERE id = $1",
                id.0,
            ),
            TicketHolder::Operator(id) => (
                "SELECT username, password_hash FROM operators WHERE id = $1",
                id.0,
            ),
        };
        let row = fetch_optional!(self.db.reader(), (String, String), sql, id)?;
        Ok(row.map(|(name, hash)| AccountRecord {
            holder,
            name,
            password_hash: Secret::new(hash),
        }))
    }
}
