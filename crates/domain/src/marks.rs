//! Names and numbers that several crates must agree on: the marks by which
//! MalikNode recognises what it created, the bridge, and the port of AdGuard
//! Home's UI.

/// The prefix of the alias of every network interface that MalikNode created;
/// the tenant's name follows. An interface without it is never changed.
pub const INTERFACE_ALIAS_PREFIX: &str = "maliknode ";

/// The default name of the bridge that connects the DNS containers.
pub const BRIDGE: &str = "mn0";

/// The TCP port of AdGuard Home's UI and API inside its container.
pub const DNS_UI_PORT: u16 = 3000;
