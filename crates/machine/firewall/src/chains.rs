//! The rules, in the order in which a packet meets them.

use crate::{
    forward_accept::PASS_MARK,
    model::{Chain, Hook, Rule},
    settings::FirewallSettings,
};
use ipnet::Ipv4Net;
use std::fmt::Write;

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

/// Returns the chains of the `inet` table, in the order in which a packet meets
/// them.
pub(crate) fn inet(s: &FirewallSettings) -> Vec<Chain> {
    let bridge = format!("\"{}\"", s.bridge);
    let ranges = format!(
        "{{ {}, {} }}",
        s.addresses.tunnels.trunc(),
        s.addresses.containers.trunc()
    );
    let containers = s.addresses.containers.trunc();
    let forbidden = forbidden(&s.allowed_private);
    vec![
        // This runs after conntrack (-200) and before every DNAT (ours at -105,
        // Docker's at -100).
        base(
            "prerouting",
            "filter",
            "prerouting",
            -150,
            vec![
                rule("iifname @ours goto from_tunnel", "a packet of a tenant"),
                rule(
                    format!("iifname {bridge} goto from_container"),
                    "a packet of a container",
                ),
                rule("iifname \"lo\" accept", "the host to itself"),
                rule(
                    format!("ip daddr {ranges} counter drop"),
                    "no way into tunnels and containers from elsewhere",
                ),
                rule(
                    format!("ip saddr {ranges} counter drop"),
                    "our addresses from elsewhere are forged",
                ),
            ],
        ),
        // Established flows get no shortcut, so that what becomes forbidden is cut
        // at the next packet.
        chain(
            "from_tunnel",
            vec![
                rule(
                    "meta nfproto != ipv4 counter drop",
                    "no IPv6 inside tunnels",
                ),
                rule("iifname . ip saddr != @net counter drop", "forged source"),
                rule("iifname . ip daddr @gw goto to_gateway", "its own gateway"),
                rule("iifname . ip daddr @net goto mesh_check", "its own devices"),
                rule(
                    format!("ip daddr {ranges} counter drop"),
                    "other tenants and containers",
                ),
                rule(
                    format!("{forbidden} counter drop"),
                    "private ranges and metadata services",
                ),
                rule(
                    "fib daddr type != unicast counter drop",
                    "the host, broadcast, multicast",
                ),
            ],
        ),
        chain(
            "to_gateway",
            vec![
                rule("udp dport 53 accept", "DNS"),
                rule("tcp dport 53 accept", "DNS over TCP"),
                rule("icmp type echo-request accept", "ping"),
                rule("counter drop", "nothing else on the gateway"),
            ],
        ),
        chain(
            "mesh_check",
            vec![
                rule(
                    "iifname . ip saddr @mesh iifname . ip daddr @mesh accept",
                    "both devices carry the mesh flag",
                ),
                rule("counter drop", "a device outside the mesh"),
            ],
        ),
        chain(
            "from_container",
            vec![
                rule(
                    "meta nfproto != ipv4 counter drop",
                    "containers have no IPv6",
                ),
                rule(
                    format!("ip saddr != {containers} counter drop"),
                    "forged source of a container",
                ),
                rule(
                    "ct state established,related accept",
                    "answers to devices and to our proxy",
                ),
                rule(
                    format!("ip daddr {ranges} counter drop"),
                    "containers do not call tunnels or each other",
                ),
                rule(
                    "fib daddr type != unicast counter drop",
                    "containers do not call the host",
                ),
                rule(
                    "meta l4proto { tcp, udp } th dport 53 accept",
                    "upstream DNS, wherever it is",
                ),
                rule(
                    format!("{forbidden} counter drop"),
                    "nothing else in private ranges",
                ),
            ],
        ),
        base(
            "dns_redirect",
            "nat",
            "prerouting",
            -105,
            vec![rule(
                "iifname . ip daddr @gw meta l4proto { tcp, udp } th dport 53 dnat ip to iifname map @dns",
                "DNS at the gateway goes to the container, or to the fallback",
            )],
        ),
        // This runs before Docker's and ufw's chains (0).
        base(
            "forward",
            "filter",
            "forward",
            -10,
            vec![
                rule("oifname @ours goto to_tunnel", "into a tunnel"),
                rule(
                    format!("oifname {bridge} goto to_container"),
                    "to a container",
                ),
                rule(
                    "iifname @ours goto out_of_tunnel",
                    "from a tunnel to the world",
                ),
            ],
        ),
        chain(
            "to_tunnel",
            vec![
                rule("meta nfproto != ipv4 counter drop", "no IPv6 into tunnels"),
                rule(
                    "oifname . ip daddr != @net counter drop",
                    "an address of another tunnel",
                ),
                rule(
                    "iifname @ours iifname . ip daddr @net goto pass",
                    "mesh, checked on its way in",
                ),
                rule("iifname @ours counter drop", "from tenant to tenant"),
                rule("ct state established,related goto pass", "answers"),
                rule("counter drop", "nobody calls a device"),
            ],
        ),
        chain(
            "to_container",
            vec![
                rule(
                    format!("iifname {bridge} counter drop"),
                    "from container to container",
                ),
                rule(
                    "iifname @ours ct status dnat goto pass",
                    "DNS that we redirected",
                ),
                // These are not marked: Docker decides about its containers' traffic.
                rule(
                    "ct state established,related accept",
                    "answers to containers",
                ),
                rule("counter drop", "nobody else calls a container"),
            ],
        ),
        chain(
            "out_of_tunnel",
            vec![
                // Packets without a known flow would leave with their inner source
                // address.
                rule(
                    "ct state invalid counter drop",
                    "what masquerading would not hide",
                ),
                rule("goto pass", "to the internet, or to the fallback DNS"),
            ],
        ),
        chain(
            "pass",
            vec![rule(
                format!("meta mark set meta mark | 0x{PASS_MARK:08x} accept"),
                "the bit that DOCKER-USER or FORWARD accepts",
            )],
        ),
        base(
            "input",
            "filter",
            "input",
            -10,
            vec![
                rule(
                    format!("iifname {bridge} ct state != {{ established, related }} counter drop"),
                    "containers do not call the host, IPv6 included",
                ),
                rule(
                    "iifname @ours ct status dnat accept",
                    "DNS, where the fallback is the host",
                ),
                rule(
                    "iifname @ours icmp type echo-request accept",
                    "ping to the gateway",
                ),
                rule(
                    "iifname @ours counter drop",
                    "nothing else of a tenant ends here",
                ),
            ],
        ),
        // Packets to a container are never masqueraded, because AdGuard Home
        // identifies devices by their source address.
        base(
            "postrouting",
            "nat",
            "postrouting",
            100,
            vec![rule(
                format!(
                    "ip saddr {ranges} oifname != {{ \"lo\", {bridge} }} oifname != @ours masquerade"
                ),
                "out to the world with the host's address",
            )],
        ),
    ]
}

/// Returns the chain of the `bridge` table: packets that a bridge forwards
/// between its ports do not meet the `inet` hooks.
pub(crate) fn bridge(s: &FirewallSettings) -> Vec<Chain> {
    let containers = s.addresses.containers.trunc();
    vec![base(
        "forward",
        "filter",
        "forward",
        0,
        vec![
            rule(
                format!("ip saddr {containers} counter drop"),
                "from container to container",
            ),
            rule(
                format!("ip daddr {containers} counter drop"),
                "to a container on the same bridge",
            ),
        ],
    )]
}

fn forbidden(allowed: &[Ipv4Net]) -> String {
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

fn rule(text: impl Into<String>, comment: &'static str) -> Rule {
    Rule {
        text: text.into(),
        comment,
    }
}

fn base(
    name: &'static str,
    kind: &'static str,
    hook: &'static str,
    priority: i64,
    rules: Vec<Rule>,
) -> Chain {
    Chain {
        name,
        hook: Some(Hook {
            kind,
            hook,
            priority,
        }),
        rules,
    }
}

fn chain(name: &'static str, rules: Vec<Rule>) -> Chain {
    Chain {
        name,
        hook: None,
        rules,
    }
}
