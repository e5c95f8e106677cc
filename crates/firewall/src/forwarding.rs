//! The kernel's switch for routing IPv4 between interfaces.

use domain::ErrorCode;
use provisioning::ports::{PortError, PortResult};

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";

/// Turns IPv4 forwarding on (`net.ipv4.ip_forward = 1`) where it is off. It
/// stays on when we go: other programs may count on it by then.
///
/// # Errors
/// `FirewallUnavailable` where the switch cannot be read or written.
pub fn enable_forwarding() -> PortResult<()> {
    let failed = |e: std::io::Error| {
        PortError::because(
            ErrorCode::FirewallUnavailable,
            "IPv4 forwarding could not be turned on: run MalikNode as root, or set net.ipv4.ip_forward = 1",
            e,
        )
    };
    // Writing resets per-interface settings that hang on the switch, so only
    // where it is needed.
    if std::fs::read_to_string(SWITCH).map_err(failed)?.trim() == "1" {
        return Ok(());
    }
    std::fs::write(SWITCH, "1\n").map_err(failed)
}
