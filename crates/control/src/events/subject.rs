//! What an event of failure or recovery is about.

use domain::{ErrorCode, NodeId};
use protocol::{Location, PartKind};

/// Something that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Part(Location, PartKind),
    Node(NodeId, ErrorCode),
}
