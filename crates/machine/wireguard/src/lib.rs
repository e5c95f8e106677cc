//! The implementations of the WireGuard port.
//!
//! [`Kernel`] uses the kernel's WireGuard over netlink. If the kernel has none,
//! [`Userspace`] uses a child process of ours that embeds one
//! ([`userspace::host`]); the child outlives the server, so that a restart or an
//! upgrade of the server ends no session. [`detect()`] chooses.
//!
//! Both fulfil one contract (`testkit::wireguard_contract`). The alias of a link of
//! ours begins with [`INTERFACE_ALIAS_PREFIX`]. No other link is ever changed or
//! removed.

mod detect;
mod diff;
mod events;
mod failure;
mod ipv6;
mod kernel;
mod kernel_device;
mod links;
mod mtu;
mod reserve;
pub mod userspace;

use domain::marks::INTERFACE_ALIAS_PREFIX;

pub use detect::{Choice, Detected, Detection, Implementation, Settings, detect, examine};
pub use ipv6::has_ipv6;
pub use kernel::Kernel;
pub use mtu::{tunnel_mtu, uplink_mtu};
pub use reserve::{RESERVED_PORTS, reserve_ports};
pub use userspace::Userspace;

/// Returns whether an alias marks a link of ours.
pub(crate) fn is_ours(alias: Option<&str>) -> bool {
    alias.is_some_and(|a| a.starts_with(INTERFACE_ALIAS_PREFIX))
}
