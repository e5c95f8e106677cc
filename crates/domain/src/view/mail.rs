//! What an account's holder sees of its mail, and operators of the outbox.

use crate::{mail::MailState, time::Timestamp};
use serde::{Deserialize, Serialize};

/// What an account has of mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailView {
    /// Where its mail is sent.
    pub address: Option<String>,
    /// The address whose link was not opened yet.
    pub pending: Option<String>,
    /// Whether warnings of the month's data are sent.
    pub quota_warnings: bool,
    /// Whether it is a tenant's account: an operator's has no month.
    pub is_tenant: bool,
}

/// A mail of the outbox: without its text and its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRow {
    pub id: i64,
    /// What it is about, e.g. `reset`.
    pub kind: String,
    pub recipient: String,
    pub state: MailState,
    /// How often it was tried.
    pub tries: u32,
    pub created_at: Timestamp,
    /// While it waits.
    pub next_try: Option<Timestamp>,
    /// When it was sent or given up.
    pub done_at: Option<Timestamp>,
    /// What the server said last.
    pub answer: String,
}
