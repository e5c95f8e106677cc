//! The kernel setting that makes it route IPv4 between interfaces.

use domain::{ErrorCode, Message};
use provisioning::ports::{PortError, PortResult};

const SETTING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Turns IPv4 forwarding on (`net.ipv4.ip_forward = 1`) if it is off. It stays on
/// when this process ends, because other programs may rely on it by then.
///
/// # Errors
/// `FirewallUnavailable` if the setting cannot be read or written.
pub fn enable_forwarding() -> PortResult<()> {
    let failed = |e: std::io::Error| {
        PortError::because(ErrorCode::FirewallUnavailable, Message::ForwardingOff, e)
    };
    // Writing resets the per-interface settings that depend on it, so it is only
    // written if necessary.
    if std::fs::read_to_string(SETTING).map_err(failed)?.trim() == "1" {
        return Ok(());
    }
    std::fs::write(SETTING, "1\n").map_err(failed)
}
