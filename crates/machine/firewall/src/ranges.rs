//! The ranges of addresses that rules name.

use crate::settings::FirewallSettings;
use ipnet::Ipv4Net;
use std::{collections::BTreeSet, fmt::Write};

/// Destinations that tenants may not reach: "this network", private, shared,
/// loopback, link-local (with the metadata services), protocol assignments
/// (Oracle's metadata), Azure's wire server, multicast and reserved. RFC 6890.
const FORBIDDEN: [&str; 10] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "224.0.0.0/3",
];

/// Returns the set of the ranges of tunnels and containers.
pub(crate) fn ours(s: &FirewallSettings) -> String {
    format!(
        "{{ {}, {} }}",
        s.addresses.tunnels.trunc(),
        s.addresses.containers.trunc()
    )
}

/// Returns the match of destinations that are forbidden, except the allowed ones.
pub(crate) fn forbidden(allowed: &[Ipv4Net]) -> String {
    let mut text = format!("ip daddr {{ {} }}", FORBIDDEN.join(", "));
    if !allowed.is_empty() {
        // The ranges are merged, because nft rejects overlapping ones.
        let allowed: Vec<_> = Ipv4Net::aggregate(&allowed.to_vec())
            .iter()
            .map(|n| n.trunc().to_string())
            .collect();
        let _ = write!(text, " ip daddr != {{ {} }}", allowed.join(", "));
    }
    text
}

/// Returns the set of the resolvers, or `None` if there are none.
pub(crate) fn resolvers(s: &FirewallSettings) -> Option<String> {
    let all: BTreeSet<_> = s.resolvers.iter().collect();
    let list: Vec<_> = all.iter().map(ToString::to_string).collect();
    (!list.is_empty()).then(|| format!("{{ {} }}", list.join(", ")))
}
