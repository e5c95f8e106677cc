//! How much of a machine one tenant may use.

use serde::{Deserialize, Serialize};

/// The limits of what one tenant uses of its node. `None` is no limit, or one that is not
/// known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Bytes of the disk above which its AdGuard Home is stopped.
    pub disk_bytes: Option<u64>,
    /// Memory of its AdGuard Home's container.
    pub memory_bytes: Option<u64>,
    /// Processor time of that container, in percent of one processor.
    pub cpu_percent: Option<f64>,
    /// Entries of the node's connection table.
    pub connections: Option<u64>,
}
