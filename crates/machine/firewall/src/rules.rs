//! The complete ruleset. The text for `nft` and the expectation for reading the
//! tables back come from the same data, so that they cannot contradict each other.

use crate::{
    bridge::{self, Pair},
    chains, chains6,
    elements::Elements,
    limits,
    model::{Chain, TABLES},
    settings::FirewallSettings,
};
use provisioning::hash::content_hash;
use std::{collections::BTreeSet, fmt::Write};

/// The sets and the maps that contain the tenants.
const SETS: [&str; 9] = [
    "set ours { type ifname; }",
    "set gw { type ifname . ipv4_addr; }",
    "set net { type ifname . ipv4_addr; flags interval; }",
    "set mesh { type ifname . ipv4_addr; }",
    "set locked { type ifname . ipv4_addr; }",
    "set stopped { type ifname; }",
    "map dns { type ifname : ipv4_addr; }",
    "map forwards { type inet_service : ipv4_addr; }",
    "set forwarded { type inet_service . ipv4_addr; }",
];

/// The rules of all tables, and their version.
#[derive(Clone, Debug)]
pub struct Ruleset {
    pub inet: Vec<Chain>,
    pub limits: Vec<Chain>,
    pub bridge: Vec<Chain>,
    /// The addresses of all containers, which the bridge's table lists.
    pub pairs: BTreeSet<Pair>,
    /// The declaration of that set.
    pair_set: String,
    /// The declarations of what the table of limits contains.
    limit_declarations: Vec<String>,
    /// The name of an empty set that identifies exactly these rules.
    pub version: String,
}

impl Ruleset {
    /// Creates the rules for checked settings.
    pub fn new(s: &FirewallSettings) -> Self {
        let mut rules = Self {
            inet: chains::inet(s),
            limits: limits::chains(s),
            bridge: bridge::chains(s),
            pairs: bridge::pairs(&s.addresses),
            pair_set: bridge::set(&s.addresses),
            limit_declarations: limits::declarations(s),
            version: String::new(),
        };
        let text = rules.rebuild(&Elements::default());
        rules.version = format!("version_{:016x}", content_hash(text.as_bytes()));
        rules
    }

    /// Returns a transaction that replaces all tables, whether or not they exist,
    /// by new ones with these tenants. Connections that exist are not counted by the
    /// new table of limits. Adding a table before deleting it makes the
    /// deletion succeed where there is none (`destroy` needs a newer nft than
    /// Debian 12's).
    pub fn rebuild(&self, tenants: &Elements) -> String {
        let mut text = String::new();
        let contents = [
            (
                &self.inet,
                SETS.iter()
                    .chain(&chains6::SETS)
                    .map(|s| (*s).to_owned())
                    .collect(),
            ),
            (&self.limits, self.limit_declarations.clone()),
            (&self.bridge, vec![self.pair_set.clone()]),
        ];
        for ((family, name), (chains, declarations)) in TABLES.into_iter().zip(contents) {
            let _ = writeln!(text, "table {family} {name}");
            let _ = writeln!(text, "delete table {family} {name}");
            let _ = writeln!(text, "table {family} {name} {{");
            if !self.version.is_empty() {
                let _ = writeln!(text, "  set {} {{ type mark; }}", self.version);
            }
            for declaration in declarations {
                let _ = writeln!(text, "  {declaration}");
            }
            for chain in chains {
                write_chain(chain, &mut text);
            }
            text.push_str("}\n");
        }
        text.push_str(&tenants.added());
        text
    }
}

/// Writes a chain in nft's syntax.
fn write_chain(chain: &Chain, text: &mut String) {
    let _ = writeln!(text, "  chain {} {{", chain.name);
    if let Some(h) = chain.hook {
        let _ = writeln!(
            text,
            "    type {} hook {} priority {}; policy accept;",
            h.kind, h.hook, h.priority
        );
    }
    for rule in &chain.rules {
        let _ = writeln!(text, "    {} comment \"{}\"", rule.text, rule.comment);
    }
    text.push_str("  }\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AddressPlan, Ipv6Prefix, Slot};
    use provisioning::{observed::ObservedFirewallTenant, spec::PacketRate};
    use std::collections::BTreeMap;

    fn tenants(n: u16) -> Elements {
        let plan = AddressPlan::default();
        let prefix = Ipv6Prefix::from_random([0x12, 0x34, 0x56, 0x78, 0x9a]);
        let all: BTreeMap<_, _> = (1..=n)
            .filter_map(Slot::new)
            .map(|s| {
                let subnet6 = prefix.subnet(s);
                let t = ObservedFirewallTenant {
                    subnets: [plan.subnet(s)].into(),
                    gateways: [plan.gateway(s)].into(),
                    dns: Some(plan.container(s)),
                    mesh: [plan.device(s, 2), plan.device(s, 3)].into(),
                    locked: [plan.device(s, 3)].into(),
                    subnets6: [subnet6].into(),
                    mesh6: [2, 3].map(|h| subnet6.device(plan.device(s, h))).into(),
                    locked6: [subnet6.device(plan.device(s, 3))].into(),
                    listed: true,
                    stopped: s.get() == 2,
                    tunnel_packets: Some(PacketRate::at_least(18_028)),
                };
                (s, t)
            })
            .collect();
        Elements::of(&all)
    }

    /// Compares a text with a file. `GOLDEN=write` writes the file, for review.
    fn golden(name: &str, text: &str) {
        let path = format!("{}/tests/golden/{name}.nft", env!("CARGO_MANIFEST_DIR"));
        // The thousand containers differ by nothing but their number.
        let text = &text
            .lines()
            .map(|l| match l.split_once(", 02:42:") {
                Some((first, _)) => format!("{first}, ...\n"),
                None => format!("{l}\n"),
            })
            .collect::<String>();
        if std::env::var_os("GOLDEN").is_some_and(|v| v == "write") {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), *text, "{path}");
    }

    #[test]
    fn the_ruleset_without_tenants_matches_the_golden_file() {
        let rules = Ruleset::new(&FirewallSettings::default());
        golden("empty", &rules.rebuild(&Elements::default()));
    }

    #[test]
    fn the_ruleset_with_tenants_matches_the_golden_file() {
        let rules = Ruleset::new(&FirewallSettings::default());
        golden("two", &rules.rebuild(&tenants(2)));
    }

    #[test]
    fn tenants_change_neither_rules_nor_version() {
        let rules = Ruleset::new(&FirewallSettings::default());
        let (none, many) = (
            rules.rebuild(&Elements::default()),
            rules.rebuild(&tenants(1000)),
        );
        assert_eq!(
            many.strip_prefix(&none).map(|added| added.lines().count()),
            Some(12)
        );
    }

    #[test]
    fn other_settings_have_another_version() {
        let version = |s: FirewallSettings| Ruleset::new(&s).version;
        let usual = version(FirewallSettings::default());
        assert_eq!(usual, version(FirewallSettings::default()));
        let nets = |n: &[&str]| FirewallSettings {
            allowed_private: n.iter().map(|n| n.parse().unwrap()).collect(),
            ..FirewallSettings::default()
        };
        assert_ne!(usual, version(nets(&["192.168.1.0/24"])));
        // Other notations of the same addresses give the same rules.
        assert_eq!(
            version(nets(&["192.168.0.0/24", "192.168.1.7/24"])),
            version(nets(&["192.168.0.0/23", "192.168.1.1/32"]))
        );
    }

    #[test]
    fn every_rule_has_a_valid_comment() {
        let rules = Ruleset::new(&FirewallSettings::default());
        for r in rules
            .inet
            .iter()
            .chain(&rules.limits)
            .chain(&rules.bridge)
            .flat_map(|c| &c.rules)
        {
            // NFTNL_UDATA_COMMENT_MAXLEN is 128.
            assert!((1..128).contains(&r.comment.len()) && !r.comment.contains('"'));
        }
    }
}
