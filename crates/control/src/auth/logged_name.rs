//! How the audit log names accounts.

use store::{AccountRecord, TicketHolder};

/// Returns an account as the audit log names it.
pub(crate) fn logged(account: &AccountRecord) -> String {
    match account.holder {
        TicketHolder::Tenant(_) => account.name.clone(),
        TicketHolder::Operator(_) => format!("operator:{}", account.name),
    }
}
