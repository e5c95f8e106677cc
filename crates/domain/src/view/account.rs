//! What a tenant or operator sees of the security of the own account.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// A tenant's dashboard.
    Dashboard,
    /// A tenant's AdGuard Home. It ends with the dashboard's session that it came from.
    Dns,
    /// The operator's pages.
    Operator,
    /// The API, with a password.
    Api,
}

/// A session in the list of the own ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// What it is ended by. It is no sign-in, and is safe in an address.
    pub id: String,
    pub kind: SessionKind,
    /// The browser or program, e.g. `Firefox`; empty if it is not known.
    pub browser: String,
    /// The operating system, e.g. `Android`; empty if it is not known.
    pub system: String,
    /// Where it began: an IPv4 address, or the /64 of an IPv6 address.
    pub address: String,
    /// The time of the sign-in.
    pub begun: Timestamp,
    /// The time of the last use, to the hour.
    pub used: Timestamp,
    pub expires: Timestamp,
    /// Whether it is the one that asks.
    pub is_current: bool,
}

/// How an account is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityView {
    pub name: String,
    /// Since when a sign-in needs a code of an authenticator app.
    pub totp_since: Option<Timestamp>,
    /// Passkeys, the oldest first.
    pub passkeys: Vec<PasskeyRow>,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: u32,
    /// When the recovery codes were made.
    pub recovery_codes_made: Option<Timestamp>,
    /// Until when what needs a proof of presence can be done without another one.
    pub present_until: Option<Timestamp>,
}

impl SecurityView {
    /// Returns whether a sign-in with the password has a second step.
    pub fn has_second_factor(&self) -> bool {
        self.totp_since.is_some() || !self.passkeys.is_empty()
    }
}

/// A passkey of the own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyRow {
    /// What it is named and removed by.
    pub id: String,
    /// What its holder calls it.
    pub name: String,
    pub added: Timestamp,
    /// When it signed in last.
    pub used: Option<Timestamp>,
}

/// An entry of the audit log about the own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityRow {
    pub at: Timestamp,
    /// Who acted: a tenant's name or `operator:<name>`.
    pub actor: String,
    /// What was done, e.g. `session.begin`.
    pub action: String,
    pub object: String,
    /// Further details, e.g. by which second factor.
    pub detail: String,
    /// The prefix of the address that it came from; empty where there is none.
    pub origin: String,
}
