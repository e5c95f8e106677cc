//! The addresses of the resolvers that the operator named: what containers may ask in
//! private ranges, too.

use std::{collections::BTreeSet, net::Ipv4Addr};

/// Returns the IPv4 addresses among resolvers in AdGuard Home's notation: `9.9.9.10`,
/// `192.168.1.1:5353`, `tls://…`, `https://…/dns-query`, and several of them after
/// `[/lan/]`, which are asked for names below `lan`. A resolver with a host name has
/// none.
pub(super) fn addresses<'a>(resolvers: impl IntoIterator<Item = &'a str>) -> BTreeSet<Ipv4Addr> {
    let all = resolvers.into_iter().flat_map(without_domains);
    all.filter_map(address).collect()
}

/// Returns the resolvers of an entry, without the names that they are asked for.
fn without_domains(entry: &str) -> std::str::SplitWhitespace<'_> {
    // A comment, as in AdGuard Home.
    let entry = entry.split('#').next().unwrap_or_default().trim();
    let resolvers = entry
        .strip_prefix("[/")
        .and_then(|rest| rest.split_once("/]"));
    resolvers
        .map_or(entry, |(_, after)| after)
        .split_whitespace()
}

fn address(resolver: &str) -> Option<Ipv4Addr> {
    let authority = resolver.split_once("://").map_or(resolver, |(_, a)| a);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let host = host.split_once(':').map_or(host, |(h, _)| h);
    let address: Ipv4Addr = host.parse().ok()?;
    (!address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_with_an_address_is_known() {
        for (text, expected) in [
            ("192.0.2.53", "192.0.2.53"),
            (" 192.168.1.1:5353 ", "192.168.1.1"),
            ("udp://192.0.2.53", "192.0.2.53"),
            ("tcp://192.0.2.53:53", "192.0.2.53"),
            ("tls://192.0.2.53", "192.0.2.53"),
            ("https://192.0.2.53/dns-query", "192.0.2.53"),
            (
                "https://user:word@192.0.2.53:444/dns-query?x=1",
                "192.0.2.53",
            ),
            ("quic://192.0.2.53:853", "192.0.2.53"),
            ("[/lan/168.192.in-addr.arpa/]192.168.1.1", "192.168.1.1"),
        ] {
            let found: Vec<_> = addresses([text]).iter().map(ToString::to_string).collect();
            assert_eq!(found, [expected], "{text}");
        }
        assert_eq!(addresses(["[/lan/]192.168.1.1 192.168.1.2"]).len(), 2);
    }

    #[test]
    fn a_name_is_no_address() {
        for text in [
            "https://dns10.quad9.net/dns-query",
            "tls://1.1.1.1.example",
            "sdns://AgcAAAAAAAAABzEuMC4wLjGgENk8mGSlIfMGXMOlIlCcKvq7AVgcrZxtjon911-ep0cg",
            "https://2130706433/",
            "[2001:db8::1]:53",
            "tls://[::ffff:192.0.2.1]",
            "[/lan/]#",
            "# 192.0.2.1",
            "0.0.0.0",
            "192.0.2",
            "١٩٢.0.2.1",
            "",
            "[/",
        ] {
            let found = addresses([text]);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }
}
