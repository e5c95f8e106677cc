//! What the host reaches by IPv6 without a router, from the kernel's routes. In a LAN these
//! are its machines: their addresses are public, so that no range tells them apart.

use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// The routes of this thread's network namespace (`net/ipv6/route.c`,
/// `rt6_info_route`): destination, its length, source, its length, gateway, metric, two
/// counters, flags and interface; numbers in hexadecimal.
const ROUTES: &str = "/proc/thread-self/net/ipv6_route";

/// `RTF_UP` (linux/route.h).
const UP: u32 = 0x1;
/// `RTF_GATEWAY`, `RTF_REJECT`, and of linux/ipv6_route.h `RTF_ANYCAST`, `RTF_CACHE` and
/// `RTF_LOCAL`.
const OTHERS: u32 = 0x2 | 0x200 | 0x10_0000 | 0x0100_0000 | 0x8000_0000;
/// A shorter one is a way to the internet, through a link without routers.
const SHORTEST: u8 = 32;

/// Returns the public networks that the host reaches without a router, sorted. Without IPv6
/// there are none.
pub(crate) fn neighbours() -> Vec<Ipv6Net> {
    let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
    let mut all: Vec<_> = routes.lines().filter_map(neighbour).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Parses a route; `None` for any other.
fn neighbour(route: &str) -> Option<Ipv6Net> {
    let parts: Vec<&str> = route.split_whitespace().collect();
    let [destination, length, .., flags, interface] = parts.as_slice() else {
        return None;
    };
    let address = Ipv6Addr::from(u128::from_str_radix(destination, 16).ok()?);
    let length = u8::from_str_radix(length, 16).ok()?;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let is_global = address.segments()[0] & 0xe000 == 0x2000;
    let is_direct = flags & UP != 0 && flags & OTHERS == 0;
    let is_meant = is_global && is_direct && length >= SHORTEST && *interface != "lo";
    is_meant.then(|| Ipv6Net::new(address, length).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_networks_without_a_router_are_neighbours() {
        let zero = "0".repeat(32);
        let route = |to: &str, length: &str, gateway: &str, flags: &str, interface: &str| {
            let line = format!(
                "{to} {length} {zero} 00 {gateway} 00000100 00000001 00000000 {flags}   {interface}"
            );
            neighbour(&line).map(|net| net.to_string())
        };
        let lan = "20010db8000100000000000000000000";
        let router = "fe800000000000000000000000000001";
        assert_eq!(
            route(lan, "40", &zero, "00000001", "eth0").as_deref(),
            Some("2001:db8:1::/64")
        );
        for other in [
            route(&zero, "00", router, "00000003", "eth0"),
            route(lan, "40", router, "00000003", "eth0"),
            route(&zero, "00", &zero, "00000001", "ppp0"),
            route(
                "20000000000000000000000000000000",
                "03",
                &zero,
                "00000001",
                "he0",
            ),
            route(
                "fd000000000000000000000000000000",
                "40",
                &zero,
                "00000001",
                "eth0",
            ),
            route(
                "fe800000000000000000000000000000",
                "40",
                &zero,
                "00000001",
                "eth0",
            ),
            route(lan, "80", &zero, "80200001", "eth0"),
            route(lan, "40", &zero, "00200200", "lo"),
            neighbour("").map(|net| net.to_string()),
            neighbour("a b").map(|net| net.to_string()),
        ] {
            assert_eq!(other, None);
        }
    }
}
