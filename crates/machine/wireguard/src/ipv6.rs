//! The kernel's settings of IPv6 (`Documentation/networking/ip-sysctl.rst`): whether there
//! is IPv6, and what a tunnel needs of it.

use std::{fs::OpenOptions, io, path::PathBuf};

const SETTINGS: &str = "/proc/sys/net/ipv6/conf";

fn file(interface: &str, setting: &str) -> PathBuf {
    PathBuf::from(SETTINGS).join(interface).join(setting)
}

/// Returns whether tunnels can have IPv6: the kernel has it (it has not with
/// `ipv6.disable=1`), and new links have it or can be given it. A host whose own links have
/// it switched off (`disable_ipv6`) keeps them so.
pub fn has_ipv6() -> bool {
    let default = file("default", "disable_ipv6");
    let is_on = std::fs::read_to_string(&default).is_ok_and(|v| v.trim() == "0");
    is_on || OpenOptions::new().write(true).open(&default).is_ok()
}

/// Prepares a link for IPv6 before it is set up: without a link-local address, which the
/// firewall would drop, and without learning routes from the devices. Where it is to have
/// no IPv6, that is switched off: a TUN has it by default, the kernel's WireGuard without
/// addresses.
pub(crate) fn prepare(interface: &str, has_ipv6: bool) {
    let settings: &[(&str, &str)] = match has_ipv6 {
        // `IN6_ADDR_GEN_MODE_NONE` is 1 (linux/if_link.h).
        true => &[
            ("addr_gen_mode", "1"),
            ("accept_ra", "0"),
            ("disable_ipv6", "0"),
        ],
        false => &[("disable_ipv6", "1")],
    };
    for (setting, value) in settings {
        if let Err(error) = write(interface, setting, value) {
            tracing::debug!(%interface, %setting, %error, "cannot be set");
        }
    }
}

/// Switches IPv6 of a link on, if it is off. That it already is costs one reading.
pub(crate) fn switch_on(interface: &str) -> io::Result<()> {
    write(interface, "disable_ipv6", "0")
}

/// Writes a setting unless it has the value: writing has effects of its own.
fn write(interface: &str, setting: &str, value: &str) -> io::Result<()> {
    let file = file(interface, setting);
    if std::fs::read_to_string(&file)?.trim() == value {
        return Ok(());
    }
    std::fs::write(&file, value)
}
