//! The kernel settings that make it route between interfaces.

use domain::{ErrorCode, Message};
use provisioning::ports::{PortError, PortResult};
use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

const SETTING: &str = "/proc/sys/net/ipv4/ip_forward";
/// The settings of IPv6, a folder for each interface, and `all` and `default`.
const IPV6: &str = "/proc/sys/net/ipv6/conf";

/// Turns forwarding of IPv4 and, if the kernel has it, of IPv6 on
/// (`net.ipv4.ip_forward = 1`, `net.ipv6.conf.all.forwarding = 1`), if it is off. It stays
/// on when this process ends, because other programs may rely on it by then.
///
/// # Errors
/// `FirewallUnavailable` if the setting of IPv4 cannot be read or written. Without that of
/// IPv6 tunnels have IPv4 alone, so that is only logged.
pub fn enable_forwarding() -> PortResult<()> {
    let failed = |e: io::Error| {
        PortError::because(ErrorCode::FirewallUnavailable, Message::ForwardingOff, e)
    };
    // Writing resets the per-interface settings that depend on it, so it is only
    // written if necessary.
    if fs::read_to_string(SETTING).map_err(failed)?.trim() != "1" {
        fs::write(SETTING, "1\n").map_err(failed)?;
    }
    match enable_ipv6(Path::new(IPV6)) {
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(
            %error,
            "forwarding of IPv6 could not be turned on (net.ipv6.conf.all.forwarding): tunnels have IPv4 alone"
        ),
        Ok(()) => {}
    }
    Ok(())
}

/// Turns forwarding of IPv6 on. A host that forwards takes no addresses and routes from
/// routers any more unless it is told to (`accept_ra = 2`, ip-sysctl.rst), so the interfaces
/// that do take them are told first: the host would lose its own IPv6.
fn enable_ipv6(settings: &Path) -> io::Result<()> {
    let all = settings.join("all/forwarding");
    if fs::read_to_string(&all)?.trim() == "1" {
        return Ok(());
    }
    for interface in fs::read_dir(settings)?.filter_map(Result::ok) {
        // That of `all` changes no interface.
        let accepts = interface.path().join("accept_ra");
        let is_client = fs::read_to_string(&accepts).is_ok_and(|value| value.trim() == "1");
        if is_client && interface.file_name() != "all" && interface.file_name() != "lo" {
            fs::write(&accepts, "2\n")?;
        }
    }
    fs::write(&all, "1\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_the_ipv6_that_routers_give_it() {
        let dir = std::env::temp_dir().join(format!("maliknode-forwarding-{}", std::process::id()));
        let set = |of: &str, setting: &str, value: &str| {
            fs::create_dir_all(dir.join(of)).unwrap();
            fs::write(dir.join(of).join(setting), value).unwrap();
        };
        let read = |of: &str, setting: &str| {
            let text = fs::read_to_string(dir.join(of).join(setting)).unwrap();
            text.trim().to_owned()
        };
        assert_eq!(enable_ipv6(&dir).unwrap_err().kind(), ErrorKind::NotFound);
        set("all", "forwarding", "0\n");
        for (interface, value) in [
            ("all", "1"),
            ("default", "1"),
            ("eth0", "1"),
            ("eth1", "0"),
            ("lo", "1"),
        ] {
            set(interface, "accept_ra", value);
        }
        enable_ipv6(&dir).unwrap();
        assert_eq!(read("all", "forwarding"), "1");
        let all = ["all", "default", "eth0", "eth1", "lo"].map(|of| read(of, "accept_ra"));
        assert_eq!(all, ["1", "2", "2", "0", "1"]);
        // An operator's later choice stays.
        set("eth0", "accept_ra", "1");
        enable_ipv6(&dir).unwrap();
        assert_eq!(read("eth0", "accept_ra"), "1");
        fs::remove_dir_all(&dir).unwrap();
    }
}
