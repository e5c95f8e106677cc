//! The table of limits: how much of what tenants share one of them may have.
//!
//! The rules are constant. The kernel makes the sets' elements, one for each device,
//! tenant or destination that is active, and removes those without connections; only the
//! map of tenants' rates (`tunnels.rs`) has elements of ours. They
//! are in a table of their own, because nft reads all elements of a table that it
//! lists; this table is read without them (`dump.rs`). It is not of family `ip`,
//! because iptables reads all elements of that.
//!
//! # Counting
//! - Only the first packet of a connection is counted, where all filters of ours have
//!   accepted it. A connection that is not yet confirmed in the kernel's table is one
//!   whose first packet this is; `ct state new` alone includes all packets of a flow
//!   without answers.
//! - `ct count` walks the list of the element's connections for each new one (130 ns
//!   each). So each limit is divided into parts by bits of the source port that
//!   neither a sequence of ports nor Linux's preference for even ones leaves unused.
//!   A limit may therefore be reached up to a tenth early, never late.
//! - The limits on new connections per second bound what the walks cost.
//! - A full set lets packets pass uncounted. The sizes exceed what the other limits
//!   allow.

use crate::{
    forward_accept::PASS_MARK,
    model::{Chain, Rule, base, chain, rule},
    settings::FirewallSettings,
    tunnels,
};
use domain::marks::DNS_RELAY_PORT;

/// A limit's number of parts, and the bits of the source port that choose one.
struct Buckets(u32, &'static str);

const DEVICE: Buckets = Buckets(4, "0x0030");
const TENANT: Buckets = Buckets(16, "0x00f0");
const DESTINATION: Buckets = Buckets(4, "0x0300");

/// The connections of a container to a resolver. Twelve tenants together do not use up
/// the containers' source ports there.
const CONTAINER_TO_DESTINATION: u32 = 1_000;
/// The DNS connections of a tenant to its gateway.
const DNS_OF_TENANT: u32 = 4_000;
/// The pings of a tenant that wait for an answer or its timeout.
const PINGS_OF_TENANT: u32 = 1_000;
/// The seconds of new connections or queries that may come at once.
const BURST_SECONDS: u32 = 10;
/// The bytes of a DNS query over TCP, handshake included; the share of a connection
/// with a single query is 330.
const TCP_QUERY_BYTES: u32 = 400;

/// Returns the timeouts of tenants' and containers' connections in seconds. Answered
/// UDP: RFC 4787 requires 2 min, except for well-known ports such as DNS.
fn timeout_policies(s: &FirewallSettings) -> Vec<String> {
    let established = s.limits.established_seconds;
    let of_both = |family: &str, suffix: &str| {
        [
            format!(
                "ct timeout tenant_tcp{suffix} {{ protocol tcp; l3proto {family}; policy = {{ syn_sent: 30, syn_recv: 30, established: {established}, fin_wait: 60, close_wait: 60, last_ack: 30, time_wait: 30, close: 10, unack: 120, retrans: 120 }}; }}"
            ),
            format!(
                "ct timeout tenant_udp{suffix} {{ protocol udp; l3proto {family}; policy = {{ unreplied: 20, replied: 120 }}; }}"
            ),
        ]
    };
    let dns = |family: &str, suffix: &str| {
        format!(
            "ct timeout tenant_dns{suffix} {{ protocol udp; l3proto {family}; policy = {{ unreplied: 10, replied: 10 }}; }}"
        )
    };
    let ipv4 = of_both("ip", "").into_iter().chain([dns("ip", "")]);
    let ipv6 = of_both("ip6", "6").into_iter().chain([dns("ip6", "6")]);
    ipv4.chain(ipv6).collect()
}

/// The sets whose elements the kernel makes. An element of a set of rates lives longer
/// than its burst needs to be available again.
const SETS: [&str; 15] = [
    "set dns_queries { type ipv4_addr; size 262144; flags dynamic,timeout; timeout 30s; }",
    "set dns_bytes { type ipv4_addr; size 262144; flags dynamic,timeout; timeout 30s; }",
    "set device_rate { type ipv4_addr; size 262144; flags dynamic,timeout; timeout 30s; }",
    "set tenant_rate { type ifname; size 2048; flags dynamic,timeout; timeout 30s; }",
    "set device_flows { type ipv4_addr . inet_service; size 524288; flags dynamic; }",
    "set tenant_flows { type ifname . inet_service; size 32768; flags dynamic; }",
    "set destination_flows { type ifname . ipv4_addr . inet_proto . inet_service . inet_service; size 524288; flags dynamic; }",
    "set container_flows { type ipv4_addr . ipv4_addr . inet_proto . inet_service; size 524288; flags dynamic; }",
    "set dns_flows { type ifname . inet_service; size 32768; flags dynamic; }",
    "set ping_flows { type ifname; size 2048; flags dynamic; }",
    "set dns_queries6 { type ipv6_addr; size 262144; flags dynamic,timeout; timeout 30s; }",
    "set dns_bytes6 { type ipv6_addr; size 262144; flags dynamic,timeout; timeout 30s; }",
    "set device_rate6 { type ipv6_addr; size 262144; flags dynamic,timeout; timeout 30s; }",
    "set device_flows6 { type ipv6_addr . inet_service; size 524288; flags dynamic; }",
    "set destination_flows6 { type ifname . ipv6_addr . inet_proto . inet_service . inet_service; size 524288; flags dynamic; }",
];

/// Returns the declarations of the table's objects and sets.
pub(crate) fn declarations(s: &FirewallSettings) -> Vec<String> {
    timeout_policies(s)
        .into_iter()
        .chain(tunnels::declarations())
        .chain(SETS.map(str::to_owned))
        .collect()
}

/// The first packet of a connection.
const FIRST: &str = "ct state new ct status & confirmed == 0";

/// Returns the chains of the table. They run after those of the filters' table at the
/// same hook, and see only what that accepts.
pub(crate) fn chains(s: &FirewallSettings) -> Vec<Chain> {
    let (tunnels, containers) = (s.addresses.tunnels.trunc(), s.addresses.containers.trunc());
    let count = vec![
        rule(
            format!("ip saddr {tunnels} {FIRST} goto from_tunnel"),
            "a new connection of a device",
        ),
        rule(
            format!("ip saddr {containers} {FIRST} goto from_container"),
            "a new connection of a container",
        ),
        // The table of filters has marked what it let pass.
        rule(
            format!(
                "meta nfproto ipv6 meta mark & 0x{PASS_MARK:08x} != 0 {FIRST} goto from_tunnel6"
            ),
            "a new connection of a device, by IPv6",
        ),
    ];
    let forward = redirected_dns(&tunnels.to_string())
        .into_iter()
        .chain(count.iter().cloned())
        .chain([tunnels::answers_of_another_node()]);
    let forward = forward.collect();
    let input = std::iter::once(rule(
        format!(
            "meta nfproto ipv6 meta mark & 0x{PASS_MARK:08x} != 0 meta l4proto {{ tcp, udp }} th dport {DNS_RELAY_PORT} goto dns_flow6"
        ),
        "DNS by IPv6",
    ));
    let input = input.chain(count).collect();
    let mut chains = tunnels::chains();
    chains.extend([
        base(
            "prerouting",
            "filter",
            "prerouting",
            -145,
            vec![rule(
                format!(
                    "ip saddr {tunnels} ip daddr {tunnels} meta l4proto {{ tcp, udp }} th dport 53 fib daddr type local goto dns_rate"
                ),
                "DNS at a gateway",
            )],
        ),
        chain("dns_rate", dns_rate(s, "", "ip saddr")),
        chain("dns_rate6", dns_rate(s, "6", "ip6 saddr")),
        base("forward", "filter", "forward", -5, forward),
        // Ping at the gateway, and DNS where the fallback is the host.
        base("input", "filter", "input", -5, input),
        base(
            "output",
            "filter",
            "output",
            -5,
            vec![rule(
                format!(
                    "ip saddr {tunnels} udp dport 53 ct status dnat {FIRST} ct timeout set \"tenant_dns\""
                ),
                "timeouts of what the relay asks",
            )],
        ),
        chain("from_tunnel", from_tunnel(s)),
        chain("dns_flow", dns_flow(s)),
        chain("dns_flow6", dns_flow6()),
        chain("from_container", from_container(s)),
        chain("timeouts", timeouts()),
        chain("from_tunnel6", from_tunnel6(s)),
    ]);
    chains
}

/// Returns the rules that limit DNS which was redirected although it was not sent to a
/// gateway. In prerouting it cannot be told from DNS to the world yet.
fn redirected_dns(tunnels: &str) -> Vec<Rule> {
    let redirected =
        format!("ip saddr {tunnels} meta l4proto {{ tcp, udp }} th dport 53 ct status dnat");
    vec![
        rule(
            format!("{redirected} ct original ip daddr != {tunnels} jump dns_rate"),
            "DNS of a locked device to another resolver",
        ),
        // Gateways have the address .1 of their subnet.
        rule(
            format!(
                "{redirected} ct original ip daddr {tunnels} ct original ip daddr & 0.0.0.255 != 0.0.0.1 jump dns_rate"
            ),
            "DNS of a locked device to a device",
        ),
    ]
}

/// Returns the limits of a device's questions; `suffix` is that of the sets for this family
/// of addresses, and `device` the device's address.
fn dns_rate(s: &FirewallSettings, suffix: &str, device: &str) -> Vec<Rule> {
    let (rate, burst) = (s.limits.dns_per_second, s.limits.dns_burst);
    vec![
        rule(
            format!(
                "meta l4proto udp update @dns_queries{suffix} {{ {device} limit rate over {rate}/second burst {burst} packets }} counter drop"
            ),
            "DNS queries of a device",
        ),
        rule(
            format!(
                "tcp flags & (syn | ack) == syn update @dns_queries{suffix} {{ {device} limit rate over {rate}/second burst {burst} packets }} counter drop"
            ),
            "DNS connections of a device",
        ),
        // One connection can carry any number of queries.
        rule(
            format!(
                "meta l4proto tcp update @dns_bytes{suffix} {{ {device} limit rate over {} bytes/second burst {} bytes }} counter drop",
                rate.saturating_mul(TCP_QUERY_BYTES),
                burst.saturating_mul(TCP_QUERY_BYTES)
            ),
            "DNS queries of a device within connections",
        ),
    ]
}

fn from_tunnel(s: &FirewallSettings) -> Vec<Rule> {
    let l = &s.limits;
    vec![
        // The rate of DNS is limited in prerouting.
        rule("ct status dnat goto dns_flow", "DNS"),
        rule(
            new_per_second("device_rate", "ip saddr", l.new_per_device),
            "new connections of a device per second",
        ),
        rule(
            new_per_second("tenant_rate", "iifname", l.new_per_tenant),
            "new connections of a tenant per second",
        ),
        rule(
            format!(
                "meta l4proto icmp add @ping_flows {{ iifname ct count over {PINGS_OF_TENANT} }} counter drop"
            ),
            "pings of a tenant",
        ),
        rule("meta l4proto icmp accept", "pings are not counted further"),
        rule(
            at_most("device_flows", "ip saddr", DEVICE, l.connections_per_device),
            "connections of a device",
        ),
        rule(
            at_most("tenant_flows", "iifname", TENANT, l.connections_per_tenant),
            "connections of a tenant",
        ),
        rule(
            to_destination(s),
            "connections of a tenant to a destination",
        ),
        rule("goto timeouts", "shorter timeouts"),
    ]
}

/// Returns the rules for IPv6. A device's own limits hold for each family of addresses, its
/// tenant's for both together, except to a destination.
fn from_tunnel6(s: &FirewallSettings) -> Vec<Rule> {
    let l = &s.limits;
    let to_destination = at_most(
        "destination_flows6",
        "iifname . ip6 daddr . meta l4proto . th dport",
        DESTINATION,
        l.connections_per_destination,
    );
    vec![
        rule(
            new_per_second("device_rate6", "ip6 saddr", l.new_per_device),
            "new connections of a device per second",
        ),
        rule(
            new_per_second("tenant_rate", "iifname", l.new_per_tenant),
            "new connections of a tenant per second",
        ),
        rule(
            format!(
                "meta l4proto icmpv6 add @ping_flows {{ iifname ct count over {PINGS_OF_TENANT} }} counter drop"
            ),
            "pings of a tenant",
        ),
        rule(
            "meta l4proto icmpv6 accept",
            "pings are not counted further",
        ),
        rule(
            at_most(
                "device_flows6",
                "ip6 saddr",
                DEVICE,
                l.connections_per_device,
            ),
            "connections of a device",
        ),
        rule(
            at_most("tenant_flows", "iifname", TENANT, l.connections_per_tenant),
            "connections of a tenant",
        ),
        rule(to_destination, "connections of a tenant to a destination"),
        rule(
            "meta l4proto tcp ct timeout set \"tenant_tcp6\"",
            "timeouts of TCP",
        ),
        rule(
            "meta l4proto udp ct timeout set \"tenant_udp6\"",
            "timeouts of UDP",
        ),
    ]
}

fn dns_flow(s: &FirewallSettings) -> Vec<Rule> {
    let containers = s.addresses.containers.trunc();
    vec![
        rule(
            at_most("dns_flows", "iifname", TENANT, DNS_OF_TENANT),
            "DNS connections of a tenant",
        ),
        // The fallback is a destination that a tenant can also ask directly.
        rule(
            format!("ip daddr != {containers} {}", to_destination(s)),
            "connections of a tenant to the fallback",
        ),
        rule("goto timeouts", "shorter timeouts"),
    ]
}

/// Returns the rules for questions to the relay. What it asks is not counted again.
fn dns_flow6() -> Vec<Rule> {
    let count = at_most("dns_flows", "iifname", TENANT, DNS_OF_TENANT);
    vec![
        rule("jump dns_rate6", "DNS queries of a device"),
        rule(format!("{FIRST} {count}"), "DNS connections of a tenant"),
        rule(
            format!("{FIRST} udp dport {DNS_RELAY_PORT} ct timeout set \"tenant_dns6\""),
            "timeouts of DNS",
        ),
        rule(
            format!("{FIRST} meta l4proto tcp ct timeout set \"tenant_tcp6\""),
            "timeouts of TCP",
        ),
    ]
}

fn from_container(s: &FirewallSettings) -> Vec<Rule> {
    let l = &s.limits;
    vec![
        rule(
            new_per_second("device_rate", "ip saddr", l.new_per_tenant),
            "new connections of a container per second",
        ),
        rule(
            at_most("device_flows", "ip saddr", DEVICE, l.connections_per_device),
            "connections of a container",
        ),
        rule(
            format!(
                "add @container_flows {{ ip saddr . ip daddr . meta l4proto . th dport ct count over {CONTAINER_TO_DESTINATION} }} counter drop"
            ),
            "connections of a container to a destination",
        ),
        rule("goto timeouts", "shorter timeouts"),
    ]
}

fn timeouts() -> Vec<Rule> {
    vec![
        rule(
            "meta l4proto tcp ct timeout set \"tenant_tcp\"",
            "timeouts of TCP",
        ),
        rule(
            "udp dport 53 ct timeout set \"tenant_dns\" accept",
            "timeouts of DNS",
        ),
        rule(
            "meta l4proto udp ct timeout set \"tenant_udp\"",
            "timeouts of UDP",
        ),
    ]
}

/// Drops new connections beyond a rate.
fn new_per_second(set: &str, key: &str, rate: u32) -> String {
    let burst = rate.saturating_mul(BURST_SECONDS);
    format!(
        "update @{set} {{ {key} limit rate over {rate}/second burst {burst} packets }} counter drop"
    )
}

/// Drops new connections of a tenant to a destination beyond its number.
fn to_destination(s: &FirewallSettings) -> String {
    at_most(
        "destination_flows",
        "iifname . ip daddr . meta l4proto . th dport",
        DESTINATION,
        s.limits.connections_per_destination,
    )
}

/// Drops new connections beyond a number.
fn at_most(set: &str, key: &str, Buckets(parts, mask): Buckets, limit: u32) -> String {
    let each = limit.div_ceil(parts);
    format!("add @{set} {{ {key} . th sport & {mask} ct count over {each} }} counter drop")
}
