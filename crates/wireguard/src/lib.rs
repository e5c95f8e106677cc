//! The real sides of the WireGuard port.
//!
//! [`Kernel`] speaks netlink to the kernel's WireGuard. Where the kernel has
//! none, [`Userspace`] speaks to a child process of ours which embeds one
//! ([`userspace::host`]); the child outlives the server, so that a restart or
//! an upgrade of the server drops nobody's session. [`detect`] chooses.
//!
//! Both keep to one contract (`testkit::wireguard_contract`). What is ours is
//! marked on the link itself: its alias begins with `maliknode `. Nothing else
//! is ever changed or removed.

mod detect;
mod diff;
mod events;
mod failure;
mod kernel;
mod links;
mod reserve;
pub mod userspace;

pub use detect::{Choice, Detected, Detection, Implementation, Settings, detect, examine};
pub use kernel::Kernel;
pub use reserve::{RESERVED_PORTS, reserve_ports};
pub use userspace::Userspace;

/// The MTU of every tunnel, in bytes: 1500 less WireGuard's 80 over IPv6.
pub const MTU: u32 = 1420;

/// How the alias of a link of ours begins; the tenant's name follows.
pub(crate) const MARK: &str = "maliknode ";

/// Whether an alias marks a link of ours.
pub(crate) fn is_ours(alias: Option<&str>) -> bool {
    alias.is_some_and(|a| a.starts_with(MARK))
}
