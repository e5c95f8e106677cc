//! The tables as data, from which both the text for `nft` and the expectation
//! for reading back are made: one source, so that they cannot drift apart.

use crate::{chains, elements::Elements, settings::FirewallSettings};
use provisioning::observed::content_hash;
use std::fmt::Write;

/// The name of our tables, one in family `inet`, one in `bridge`.
pub const TABLE: &str = "maliknode";

/// The sets and the map that hold the tenants.
const SETS: [&str; 5] = [
    "set ours { type ifname; }",
    "set gw { type ifname . ipv4_addr; }",
    "set net { type ifname . ipv4_addr; flags interval; }",
    "set mesh { type ifname . ipv4_addr; }",
    "map dns { type ifname : ipv4_addr; }",
];

/// Where a base chain hangs in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    pub kind: &'static str,
    pub hook: &'static str,
    pub priority: i64,
}

/// A rule, with the comment by which it is recognised when it is read back.
#[derive(Clone, Debug)]
pub struct Rule {
    pub text: String,
    pub comment: &'static str,
}

/// A chain; without a hook it is only jumped to.
#[derive(Clone, Debug)]
pub struct Chain {
    pub name: &'static str,
    pub hook: Option<Hook>,
    pub rules: Vec<Rule>,
}

/// The rules of both tables, and the mark of their version.
#[derive(Clone, Debug)]
pub struct Ruleset {
    pub inet: Vec<Chain>,
    pub bridge: Vec<Chain>,
    /// The name of an empty set that stands for these very rules.
    pub version: String,
}

impl Ruleset {
    /// The rules for these settings, which have been checked.
    pub fn new(s: &FirewallSettings) -> Self {
        let mut rules = Self {
            inet: chains::inet(s),
            bridge: chains::bridge(s),
            version: String::new(),
        };
        let text = rules.rebuild(&Elements::default());
        rules.version = format!("version_{:016x}", content_hash(text.as_bytes()));
        rules
    }

    /// A transaction that makes both tables anew with these tenants, whatever
    /// stood before. Adding first makes deleting succeed where nothing is
    /// (`destroy` needs a newer nft than Debian 12's).
    pub fn rebuild(&self, tenants: &Elements) -> String {
        let mut text = String::new();
        for (family, chains, sets) in [
            ("inet", &self.inet, SETS.as_slice()),
            ("bridge", &self.bridge, &[]),
        ] {
            let _ = writeln!(text, "table {family} {TABLE}");
            let _ = writeln!(text, "delete table {family} {TABLE}");
            let _ = writeln!(text, "table {family} {TABLE} {{");
            if !self.version.is_empty() {
                let _ = writeln!(text, "  set {} {{ type mark; }}", self.version);
            }
            for set in sets {
                let _ = writeln!(text, "  {set}");
            }
            for chain in chains {
                chain.write(&mut text);
            }
            text.push_str("}\n");
        }
        text.push_str(&tenants.added());
        text
    }

    /// A transaction after which nothing of ours stands.
    pub fn removal() -> String {
        ["inet", "bridge"]
            .map(|family| format!("table {family} {TABLE}\ndelete table {family} {TABLE}\n"))
            .concat()
    }
}

impl Chain {
    fn write(&self, text: &mut String) {
        let _ = writeln!(text, "  chain {} {{", self.name);
        if let Some(h) = self.hook {
            let _ = writeln!(
                text,
                "    type {} hook {} priority {}; policy accept;",
                h.kind, h.hook, h.priority
            );
        }
        for rule in &self.rules {
            let _ = writeln!(text, "    {} comment \"{}\"", rule.text, rule.comment);
        }
        text.push_str("  }\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{AddressPlan, Slot};
    use provisioning::observed::ObservedFirewallTenant;
    use std::collections::BTreeMap;

    fn tenants(n: u16) -> Elements {
        let plan = AddressPlan::default();
        let all: BTreeMap<_, _> = (1..=n)
            .filter_map(Slot::new)
            .map(|s| {
                let t = ObservedFirewallTenant {
                    subnets: [plan.subnet(s)].into(),
                    gateways: [plan.gateway(s)].into(),
                    dns: Some(plan.container(s)),
                    mesh: [plan.device(s, 2), plan.device(s, 3)].into(),
                    listed: true,
                };
                (s, t)
            })
            .collect();
        Elements::of(&all)
    }

    /// Compares with a file; `GOLDEN=write` writes it, for a reader to review.
    fn golden(name: &str, text: &str) {
        let path = format!("{}/tests/golden/{name}.nft", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("GOLDEN").is_some_and(|v| v == "write") {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{path}");
    }

    #[test]
    fn the_text_without_tenants_is_the_golden_one() {
        let rules = Ruleset::new(&FirewallSettings::default());
        golden("empty", &rules.rebuild(&Elements::default()));
    }

    #[test]
    fn the_text_with_two_tenants_is_the_golden_one() {
        let rules = Ruleset::new(&FirewallSettings::default());
        golden("two", &rules.rebuild(&tenants(2)));
    }

    #[test]
    fn tenants_change_no_rule_and_no_version() {
        let rules = Ruleset::new(&FirewallSettings::default());
        let (none, many) = (
            rules.rebuild(&Elements::default()),
            rules.rebuild(&tenants(1000)),
        );
        assert_eq!(
            many.strip_prefix(&none).map(|added| added.lines().count()),
            Some(5)
        );
    }

    #[test]
    fn other_settings_are_another_version() {
        let version = |s: FirewallSettings| Ruleset::new(&s).version;
        let usual = version(FirewallSettings::default());
        assert_eq!(usual, version(FirewallSettings::default()));
        let nets = |n: &[&str]| FirewallSettings {
            allowed_private: n.iter().map(|n| n.parse().unwrap()).collect(),
            ..FirewallSettings::default()
        };
        assert_ne!(usual, version(nets(&["192.168.1.0/24"])));
        // The same addresses said in another way are the same rules.
        assert_eq!(
            version(nets(&["192.168.0.0/24", "192.168.1.7/24"])),
            version(nets(&["192.168.0.0/23", "192.168.1.1/32"]))
        );
    }

    #[test]
    fn every_rule_has_a_comment_that_nft_takes() {
        let rules = Ruleset::new(&FirewallSettings::default());
        for r in rules
            .inet
            .iter()
            .chain(&rules.bridge)
            .flat_map(|c| &c.rules)
        {
            // NFTNL_UDATA_COMMENT_MAXLEN is 128.
            assert!((1..128).contains(&r.comment.len()) && !r.comment.contains('"'));
        }
    }
}
