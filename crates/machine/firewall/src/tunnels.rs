//! Limits on the packets that arrive at tenants' ports of WireGuard, before they cost
//! more than a look: in prerouting before connection tracking, for IPv4 and IPv6.
//!
//! All tenants' packets are decrypted by the same processors, for userspace WireGuard by
//! the same process. What lies behind the tunnel (speed, connections, DNS) is counted
//! after that. So a tenant's devices together have a rate of packets that suffices for
//! their plan ([`PacketRate`]).
//!
//! # Who is counted where
//! The tenant's rate must not be used up by strangers, and neither a device's address nor
//! a key of WireGuard says who sent a packet. But WireGuard answers only what it could
//! authenticate. So an endpoint (address and port) to which it has sent a response or
//! data in the last minutes is that of a device of this tenant.
//!
//! - Packets from such *endpoints* count for the tenant's rate, handshakes included. Who
//!   does not see the device's packets does not know its address and port, so it cannot
//!   use up this rate, and established sessions go on during a flood.
//! - *Handshake initiations* from elsewhere are limited for each address. For all of them
//!   together there is only a high bound per tenant, because a low one would let a
//!   stranger with many (forged) addresses keep devices out. A device tries again every
//!   5 s for 90 s; to leave it a chance of less than a half, 130,000 packets a second are
//!   necessary, as many as fill a processor without the limit.
//! - *Other packets* from elsewhere are those of a device whose address has changed, until
//!   the first answer. They are limited for each address and, lower, for all together:
//!   a device that is not heard begins a handshake after 15 s. A device with forged
//!   addresses thus does not exceed its tenant's rate by much.
//!
//! An endpoint is forgotten after 5 minutes without an answer. A device that sends
//! anything has one every 10 s, and a new handshake every 2 minutes. How many a tenant
//! can add is limited, so that the sets do not fill up; what is not added is treated as
//! from elsewhere.
//!
//! # How the rate is stored
//! The kernel cannot take a rate from a map. There were two ways: an object `limit` for
//! each tenant, to which a map leads from the port; or a chain for each of some rates, with
//! a set of its own, and a map from the port to a chain. Objects have the exact rate. But
//! `nft` reads all objects of the machine for each change: with 1,000 of them, adding a
//! tenant took 6.1 ms instead of 4.2 and removing it 25 instead of 20; with chains, the
//! same as without. So there are chains, in steps of the square root of two
//! ([`PacketRate`]); one more element per tenant, and its chain's name has the rate. The
//! chains' sets are not one, because an element keeps the rate with which it was made.
//!
//! # What is a packet
//! Netfilter counts what the network card's driver delivers. Linux merges UDP packets of
//! equal size only for a socket that asks for it (`UDP_GRO`), which neither the kernel's
//! WireGuard does nor ours (`wireguard/src/userspace/sockets.rs`). Where the operator has
//! switched on `rx-gro-list` of a card, up to 64 count as one, and so do those that a
//! container or another virtual machine of the same host has not divided.
//!
//! Sources: `nft(8)`, `linux/net/netfilter/nft_limit.c`, `linux/net/ipv4/udp_offload.c`,
//! the whitepaper of WireGuard (5.4: messages, 6: timers).

use crate::model::{Chain, Rule, base, chain, rule};
use provisioning::spec::PacketRate;

/// The map from a tenant's port to the chain of its rate.
pub(crate) const MAP: &str = "tunnels";

/// Returns the name of the chain for a rate, e.g. `at_22624`.
pub(crate) fn chain_of(rate: PacketRate) -> String {
    format!("{CHAIN_PREFIX}{rate}")
}

/// Returns the rate for which a chain is; `None` for other chains.
pub(crate) fn rate_of(chain: &str) -> Option<PacketRate> {
    let rate = PacketRate::of(chain.strip_prefix(CHAIN_PREFIX)?.parse().ok()?)?;
    (chain_of(rate) == chain).then_some(rate)
}

const CHAIN_PREFIX: &str = "at_";

/// The ports of all slots.
const PORTS: &str = "51800-52800";
/// A handshake initiation: type 1, 148 bytes.
const INITIATION: &str = "udp length 156 @th,64,32 0x01000000";
/// What only an authenticated device is sent: handshake responses and data.
const TO_DEVICES: &str = "@th,64,32 { 0x02000000, 0x04000000 }";

/// Returns the declarations of the map and of the sets whose elements the kernel makes.
pub(crate) fn declarations() -> impl Iterator<Item = String> {
    let of_rates = PacketRate::all().map(|rate| {
        format!("set packets_{rate} {{ type inet_service; size 1024; flags dynamic,timeout; timeout 10s; }}")
    });
    SETS.map(str::to_owned).into_iter().chain(of_rates)
}

/// An element of a set of rates lives longer than its burst needs to be available again.
const SETS: [&str; 10] = [
    "map tunnels { type inet_service : verdict; }",
    "set endpoints { type inet_service . ipv4_addr . inet_service; size 262144; flags dynamic,timeout; timeout 5m; }",
    "set endpoints6 { type inet_service . ipv6_addr . inet_service; size 131072; flags dynamic,timeout; timeout 5m; }",
    "set new_endpoints { type inet_service; size 2048; flags dynamic,timeout; timeout 3m; }",
    "set initiators { type inet_service . ipv4_addr; size 65536; flags dynamic,timeout; timeout 10s; }",
    "set initiators6 { type inet_service . ipv6_addr; size 65536; flags dynamic,timeout; timeout 10s; }",
    "set initiations { type inet_service; size 2048; flags dynamic,timeout; timeout 10s; }",
    "set strangers { type inet_service . ipv4_addr; size 65536; flags dynamic,timeout; timeout 10s; }",
    "set strangers6 { type inet_service . ipv6_addr; size 65536; flags dynamic,timeout; timeout 10s; }",
    "set strange { type inet_service; size 2048; flags dynamic,timeout; timeout 10s; }",
];

/// Returns the chains.
pub(crate) fn chains() -> Vec<Chain> {
    let of_rates = PacketRate::all().map(|rate| {
        // A quarter of a second's packets may come at once.
        let (packets, burst) = (rate.per_second(), rate.per_second().div_ceil(4));
        let text = per_second(&format!("packets_{rate}"), "udp dport", packets, burst);
        chain(
            chain_of(rate),
            vec![rule(text, "packets of a tenant's devices")],
        )
    });
    let others = [
        base(
            "raw_prerouting",
            "filter",
            "prerouting",
            -300,
            vec![rule(
                // What is forwarded has the ports of other servers.
                format!("udp dport {PORTS} fib daddr type != unicast goto to_tunnel"),
                "packets to a tenant's port",
            )],
        ),
        chain("to_tunnel", to_tunnel()),
        chain(
            "from_device",
            vec![rule(
                "udp dport vmap @tunnels",
                "to the chain of the tenant's rate",
            )],
        ),
        chain("initiation", initiation()),
        base(
            "raw_output",
            "filter",
            "output",
            -300,
            vec![rule(
                format!("udp sport {PORTS} {TO_DEVICES} goto to_device"),
                "packets to a device",
            )],
        ),
        chain("to_device", to_device()),
    ];
    others.into_iter().chain(of_rates).collect()
}

/// Returns the rule, for packets that are forwarded, by which a device of a tenant that
/// has moved becomes known: the answers of its new node pass through this one.
pub(crate) fn answers_of_another_node() -> Rule {
    rule(
        format!("ct status dnat udp sport {PORTS} ct direction reply {TO_DEVICES} goto to_device"),
        "packets of another node to a device",
    )
}

fn to_tunnel() -> Vec<Rule> {
    vec![
        rule(
            "udp dport . ip saddr . udp sport @endpoints goto from_device",
            "from a device",
        ),
        rule(
            "udp dport . ip6 saddr . udp sport @endpoints6 goto from_device",
            "from a device, by IPv6",
        ),
        rule(format!("{INITIATION} goto initiation"), "a handshake"),
        rule(
            per_second("strangers", "udp dport . ip saddr", 1_000, 1_000),
            "other packets from an unknown address",
        ),
        rule(
            per_second("strangers6", SITE6, 1_000, 1_000),
            "other packets from an unknown network of IPv6",
        ),
        rule(
            per_second("strange", "udp dport", 2_000, 2_000),
            "other packets from unknown addresses",
        ),
    ]
}

fn initiation() -> Vec<Rule> {
    vec![
        // Many devices can have one address.
        rule(
            per_second("initiators", "udp dport . ip saddr", 20, 100),
            "handshakes from an unknown address",
        ),
        rule(
            per_second("initiators6", SITE6, 20, 100),
            "handshakes from an unknown network of IPv6",
        ),
        rule(
            per_second("initiations", "udp dport", 5_000, 5_000),
            "handshakes from unknown addresses",
        ),
    ]
}

/// The port, and the network of a subscriber.
const SITE6: &str = "udp dport . ip6 saddr & ffff:ffff:ffff:ffff::";

fn to_device() -> Vec<Rule> {
    const KEY: &str = "udp sport . ip daddr . udp dport";
    const KEY6: &str = "udp sport . ip6 daddr . udp dport";
    vec![
        rule(
            format!("{KEY} @endpoints update @endpoints {{ {KEY} }} accept"),
            "it is known",
        ),
        rule(
            format!("{KEY6} @endpoints6 update @endpoints6 {{ {KEY6} }} accept"),
            "it is known, by IPv6",
        ),
        // A tenant has at most 253 devices.
        rule(
            "update @new_endpoints { udp sport limit rate over 2/second burst 253 packets } counter accept",
            "too many of a tenant are new",
        ),
        rule(format!("add @endpoints {{ {KEY} }}"), "it becomes known"),
        rule(
            format!("add @endpoints6 {{ {KEY6} }}"),
            "it becomes known, by IPv6",
        ),
    ]
}

/// Drops packets beyond a rate.
fn per_second(set: &str, key: &str, rate: u32, burst: u32) -> String {
    format!(
        "update @{set} {{ {key} limit rate over {rate}/second burst {burst} packets }} counter drop"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Slot;

    #[test]
    fn a_chains_name_tells_its_rate() {
        for rate in PacketRate::all() {
            assert_eq!(rate_of(&chain_of(rate)), Some(rate));
        }
        for other in [
            "", "at_", "at_0", "at_01000", "at_+1000", "at_1001", "timeouts",
        ] {
            assert_eq!(rate_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_ports_are_those_of_all_slots() {
        let ports: Vec<u16> = Slot::all().map(Slot::listen_port).collect();
        let range = format!(
            "{}-{}",
            ports.iter().min().unwrap(),
            ports.iter().max().unwrap()
        );
        assert_eq!(range, PORTS);
        assert!(SETS[0].starts_with(&format!("map {MAP} ")));
    }
}
