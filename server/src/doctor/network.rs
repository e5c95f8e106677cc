//! Whether this machine's own networks and programs use our address ranges or the
//! tunnels' UDP ports.

use super::{engines, report::Check};
use domain::{AddressPlan, Message, Slot, marks::BRIDGE};
use ipnet::Ipv4Net;
use std::{fs, net::Ipv4Addr, path::Path};

/// A route of the host that overlaps with one of our ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Clash {
    /// E.g. `eth0`.
    interface: String,
    route: Ipv4Net,
    /// Our range that it overlaps with.
    ours: Ipv4Net,
}

/// Returns a message for each clash with this machine's own networks.
pub fn network_clashes(plan: &AddressPlan) -> Vec<Message> {
    clashes(plan, &networks()).iter().map(message).collect()
}

/// Returns the machine's networks with what has them: its routes, and what other container
/// engines will make.
pub(crate) fn networks() -> Vec<(String, Ipv4Net)> {
    let mut all = routes();
    all.extend(engines::ranges());
    all
}

/// Returns the link of the default route with the lowest metric, e.g. `eth0`.
pub(super) fn uplink() -> Option<String> {
    uplink_of(&fs::read_to_string("/proc/net/route").unwrap_or_default())
}

fn uplink_of(table: &str) -> Option<String> {
    let defaults = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_default = words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000");
        let metric: u32 = words.get(6)?.parse().ok()?;
        is_default.then(|| {
            (
                metric,
                words.first().copied().unwrap_or_default().to_owned(),
            )
        })
    });
    defaults.min().map(|(_, link)| link)
}

pub(super) fn check(plan: &AddressPlan) -> Check {
    const NAME: Message = Message::CheckAddresses;
    match clashes(plan, &networks()).first() {
        None => Check::ok(
            NAME,
            Message::AddressesFree {
                tunnels: plan.tunnels.to_string(),
                containers: plan.containers.to_string(),
            },
        ),
        Some(clash) => Check::bad(NAME, message(clash), Message::FixAddresses),
    }
}

fn message(c: &Clash) -> Message {
    Message::AddressesClash {
        range: c.route.to_string(),
        interface: c.interface.clone(),
        ours: c.ours.to_string(),
    }
}

/// Reads the main routing table (`proc_net(5)`).
fn routes() -> Vec<(String, Ipv4Net)> {
    parse(&fs::read_to_string("/proc/net/route").unwrap_or_default())
}

/// Parses lines of interface, destination, gateway, flags, …, mask. The numbers
/// are hexadecimal, in the byte order of the machine's memory.
fn parse(table: &str) -> Vec<(String, Ipv4Net)> {
    let number = |text: &str| {
        u32::from_str_radix(text, 16)
            .ok()
            .map(|n| Ipv4Addr::from(n.to_ne_bytes()))
    };
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let interface = words.next()?.to_owned();
            let destination = number(words.next()?)?;
            let mask = number(words.nth(5)?)?;
            Some((interface, Ipv4Net::with_netmask(destination, mask).ok()?))
        })
        .collect()
}

/// Returns the routes of others that overlap with our ranges. The kernel prefers
/// our more specific routes to the default route and to a wider one, but then
/// nothing in our range can be reached by the wider one. So every route that is
/// smaller than a /8 counts.
fn clashes(plan: &AddressPlan, routes: &[(String, Ipv4Net)]) -> Vec<Clash> {
    let ours = |name: &str| Slot::of_interface(name).is_some() || name == BRIDGE;
    let mut found = Vec::new();
    for (interface, route) in routes
        .iter()
        .filter(|(name, route)| !ours(name) && route.prefix_len() > 8)
    {
        for range in [plan.tunnels, plan.containers] {
            if range.contains(route) || route.contains(&range) {
                found.push(Clash {
                    interface: interface.clone(),
                    route: *route,
                    ours: range,
                });
            }
        }
    }
    found
}

/// Checks whether the tunnels' UDP ports are free or used by our tunnels.
pub(super) fn tunnel_ports() -> Check {
    const NAME: Message = Message::CheckUdpPorts;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let table = read("/proc/net/udp") + &read("/proc/net/udp6");
    let is_up = |slot: Slot| Path::new("/sys/class/net").join(slot.interface()).exists();
    let taken = foreign_ports(&table, is_up);
    match taken.first() {
        None => Check::ok(NAME, Message::UdpPortsFree),
        Some(port) => Check::warn(
            NAME,
            Message::UdpPortsTaken {
                count: taken.len() as u64,
                first: (*port).into(),
            },
            Message::FixUdpPorts {
                port: (*port).into(),
            },
        ),
    }
}

/// Returns the tunnels' ports that are in use although their slot has no
/// interface.
fn foreign_ports(table: &str, is_up: impl Fn(Slot) -> bool) -> Vec<u16> {
    let port = |line: &str| {
        let local = line.split_ascii_whitespace().nth(1)?;
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
    };
    let mut used: Vec<u16> = table
        .lines()
        .filter_map(port)
        .filter(|p| (51_800..=52_800).contains(p))
        .collect();
    used.sort_unstable();
    used.dedup();
    let of_ours = |p: &u16| Slot::all().any(|s| s.listen_port() == *p && is_up(s));
    used.retain(|p| !of_ours(p));
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        wg1\t0001580A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        mn0\t00005C0A\t00000000\t0001\t0\t0\t0\t00F8FFFF\t0\t0\t0\n";

    #[test]
    fn the_routing_table_is_parsed() {
        let routes = parse(ROUTES);
        let nets: Vec<String> = routes.iter().map(|(i, n)| format!("{i} {n}")).collect();
        assert_eq!(
            nets,
            [
                "eth0 0.0.0.0/0",
                "eth0 172.17.0.0/16",
                "wg1 10.88.1.0/24",
                "mn0 10.92.0.0/21"
            ]
        );
        assert!(
            clashes(&AddressPlan::default(), &routes).is_empty(),
            "our own routes are not clashes"
        );
        assert!(parse("").is_empty() && parse("x\ny z\n").is_empty());
        assert_eq!(uplink_of(ROUTES).as_deref(), Some("eth0"));
        assert_eq!(uplink_of(""), None);
    }

    #[test]
    fn overlapping_routes_are_found_except_very_wide_ones() {
        let clash = |net: &str| {
            let routes = [("tun0".to_owned(), net.parse().unwrap())];
            clashes(&AddressPlan::default(), &routes)
                .into_iter()
                .map(|c| c.ours.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(clash("10.88.5.0/24"), ["10.88.0.0/14"]);
        assert_eq!(clash("10.88.0.0/14"), ["10.88.0.0/14"]);
        assert_eq!(clash("10.92.4.1/32"), ["10.92.0.0/21"]);
        assert_eq!(clash("10.64.0.0/10"), ["10.88.0.0/14", "10.92.0.0/21"]);
        assert!(clash("0.0.0.0/0").is_empty() && clash("10.0.0.0/8").is_empty());
        assert!(clash("192.168.0.0/16").is_empty() && clash("10.93.0.0/16").is_empty());
    }

    #[test]
    fn a_port_is_foreign_without_its_tunnel() {
        // 51821 = 0xCA6D (slot 1), 51822 = 0xCA6E (slot 2), 53.
        let table = "  sl  local_address rem_address\n 1: 00000000:CA6D 00000000:0000 07\n 2: 0100007F:CA6E 00000000:0000 07\n 3: 00000000:0035 00000000:0000 07\n";
        assert_eq!(foreign_ports(table, |s| s.get() == 1), [51_822]);
        assert_eq!(foreign_ports(table, |_| false), [51_821, 51_822]);
        assert!(foreign_ports("", |_| false).is_empty());
    }
}
