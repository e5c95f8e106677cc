//! What bounds the load that a tenant can cause by AdGuard Home's own settings. Set in
//! every configuration ([`crate::config`], [`crate::stored_config`]).

/// How many queries a second AdGuard Home answers a device over UDP; it drops more. The
/// firewall's limit comes first; this one holds where a tenant's own rules lead around.
pub(crate) const RATE_LIMIT: u64 = 200;

/// How large a list may be that a tenant adds, as AdGuard Home writes sizes.
pub(crate) const MAX_LIST_SIZE: &str = "20MB";

/// How many entries of the query log AdGuard Home holds in memory before it writes
/// them. Each has the whole answer, 87 kB at most.
pub(crate) const LOG_MEMORY_ENTRIES: u64 = 100;
