//! The rules for tenants' IPv6, in the chains that those of IPv4 lead to: who may reach what.
//!
//! They are those of IPv4 with three differences:
//! - a tenant has a /64, so its addresses are looked up without their last half;
//! - where the host has no route to a destination, the device learns so at once, and uses
//!   IPv4. The kernel is asked at each packet, so this follows the host's routes;
//! - what the host reaches without a router is not reached from tunnels: in a LAN these are
//!   its machines, with public addresses.

use crate::{
    model::{Chain, Rule, chain, rule},
    ports::TENANT_PORTS,
    settings::FirewallSettings,
};
use domain::marks::DNS_RELAY_PORT;
use ipnet::Ipv6Net;

/// The sets that contain the tenants' addresses of IPv6: of a network the first address.
/// `prefix6` has the installation's prefix, once there was a tenant with IPv6.
pub(crate) const SETS: [&str; 4] = [
    "set net6 { type ifname . ipv6_addr; }",
    "set prefix6 { type ipv6_addr; }",
    "set mesh6 { type ifname . ipv6_addr; }",
    "set locked6 { type ifname . ipv6_addr; }",
];

/// The /64 of an address.
const SOURCE_NET: &str = "ip6 saddr & ffff:ffff:ffff:ffff::";
const DESTINATION_NET: &str = "ip6 daddr & ffff:ffff:ffff:ffff::";
/// An address of the installation's /48.
const IS_FROM_US: &str = "ip6 saddr & ffff:ffff:ffff:: @prefix6";
const IS_TO_US: &str = "ip6 daddr & ffff:ffff:ffff:: @prefix6";
/// Gateways have the address ::1 of their /64.
const IS_GATEWAY: &str = "ip6 daddr & ::ffff:ffff:ffff:ffff == ::1";

/// A question of DNS.
const DNS: &str = "meta l4proto { tcp, udp } th dport 53";

/// Errors, redirects, neighbour discovery and all else but ping.
pub(crate) const ICMP_ERRORS: &str = "icmpv6 type != { echo-request, echo-reply } counter drop";

/// The addresses that are assigned to the internet (RFC 4291, 2.4; IANA's "IPv6 Global
/// Unicast Address Assignments"). What is outside is private, link-local, a metadata
/// service, or translated to IPv4 (64:ff9b::/96).
const GLOBAL: &str = "2000::/3";

/// Returns the rules for packets that come from elsewhere.
pub(crate) fn from_elsewhere() -> [Rule; 2] {
    [
        rule(
            format!("{IS_TO_US} counter drop"),
            "no way into tunnels from elsewhere, by IPv6",
        ),
        rule(
            format!("{IS_FROM_US} counter drop"),
            "our addresses of IPv6 from elsewhere are forged",
        ),
    ]
}

/// Returns the chains. `refuse` is what happens to what a device may not have, and `ports`
/// is the set of the ports of our own pages.
pub(crate) fn chains(s: &FirewallSettings, refuse: &str, ports: Option<&str>) -> Vec<Chain> {
    vec![
        chain("from_tunnel6", from_tunnel(s, refuse, ports)),
        chain(
            "to_gateway6",
            vec![
                rule(format!("{DNS} accept"), "DNS: it is redirected"),
                rule("icmpv6 type echo-request accept", "ping"),
                rule(refuse, "nothing else on the gateway"),
            ],
        ),
        chain(
            "mesh_check6",
            vec![
                rule(
                    "iifname . ip6 saddr @mesh6 iifname . ip6 daddr @mesh6 accept",
                    "both devices carry the mesh flag",
                ),
                rule(refuse, "a device outside the mesh"),
            ],
        ),
        chain(
            "to_tunnel6",
            vec![
                rule(
                    format!("oifname . {DESTINATION_NET} != @net6 counter drop"),
                    "an address of another tunnel",
                ),
                rule(
                    format!("iifname @ours iifname . {DESTINATION_NET} @net6 goto pass"),
                    "mesh, checked on its way in",
                ),
                rule("iifname @ours counter drop", "from tenant to tenant"),
                rule("oifname @stopped counter drop", "its data are used up"),
                rule("ct state established,related goto pass", "answers"),
                rule("counter drop", "no connection to a device"),
            ],
        ),
    ]
}

fn from_tunnel(s: &FirewallSettings, refuse: &str, ports: Option<&str>) -> Vec<Rule> {
    let mut rules = vec![
        rule(
            format!("iifname . {SOURCE_NET} != @net6 counter drop"),
            "forged source",
        ),
        rule(
            format!("iifname . {DESTINATION_NET} @net6 {IS_GATEWAY} goto to_gateway6"),
            "its own gateway",
        ),
        rule(
            "iifname . ip6 saddr @locked6 jump lock",
            "a device whose policy is a lock",
        ),
        rule(
            format!("iifname . {DESTINATION_NET} @net6 goto mesh_check6"),
            "its own devices",
        ),
        rule(format!("{IS_TO_US} {refuse}"), "other tenants"),
        // It is not answered (RFC 4443, 2.4 e).
        rule("ip6 daddr ff00::/8 counter drop", "multicast"),
    ];
    rules.extend(ports.map(|ports| {
        rule(
            format!("ip6 daddr {GLOBAL} fib daddr type local tcp dport {ports} accept"),
            "our own pages, at public addresses",
        )
    }));
    rules.extend([
        rule(format!("iifname @stopped {refuse}"), "its data are used up"),
        rule(
            format!("meta l4proto != {{ tcp, udp, icmpv6 }} {refuse}"),
            "protocols without ports",
        ),
        rule(ICMP_ERRORS, "only ping"),
    ]);
    if !s.limits.smtp_open {
        rules.push(rule(format!("tcp dport 25 {refuse}"), "mail to servers"));
    }
    rules.extend([
        rule(format!("fib daddr type local {refuse}"), "the host"),
        rule(
            format!("ip6 daddr != {GLOBAL} {refuse}"),
            "private ranges, metadata services and translated IPv4",
        ),
    ]);
    if !s.neighbours6.is_empty() {
        // nft rejects overlapping ranges.
        let nets: Vec<_> = Ipv6Net::aggregate(&s.neighbours6)
            .iter()
            .map(|net| net.trunc().to_string())
            .collect();
        rules.push(rule(
            format!("ip6 daddr {{ {} }} {refuse}", nets.join(", ")),
            "what the host reaches without a router",
        ));
    }
    rules.push(rule(
        format!("fib daddr oif missing {refuse}"),
        "the host has no way there",
    ));
    rules
}

/// Returns the rules that lead questions to the relay, which asks the tenant's resolver by
/// IPv4. Where it does not run, the kernel refuses them.
pub(crate) fn redirect() -> [Rule; 2] {
    [
        rule(
            format!(
                "iifname . {DESTINATION_NET} @net6 {IS_GATEWAY} {DNS} redirect to :{DNS_RELAY_PORT}"
            ),
            "DNS at the gateway's address of IPv6 goes to the relay",
        ),
        rule(
            format!("iifname . ip6 saddr @locked6 {DNS} redirect to :{DNS_RELAY_PORT}"),
            "what a locked device asks another resolver by IPv6 goes there too",
        ),
    ]
}

/// Returns the rule for what a locked device asks and was not redirected: a connection that
/// is older than the lock.
pub(crate) fn not_redirected(refuse: &str) -> Rule {
    rule(
        format!("iifname . ip6 saddr @locked6 {DNS} {refuse}"),
        "a question of a locked device that was not redirected, by IPv6",
    )
}

/// Returns the rules that let what prerouting let pass reach the host itself. The mark is
/// for the table of limits, which has no tenants of IPv6.
pub(crate) fn input(ports: Option<&str>) -> Vec<Rule> {
    let to_relay =
        format!("meta nfproto ipv6 meta l4proto {{ tcp, udp }} th dport {DNS_RELAY_PORT}");
    let mut rules = vec![
        rule(
            format!("iifname @ours {to_relay} ct status dnat goto pass"),
            "DNS that we redirected to the relay",
        ),
        rule(
            format!("iifname != @ours {to_relay} counter drop"),
            "the relay is for tunnels alone",
        ),
        rule(
            format!("iifname @ours {ICMP_ERRORS}"),
            "an error of IPv6 that quotes a flow of the host",
        ),
        rule(
            "iifname @ours icmpv6 type echo-request goto pass",
            "ping to the gateway, by IPv6",
        ),
    ];
    rules.extend(ports.map(|ports| {
        rule(
            format!("meta nfproto ipv6 iifname @ours tcp dport {ports} goto pass"),
            "our own pages, by IPv6",
        )
    }));
    rules
}

/// Returns the rules that give packets to the world the host's address.
pub(crate) fn masquerade(leaves: &str) -> [Rule; 2] {
    let (first, last) = TENANT_PORTS;
    [
        rule(
            format!(
                "{IS_FROM_US} {leaves} meta l4proto {{ tcp, udp }} masquerade to :{first}-{last}"
            ),
            "a tenant, out to the world with the host's address of IPv6",
        ),
        rule(
            format!("{IS_FROM_US} {leaves} masquerade"),
            "ping to the world with the host's address of IPv6",
        ),
    ]
}
