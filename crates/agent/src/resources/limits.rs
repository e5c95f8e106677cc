//! How much of the disk a tenant may use.

/// The limits of what AdGuard Homes may use of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// Bytes of one tenant above which the oldest part of its query log is removed.
    pub soft_bytes: u64,
    /// Bytes of one tenant above which its AdGuard Home is stopped.
    pub hard_bytes: u64,
    /// The share of the file system, in percent (0..=50), below which tenants may write
    /// no more; 0 means that only the limits of single tenants count.
    pub min_free_percent: u8,
}

impl Default for DiskLimits {
    /// Returns 256 MiB, 512 MiB and 5 %.
    fn default() -> Self {
        Self {
            soft_bytes: 256 << 20,
            hard_bytes: 512 << 20,
            min_free_percent: 5,
        }
    }
}
