//! What an access token says.

use domain::Timestamp;
use store::TicketHolder;

/// What a token says whose signature is right.
#[derive(Clone)]
pub(super) struct ReadToken {
    pub credential: String,
    subject: String,
    /// In seconds since 1970.
    expires_secs: i64,
}

impl ReadToken {
    pub fn new(credential: String, subject: String, expires_secs: i64) -> Self {
        Self {
            credential,
            subject,
            expires_secs,
        }
    }

    /// Returns whether its time is over.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now.secs() >= self.expires_secs
    }

    /// Returns whether it was issued for that holder.
    pub fn is_of(&self, holder: TicketHolder) -> bool {
        self.subject == subject(holder)
    }
}

/// Returns the claim `sub` of a holder.
pub(super) fn subject(holder: TicketHolder) -> String {
    match holder {
        TicketHolder::Tenant(id) => format!("tenant:{id}"),
        TicketHolder::Operator(id) => format!("operator:{}", id.0),
    }
}
