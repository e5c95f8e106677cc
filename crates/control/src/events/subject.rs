//! What an event of failure or recovery is about.

use domain::{ErrorCode, Slot};
use protocol::PartKind;

/// Something that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Part(Slot, PartKind),
    Node(ErrorCode),
}
