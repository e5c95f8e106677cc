//! Mail: the addresses of accounts, and the outbox. A mail is queued in the transaction of the act
//! that it is about, and sent afterwards by a control plane that has mail set up.

mod addresses;
mod bell;
mod notices;
mod outbox;

pub use addresses::{MailSettings, NewMailAddress, PendingMailAddress};
pub(crate) use addresses::{ask_in, verified};
pub(crate) use bell::MailBell;
pub(crate) use notices::{queue as queue_notice, send as send_notice, send_quota};
pub(crate) use outbox::queue;
pub use outbox::{ClaimedMail, MailCounts, MailTry, NewMail};
