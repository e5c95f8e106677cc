//! What is noted of the host that a request was for, without a name.

/// The kind of host that a request was for. An answer has it as an extension if the host is one
/// of the installation's.
#[derive(Clone, Copy, Debug)]
pub struct HostLabel(pub &'static str);
