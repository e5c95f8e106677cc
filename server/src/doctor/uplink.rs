//! The way to the internet: how large its packets may be, and whether IPv6 goes there.

use super::{
    network,
    report::{Check, run},
};
use domain::{Message, Slot};
use std::{fs, path::Path};

/// What WireGuard needs around a packet of 1280 bytes, the least that IPv6 carries
/// (RFC 8200, 5).
const SMALLEST_UPLINK: u32 = 1360;

/// Checks that packets in tunnels fit into the link to the internet.
pub(super) fn mtu() -> Check {
    const NAME: Message = Message::CheckMtu;
    let Some(uplink) = wireguard::uplink_mtu() else {
        return Check::warn(
            NAME,
            Message::UplinkAbsent,
            run("ip route show default; ip -4 address"),
        );
    };
    let folder = Path::new("/sys/class/net");
    let of_tunnel = |slot: Slot| {
        let path = folder.join(slot.interface()).join("mtu");
        fs::read_to_string(path).ok()?.trim().parse::<u32>().ok()
    };
    let largest = Slot::all().filter_map(of_tunnel).max();
    judge_mtu(uplink, wireguard::tunnel_mtu(), largest)
}

/// `uplink` is what the link carries, `inside` what fits into a tunnel there, `largest` the
/// largest MTU of the tunnels there are.
fn judge_mtu(uplink: u32, inside: u32, largest: Option<u32>) -> Check {
    const NAME: Message = Message::CheckMtu;
    let (link, tunnel) = (uplink.into(), inside.into());
    if uplink < SMALLEST_UPLINK {
        let found = Message::UplinkSmall { uplink: link };
        return Check::warn(NAME, found, Message::FixUplinkSmall);
    }
    match largest.filter(|largest| *largest > inside) {
        Some(largest) => {
            let largest = largest.into();
            let found = Message::TunnelsLarger {
                largest,
                uplink: link,
                tunnel,
            };
            Check::warn(NAME, found, Message::FixTunnelsLarger)
        }
        None => Check::ok(
            NAME,
            Message::MtuFits {
                uplink: link,
                tunnel,
            },
        ),
    }
}

/// What the kernel says of IPv6.
#[derive(Clone, Copy, Debug, Default)]
struct Ipv6 {
    /// The kernel has it, and it is not switched off.
    is_on: bool,
    has_default_route: bool,
    forwards: bool,
    /// Routers' announcements count although it forwards.
    accepts_announcements: bool,
    /// The default route comes from a router's announcement.
    is_announced: bool,
}

/// Checks what becomes of devices' IPv6.
pub(super) fn ipv6() -> Check {
    let setting = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}")).ok()?;
        text.trim().parse::<u8>().ok()
    };
    let table = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
    let route = default_route(&table);
    let link = route.as_ref().map(|(link, _)| link.clone());
    let accept = link.and_then(|link| setting(&format!("{link}/accept_ra")));
    judge_ipv6(Ipv6 {
        is_on: setting("all/disable_ipv6") == Some(0),
        has_default_route: route.is_some(),
        forwards: setting("all/forwarding") == Some(1),
        accepts_announcements: accept == Some(2),
        is_announced: route.is_some_and(|(_, is_announced)| is_announced),
    })
}

/// Returns the link of the default route, and whether a router announced it
/// (`RTF_ADDRCONF` in linux/include/uapi/linux/ipv6_route.h).
fn default_route(table: &str) -> Option<(String, bool)> {
    const ANNOUNCED: u32 = 0x0004_0000;
    /// `RTF_REJECT`.
    const REJECT: u32 = 0x0200;
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [to, length, .., flags, link] = words.as_slice() else {
            return None;
        };
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let is_default = to.bytes().all(|digit| digit == b'0') && *length == "00";
        let leads_out = *link != "lo" && flags & REJECT == 0;
        (is_default && leads_out).then(|| ((*link).to_owned(), flags & ANNOUNCED != 0))
    })
}

fn judge_ipv6(found: Ipv6) -> Check {
    const NAME: Message = Message::CheckIpv6;
    match found {
        Ipv6 { is_on: false, .. } => Check::ok(NAME, Message::Ipv6Off),
        Ipv6 {
            has_default_route: false,
            ..
        } => Check::ok(NAME, Message::Ipv6Local),
        Ipv6 {
            forwards: true,
            is_announced: true,
            accepts_announcements: false,
            ..
        } => {
            let link = network::uplink().unwrap_or_else(|| "eth0".to_owned());
            let fix = run(format!("sysctl -w net.ipv6.conf.{link}.accept_ra=2"));
            Check::warn(NAME, Message::Ipv6RouteEnds, fix)
        }
        Ipv6 {
            forwards: false, ..
        } => Check::ok(NAME, Message::Ipv6NotForwarded),
        _ => Check::ok(NAME, Message::Ipv6Forwarded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn a_small_uplink_and_tunnels_that_do_not_fit_are_reported() {
        assert_eq!(judge_mtu(1500, 1420, Some(1420)).state, State::Ok);
        assert_eq!(judge_mtu(1492, 1412, None).state, State::Ok);
        let larger = judge_mtu(1400, 1320, Some(1420));
        assert_eq!(
            larger.message,
            Message::TunnelsLarger {
                largest: 1420,
                uplink: 1400,
                tunnel: 1320
            }
        );
        let small = judge_mtu(1300, 1280, Some(1280));
        assert_eq!(small.message, Message::UplinkSmall { uplink: 1300 });
    }

    #[test]
    fn the_default_route_of_ipv6_is_found() {
        let zeros = "0".repeat(32);
        let line = |to: &str, length: &str, flags: &str, link: &str| {
            format!("{to} {length} {zeros} 00 {zeros} 00000400 00000001 00000000 {flags} {link}\n")
        };
        let unreachable = line(&zeros, "00", "00200200", "lo");
        assert_eq!(default_route(&unreachable), None);
        let address = line("fe800000000000000000000000000001", "80", "80200001", "eth0");
        let announced = line(&zeros, "00", "00450003", "eth0");
        let table = format!("{unreachable}{address}{announced}");
        assert_eq!(default_route(&table), Some(("eth0".to_owned(), true)));
        let fixed = line(&zeros, "00", "00000003", "eth1");
        assert_eq!(default_route(&fixed), Some(("eth1".to_owned(), false)));
    }

    #[test]
    fn a_default_route_that_will_end_is_reported() {
        let found = Ipv6 {
            is_on: true,
            has_default_route: true,
            forwards: true,
            is_announced: true,
            accepts_announcements: false,
        };
        assert_eq!(judge_ipv6(found).state, State::Warn);
        for fine in [
            Ipv6::default(),
            Ipv6 {
                accepts_announcements: true,
                ..found
            },
            Ipv6 {
                is_announced: false,
                ..found
            },
            Ipv6 {
                forwards: false,
                ..found
            },
        ] {
            assert_eq!(judge_ipv6(fine).state, State::Ok, "{fine:?}");
        }
    }
}
