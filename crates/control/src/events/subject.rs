//! What an event of failure or recovery is about.

use domain::{ErrorCode, Slot};

/// A part of a tenant's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PartKind {
    Firewall,
    Tunnel,
    Dns,
}

/// Something that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Part(Slot, PartKind),
    Node(ErrorCode),
}
