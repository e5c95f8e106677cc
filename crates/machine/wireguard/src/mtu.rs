//! How large the packets inside tunnels may be.

use nix::sys::socket::{getsockopt, sockopt};
use std::net::{Ipv4Addr, UdpSocket};

/// WireGuard's own bytes around a packet, over IPv6: 40 of IP, 8 of UDP, 32 of its own
/// (<https://www.wireguard.com/protocol/>).
const OVERHEAD: u32 = 80;
/// The MTU over a link of 1500 bytes, beyond which no tunnel goes: devices are on such
/// links or smaller ones.
const LARGEST: u32 = 1420;
/// What every link of IPv6 carries (RFC 8200, 5).
const SMALLEST: u32 = 1280;
/// An address of no host (RFC 5737), by the route that the internet has.
const ANYWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Returns the MTU of tunnels in bytes, 1280 to 1420: what the link to the internet
/// carries less WireGuard's own bytes. A packet beyond it would be sent in fragments,
/// which some routers drop.
pub fn tunnel_mtu() -> u32 {
    uplink_mtu().map_or(LARGEST, inside)
}

fn inside(uplink: u32) -> u32 {
    uplink.saturating_sub(OVERHEAD).clamp(SMALLEST, LARGEST)
}

/// Returns the MTU on the way to the internet in bytes; `None` without such a route. Sends
/// nothing.
pub fn uplink_mtu() -> Option<u32> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((ANYWHERE, 9)).ok()?;
    let mtu = getsockopt(&socket, sockopt::IpMtu).ok()?;
    u32::try_from(mtu).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mtu_leaves_room_for_the_tunnels_own_bytes() {
        for (uplink, mtu) in [
            (1500, 1420),
            (9000, 1420),
            (1492, 1412),
            (1460, 1380),
            (1400, 1320),
            (1280, 1280),
            (0, 1280),
        ] {
            assert_eq!(inside(uplink), mtu, "{uplink}");
        }
    }
}
