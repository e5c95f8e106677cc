//! Names and numbers that several crates must agree on: the marks by which
//! MalikNode recognises what it created, the bridge, the port of AdGuard Home's UI,
//! and the users that containers run as.

use crate::Slot;

/// The prefix of the alias of every network interface that MalikNode created;
/// the tenant's name follows. An interface without it is never changed.
pub const INTERFACE_ALIAS_PREFIX: &str = "maliknode ";

/// The default name of the bridge that connects the DNS containers.
pub const BRIDGE: &str = "mn0";

/// The TCP port of AdGuard Home's UI and API inside its container.
pub const DNS_UI_PORT: u16 = 3000;

/// The port, of UDP and TCP, at which the host takes tenants' DNS by IPv6 and passes it on
/// by IPv4. It is reached through tunnels alone, and is none that masquerading uses.
pub const DNS_RELAY_PORT: u16 = 9_353;

/// The domain that the names of tenants' devices end in, e.g. `phone.alice.internal`.
pub const DEVICE_NAMES: &str = "internal";

/// The only user of a tenant's AdGuard Home.
pub const DNS_USER: &str = "tenant";

/// Added to a slot's number, this is the user and the group that its container's
/// processes run as on the host. They own the container's files and nothing else.
/// 300001 to 301000 are outside of what `useradd(8)` gives out (up to 60000) and of
/// the first range of `/etc/subuid` with 65,536 ids from 100000 on.
pub const CONTAINER_USER_BASE: u32 = 300_000;

/// Returns the user and the group that a slot's container runs as.
pub fn container_user(slot: Slot) -> u32 {
    CONTAINER_USER_BASE + u32::from(slot.get())
}
