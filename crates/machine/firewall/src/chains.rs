//! The rules of the filters' `inet` table, in the order in which a packet meets them: who may
//! reach what.

use crate::{
    forward_accept::PASS_MARK,
    model::{Chain, Rule, base, chain, rule},
    ports::{CONTAINER_PORTS, TENANT_PORTS},
    ranges::{forbidden, ours, resolvers},
    settings::FirewallSettings,
};

/// Returns the chains of the `inet` table, in the order in which a packet meets
/// them.
pub(crate) fn inet(s: &FirewallSettings) -> Vec<Chain> {
    let bridge = format!("\"{}\"", s.bridge);
    let ranges = ours(s);
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
                rule("iifname @stopped counter drop", "its data are used up"),
            ]
            .into_iter()
            .chain(to_the_world(s))
            .chain([
                rule(
                    format!("{forbidden} counter drop"),
                    "private ranges and metadata services",
                ),
                rule(
                    "fib daddr type != unicast counter drop",
                    "the host, broadcast, multicast",
                ),
            ])
            .collect(),
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
        chain("from_container", from_container(s)),
        base(
            "dns_redirect",
            "nat",
            "prerouting",
            -105,
            vec![
                rule(
                    "iifname . ip daddr @gw meta l4proto { tcp, udp } th dport 53 dnat ip to iifname map @dns",
                    "DNS at the gateway goes to the container, or to the fallback",
                ),
                // The port stays the same.
                rule(
                    "meta nfproto ipv4 fib daddr type local dnat ip to udp dport map @forwards",
                    "to the port of a tenant that has moved: on to its new node",
                ),
            ],
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
                rule(
                    "ct status dnat udp dport . ip daddr @forwarded goto pass",
                    "on to the new node of a tenant that has moved",
                ),
                rule(
                    "ct status dnat udp sport . ip saddr @forwarded goto pass",
                    "back from the new node of a tenant that has moved",
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
                rule(
                    "oifname @stopped ct status & dnat == 0 counter drop",
                    "its data are used up, except answers to DNS",
                ),
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
                // NAT sends an ICMP error where the flow that it quotes belongs, which
                // need not be its destination in prerouting.
                rule(
                    format!("iifname @ours {ICMP_ERRORS}"),
                    "an error that quotes another tenant's flow",
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
                rule(ICMP_ERRORS, "an error that quotes a flow to the world"),
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
                    format!("iifname @ours {ICMP_ERRORS}"),
                    "an error that quotes a flow of the host",
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
        base("postrouting", "nat", "postrouting", 100, masquerade(s)),
    ]
}

/// Drops ICMP messages other than ping, i.e. errors, redirects and queries.
const ICMP_ERRORS: &str = "icmp type != { echo-request, echo-reply } counter drop";

/// Returns the rules of what leaves to the world. The kernel translates no ports of
/// other protocols, so the first tenant who talks to a server would lock the others
/// out.
fn to_the_world(s: &FirewallSettings) -> Vec<Rule> {
    let mut rules = vec![
        rule(
            "meta l4proto != { tcp, udp, icmp } counter drop",
            "protocols without ports",
        ),
        rule(ICMP_ERRORS, "only ping"),
    ];
    if !s.limits.smtp_open {
        rules.push(rule("tcp dport 25 counter drop", "mail to servers"));
    }
    rules
}

fn from_container(s: &FirewallSettings) -> Vec<Rule> {
    let mut rules = vec![
        rule(
            "meta nfproto != ipv4 counter drop",
            "containers have no IPv6",
        ),
        rule(
            format!(
                "ip saddr != {} counter drop",
                s.addresses.containers.trunc()
            ),
            "forged source of a container",
        ),
    ];
    // Only answers get a shortcut. What a container asks is checked packet by packet,
    // as with tenants.
    let answers = rule(
        "ct state established ct direction reply accept",
        "answers to devices and to our proxy",
    );
    let mut world = to_the_world(s);
    // Answers too are TCP, UDP or ping.
    let mail = world.split_off(2);
    rules.extend(world);
    rules.push(answers);
    rules.extend([
        rule(
            format!("ip daddr {} counter drop", ours(s)),
            "containers do not call tunnels or each other",
        ),
        rule(
            "fib daddr type != unicast counter drop",
            "containers do not call the host",
        ),
    ]);
    rules.extend(mail);
    if let Some(resolvers) = resolvers(s) {
        rules.push(rule(
            format!("ip daddr {resolvers} meta l4proto {{ tcp, udp }} th dport {{ 53, 443, 853 }} accept"),
            "the operator's resolvers, wherever they are",
        ));
    }
    rules.extend([
        rule(
            format!(
                "meta l4proto {{ tcp, udp }} th dport 53 {} counter drop",
                forbidden(&[])
            ),
            "no other resolver in private ranges",
        ),
        rule(
            format!("{} counter drop", forbidden(&s.allowed_private)),
            "nothing else in private ranges",
        ),
    ]);
    rules
}

/// Returns the rules that give packets to the world the host's address. Tenants and
/// containers have source ports of their own. A range for ping would be one of
/// identifiers, which nothing else of this host depends on.
fn masquerade(s: &FirewallSettings) -> Vec<Rule> {
    let bridge = &s.bridge;
    let leaves = format!("oifname != {{ \"lo\", \"{bridge}\" }} oifname != @ours");
    let of = |range: ipnet::Ipv4Net, (first, last): (u16, u16)| {
        format!(
            "ip saddr {} {leaves} meta l4proto {{ tcp, udp }} masquerade to :{first}-{last}",
            range.trunc()
        )
    };
    vec![
        rule(
            of(s.addresses.tunnels, TENANT_PORTS),
            "a tenant, out to the world with the host's address",
        ),
        rule(
            of(s.addresses.containers, CONTAINER_PORTS),
            "a container, out to the world with the host's address",
        ),
        rule(
            format!("ip saddr {} {leaves} masquerade", ours(s)),
            "ping to the world with the host's address",
        ),
        // So that the new node's answers come back here: the device knows no other sender.
        rule(
            "ct status dnat udp dport . ip daddr @forwarded masquerade",
            "on to the new node of a tenant that has moved, with the host's address",
        ),
    ]
}
