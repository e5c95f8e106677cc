//! The public resolvers that encrypt, which a device whose policy is a lock does not reach.
//! The list is compiled in; `known_resolvers.txt` has its date and its sources. It cannot
//! be complete: a resolver that it does not name, and a VPN inside the tunnel, get past it.

use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LIST: &str = include_str!("known_resolvers.txt");

/// The names of Apple's iCloud Private Relay, which carries DNS past the network's resolver.
/// Apple's devices do without it where these names do not exist
/// (developer.apple.com, "Prepare your network or web server for iCloud Private Relay").
pub const RELAY_NAMES: [&str; 3] = [
    "mask.icloud.com",
    "mask-h2.icloud.com",
    "mask.apple-dns.net",
];

fn entries() -> impl Iterator<Item = &'static str> {
    let lines = LIST.lines().map(str::trim);
    lines.filter(|l| !l.is_empty() && !l.starts_with('#'))
}

fn is_address(entry: &str) -> bool {
    let (address, _) = entry.split_once('/').unwrap_or((entry, ""));
    address.parse::<IpAddr>().is_ok()
}

/// Returns the names of the resolvers. Names below them are theirs too.
pub fn names() -> impl Iterator<Item = &'static str> {
    entries().filter(|e| !is_address(e))
}

/// Returns the resolvers' networks of IPv4, sorted and without overlaps.
pub fn ipv4() -> Vec<Ipv4Net> {
    let net = |e: &str| e.parse::<Ipv4Net>().ok();
    let single = |e: &str| e.parse::<Ipv4Addr>().ok().map(Ipv4Net::from);
    let all: Vec<_> = entries()
        .filter_map(|e| net(e).or_else(|| single(e)))
        .collect();
    let mut all = Ipv4Net::aggregate(&all);
    all.sort();
    all
}

/// Returns the resolvers' networks of IPv6, sorted and without overlaps.
pub fn ipv6() -> Vec<Ipv6Net> {
    let net = |e: &str| e.parse::<Ipv6Net>().ok();
    let single = |e: &str| e.parse::<Ipv6Addr>().ok().map(Ipv6Net::from);
    let all: Vec<_> = entries()
        .filter_map(|e| net(e).or_else(|| single(e)))
        .collect();
    let mut all = Ipv6Net::aggregate(&all);
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_entry_is_a_name_or_an_address() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            assert!(seen.insert(entry), "{entry} is there twice");
            let is_net = entry.parse::<Ipv4Net>().is_ok() || entry.parse::<Ipv6Net>().is_ok();
            let is_single = entry.parse::<IpAddr>().is_ok();
            let is_name = entry.contains('.')
                && !entry.contains("..")
                && entry.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'
                });
            assert!(
                is_net || is_single || is_name && !is_address(entry),
                "{entry}"
            );
        }
        assert!(names().count() > 80 && ipv4().len() > 50 && ipv6().len() > 40);
    }

    #[test]
    fn the_resolvers_that_programs_know_are_listed() {
        let v4 = ipv4();
        for known in [
            "8.8.8.8",
            "1.1.1.1",
            "9.9.9.9",
            "162.159.61.4",
            "45.90.28.7",
        ] {
            let known: Ipv4Addr = known.parse().unwrap();
            assert!(v4.iter().any(|n| n.contains(&known)), "{known}");
        }
        // Browsers' and systems' own.
        for known in [
            "dns.google",
            "cloudflare-dns.com",
            "dns.quad9.net",
            "dns.nextdns.io",
        ] {
            assert!(names().any(|n| n == known), "{known}");
        }
        // None is private, and the default upstream is among them: containers are no devices.
        assert!(
            v4.iter()
                .all(|n| n.prefix_len() >= 24 && !n.addr().is_private())
        );
    }
}
