//! The rules of the filters' `inet` table, in the order in which a packet meets them: who may
//! reach what.

use crate::{
    chains6,
    forward_accept::PASS_MARK,
    lock,
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
            ]
            .into_iter()
            .chain(chains6::from_elsewhere())
            .collect(),
        ),
        // Established flows get no shortcut, so that what becomes forbidden is cut
        // at the next packet.
        chain(
            "from_tunnel",
            vec![
                rule("meta nfproto ipv6 goto from_tunnel6", "a packet of IPv6"),
                rule("iifname . ip saddr != @net counter drop", "forged source"),
                rule("iifname . ip daddr @gw goto to_gateway", "its own gateway"),
                rule(
                    "iifname . ip saddr @locked jump lock",
                    "a device whose policy is a lock",
                ),
                rule("iifname . ip daddr @net goto mesh_check", "its own devices"),
                rule(
                    format!("ip daddr {ranges} counter goto refuse"),
                    "other tenants and containers",
                ),
            ]
            .into_iter()
            .chain(own_web(s))
            .chain([rule(
                "iifname @stopped counter goto refuse",
                "its data are used up",
            )])
            .chain(to_the_world(s, REFUSE))
            .chain([
                rule("fib daddr type local counter goto refuse", "the host"),
                rule(
                    "fib daddr type != unicast counter drop",
                    "broadcast, multicast",
                ),
                rule(
                    format!("{forbidden} counter goto refuse"),
                    "private ranges and metadata services",
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
                rule("counter goto refuse", "nothing else on the gateway"),
            ],
        ),
        chain(
            "mesh_check",
            vec![
                rule(
                    "iifname . ip saddr @mesh iifname . ip daddr @mesh accept",
                    "both devices carry the mesh flag",
                ),
                rule("counter goto refuse", "a device outside the mesh"),
            ],
        ),
        chain("lock", lock::rules(REFUSE)),
        chain("refuse", refuse()),
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
                rule(
                    "iifname . ip saddr @locked meta l4proto { tcp, udp } th dport 53 dnat ip to iifname map @dns",
                    "what a locked device asks another resolver goes there too",
                ),
                // The port stays the same.
                rule(
                    "meta nfproto ipv4 fib daddr type local dnat ip to udp dport map @forwards",
                    "to the port of a tenant that has moved: on to its new node",
                ),
            ]
            .into_iter()
            .chain(chains6::redirect())
            .collect(),
        ),
        // The relay asks a device's address where it means the device's resolver.
        base(
            "relayed_dns",
            "nat",
            "output",
            -105,
            vec![rule(
                format!("{RELAYED} dnat ip to oifname map @dns"),
                "DNS by IPv6 goes to the container, or to the fallback",
            )],
        ),
        base(
            "output",
            "filter",
            "output",
            -10,
            vec![rule(
                format!("{RELAYED} ct status & dnat == 0 {REFUSE}"),
                "there is no resolver, and the device is none",
            )],
        ),
        // This runs before Docker's and ufw's chains (0).
        base(
            "forward",
            "filter",
            "forward",
            -10,
            vec![
                // A connection that is older than the lock, or no resolver to redirect to.
                rule(
                    format!(
                        "iifname . ip saddr @locked meta l4proto {{ tcp, udp }} th dport 53 ct status & dnat == 0 {REFUSE}"
                    ),
                    "a question of a locked device that was not redirected",
                ),
                chains6::not_redirected(REFUSE),
                rule(
                    format!("oifname @ours {CLAMP}"),
                    "segments that fit, into a tunnel",
                ),
                rule(
                    format!("iifname @ours {CLAMP}"),
                    "segments that fit, out of a tunnel",
                ),
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
                rule("meta nfproto ipv6 goto to_tunnel6", "a packet of IPv6"),
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
                rule("counter drop", "no connection to a device"),
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
                rule(
                    chains6::ICMP_ERRORS,
                    "an error of IPv6 that quotes a flow to the world",
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
                    format!("iifname @ours {ICMP_ERRORS}"),
                    "an error that quotes a flow of the host",
                ),
                rule(
                    "meta nfproto ipv4 iifname @ours ct status dnat accept",
                    "DNS, where the fallback is the host",
                ),
                rule(
                    "iifname @ours icmp type echo-request accept",
                    "ping to the gateway",
                ),
            ]
            .into_iter()
            .chain(chains6::input(web_ports(s).as_deref()))
            .chain(web_ports(s).map(|ports| {
                rule(
                    format!("iifname @ours tcp dport {ports} accept"),
                    "our own pages, by an address that prerouting lets pass",
                )
            }))
            .chain([rule(
                "iifname @ours counter drop",
                "nothing else of a tenant ends here",
            )])
            .collect(),
        ),
        // Packets to a container are never masqueraded, because AdGuard Home
        // identifies devices by their source address.
        base("postrouting", "nat", "postrouting", 100, masquerade(s)),
    ]
    .into_iter()
    .chain(chains6::chains(s, REFUSE, web_ports(s).as_deref()))
    .collect()
}

/// What the relay asks: from a tenant's gateway to port 53 of the tenant's device. The host
/// itself has nothing to ask there.
const RELAYED: &str =
    "oifname . ip saddr @gw oifname . ip daddr @net meta l4proto { tcp, udp } th dport 53";

/// Drops ICMP messages other than ping, i.e. errors, redirects and queries.
const ICMP_ERRORS: &str = "icmp type != { echo-request, echo-reply } counter drop";

/// Lowers the largest segment of a TCP connection that begins to what fits into both
/// directions' links (RFC 4821, 1; nft(8), "rt mtu"): where a router between drops
/// fragments and says nothing, large answers would never arrive.
const CLAMP: &str = "tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu";

/// What happens to what a tenant's own device asks and may not have.
const REFUSE: &str = "counter goto refuse";

/// Refusals per second; what is beyond is dropped. They are a courtesy: a program learns
/// at once what it would else wait for.
const REFUSALS_PER_SECOND: u32 = 1_000;

/// Returns the rules that refuse what a tenant's own device asks. Packets from elsewhere
/// are dropped without an answer.
fn refuse() -> Vec<Rule> {
    let within =
        format!("limit rate {REFUSALS_PER_SECOND}/second burst {REFUSALS_PER_SECOND} packets");
    vec![
        rule(
            format!("meta l4proto tcp {within} reject with tcp reset"),
            "a connection is refused",
        ),
        rule(
            format!("{within} reject with icmpx type admin-prohibited"),
            "anything else is prohibited",
        ),
        rule("counter drop", "too many refusals"),
    ]
}

/// Returns the set of the ports of our own pages, or `None` if there are none.
fn web_ports(s: &FirewallSettings) -> Option<String> {
    let ports: Vec<_> = s.web_ports.iter().map(ToString::to_string).collect();
    (!ports.is_empty()).then(|| format!("{{ {} }}", ports.join(", ")))
}

/// Returns the rules that let devices reach our own pages on this host, also a tenant
/// whose data are used up. The gateways' addresses were handled before.
fn own_web(s: &FirewallSettings) -> Vec<Rule> {
    let Some(ports) = web_ports(s) else {
        return Vec::new();
    };
    let private = forbidden(&[]).replacen("ip daddr", "ip daddr !=", 1);
    let mut rules = vec![rule(
        format!("{private} fib daddr type local tcp dport {ports} accept"),
        "our own pages, at public addresses",
    )];
    if let Some(address) = s.web_address {
        rules.push(rule(
            format!("ip daddr {address} fib daddr type local tcp dport {ports} accept"),
            "our own pages, where the host is in a private network",
        ));
    }
    rules
}

/// Returns the rules of what leaves to the world, where `otherwise` happens to what is
/// not allowed. The kernel translates no ports of other protocols, so the first tenant
/// who talks to a server would lock the others out.
fn to_the_world(s: &FirewallSettings, otherwise: &str) -> Vec<Rule> {
    let mut rules = vec![
        rule(
            format!("meta l4proto != {{ tcp, udp, icmp }} {otherwise}"),
            "protocols without ports",
        ),
        rule(ICMP_ERRORS, "only ping"),
    ];
    if !s.limits.smtp_open {
        rules.push(rule(format!("tcp dport 25 {otherwise}"), "mail to servers"));
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
    let mut world = to_the_world(s, "counter drop");
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
    let mut rules = vec![
        // AdGuard Home knows the device by it. Answers come back by the connection.
        rule(
            format!(
                "oifname {bridge} ct status dnat fib saddr type local ct original ip saddr {} snat ip to ct original ip daddr",
                s.addresses.tunnels.trunc()
            ),
            "what the relay asks has the device's address",
        ),
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
    ];
    rules.extend(chains6::masquerade(&leaves));
    rules
}
