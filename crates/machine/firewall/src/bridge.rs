//! The `bridge` table: frames between containers, and frames whose sender claims to
//! be another container.
//!
//! Packets that a bridge forwards between its ports do not meet the `inet` hooks, and
//! ARP meets none of them. A container's MAC address is derived from its IPv4 address
//! (as Docker did before version 28), so the pairs of both are constant. They are a
//! set, because nftables before 1.1 cannot compare two fields of a packet. The rules
//! recognise our bridge by addresses and not by `meta ibrname`, which is a kernel
//! module of its own that smaller kernels lack.

use crate::{
    model::{Chain, base, rule},
    settings::FirewallSettings,
};
use domain::{AddressPlan, Slot};
use std::{collections::BTreeSet, net::Ipv4Addr};

/// A container's MAC address as `02:42:` and its IPv4 address in hexadecimal, and that
/// address.
pub type Pair = (String, Ipv4Addr);

/// The set of pairs, without its elements.
pub(crate) const PAIRS: &str = "pairs";

/// Returns the MAC address of the container with this address.
fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// Returns the pairs of all containers that the plan provides for.
pub(crate) fn pairs(plan: &AddressPlan) -> BTreeSet<Pair> {
    Slot::all()
        .map(|slot| plan.container(slot))
        .map(|address| (mac(address), address))
        .collect()
}

/// Returns the declaration of the set of pairs.
pub(crate) fn set(plan: &AddressPlan) -> String {
    let list: Vec<_> = pairs(plan)
        .iter()
        .map(|(mac, address)| format!("{mac} . {address}"))
        .collect();
    format!(
        "set {PAIRS} {{ type ether_addr . ipv4_addr; elements = {{ {} }}; }}",
        list.join(", ")
    )
}

/// Returns the chains of the table.
pub(crate) fn chains(s: &FirewallSettings) -> Vec<Chain> {
    let containers = s.addresses.containers.trunc();
    let macs = format!(
        "{}-{}",
        mac(containers.network()),
        mac(containers.broadcast())
    );
    vec![
        base(
            "prerouting",
            "filter",
            "prerouting",
            -300,
            vec![
                rule(
                    format!(
                        "arp saddr ip {containers} ether saddr . arp saddr ip != @{PAIRS} counter drop"
                    ),
                    "ARP claims an address of another container or of the host",
                ),
                rule(
                    format!(
                        "arp saddr ip {containers} arp saddr ether . arp saddr ip != @{PAIRS} counter drop"
                    ),
                    "ARP claims it for another MAC address",
                ),
                rule(
                    format!(
                        "ip saddr {containers} ether saddr . ip saddr != @{PAIRS} counter drop"
                    ),
                    "an address of another container or of the host",
                ),
                rule(
                    format!(
                        "ether saddr {macs} ether type arp arp saddr ip != {containers} counter drop"
                    ),
                    "ARP claims an address outside the bridge's range",
                ),
                rule(
                    format!("ether saddr {macs} ether type != {{ ip, arp }} counter drop"),
                    "neither IPv4 nor ARP",
                ),
            ],
        ),
        base(
            "forward",
            "filter",
            "forward",
            0,
            vec![
                rule(
                    format!("ether saddr {macs} counter drop"),
                    "from a container to another port",
                ),
                rule(
                    format!("ether daddr {macs} counter drop"),
                    "from another port to a container",
                ),
                rule(
                    format!("ip saddr {containers} counter drop"),
                    "from container to container",
                ),
                rule(
                    format!("ip daddr {containers} counter drop"),
                    "to a container on the same bridge",
                ),
                rule(
                    format!("arp saddr ip {containers} counter drop"),
                    "ARP from container to container",
                ),
                rule(
                    format!("arp daddr ip {containers} counter drop"),
                    "ARP to a container on the same bridge",
                ),
            ],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_has_a_mac_address_of_its_own() {
        let all = pairs(&AddressPlan::default());
        assert_eq!(all.len(), 1000);
        let first = ("02:42:0a:5c:01:01".to_owned(), Ipv4Addr::new(10, 92, 1, 1));
        assert!(all.contains(&first));
    }
}
