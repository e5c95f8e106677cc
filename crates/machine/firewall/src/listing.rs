//! A table as it was listed: the tenants in the sets, and whether chains and rules
//! are those of this version. It comes from `nft -j list table`
//! (`libnftables-json(5)`), or from netlink.

use crate::{
    bridge::{PAIRS, Pair},
    elements::{Element, Elements},
    model::{Chain, Hook},
};
use domain::{Ipv6Subnet, Slot};
use ipnet::{Ipv4Net, Ipv6Net};
use serde::Deserialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

/// A table as it was listed.
#[derive(Debug, Default)]
pub struct Listing {
    /// The tenants' elements that have the form we write.
    pub elements: Elements,
    /// The addresses of containers, in the bridge's table.
    pairs: BTreeSet<Pair>,
    /// Whether a set of ours contains something that we never write.
    unexpected: bool,
    /// Whether the table has flags (`dormant` switches it off).
    has_flags: bool,
    sets: Vec<String>,
    chains: BTreeMap<String, ListedChain>,
}

#[derive(Debug, Default)]
struct ListedChain {
    /// Whether the chain itself was listed, and not only a rule of it.
    declared: bool,
    /// The type, hook, priority and policy of a base chain.
    base: Option<(String, String, i64, String)>,
    /// The rules' comments in order; a rule of another program may have none.
    comments: Vec<Option<String>>,
}

impl Listing {
    /// Parses the output of `nft -j list table`.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let mut listing = Self::default();
        for object in document.nftables {
            listing.add(object);
        }
        Ok(listing)
    }

    fn add(&mut self, object: Object) {
        if let Some(table) = object.table {
            self.add_table(table.flags.is_some());
        }
        if let Some(c) = object.chain {
            let base = c.hook.map(|hook| {
                let kind = c.kind.unwrap_or_default();
                (
                    kind,
                    hook,
                    c.prio.unwrap_or_default(),
                    c.policy.unwrap_or_default(),
                )
            });
            self.add_chain(c.name, base);
        }
        if let Some(r) = object.rule {
            self.add_rule(r.chain, r.comment);
        }
        if let Some(set) = object.set.or(object.map) {
            for value in set.elem {
                let added = if set.name == PAIRS {
                    pair(&value).map(|p| self.pairs.insert(p))
                } else {
                    element(&set.name, &value).map(|e| self.elements.0.insert(e))
                };
                self.unexpected |= added.is_none();
            }
            self.add_set(set.name);
        }
    }

    /// Adds the table itself.
    pub(crate) fn add_table(&mut self, has_flags: bool) {
        self.has_flags |= has_flags;
    }

    /// Adds a chain, with the type, hook, priority and policy of a base chain.
    pub(crate) fn add_chain(&mut self, name: String, base: Option<(String, String, i64, String)>) {
        let chain = self.chains.entry(name).or_default();
        // Each chain is listed once; of two, one could hide the other.
        self.unexpected |= std::mem::replace(&mut chain.declared, true);
        chain.base = base;
    }

    /// Adds a rule with its comment.
    pub(crate) fn add_rule(&mut self, chain: String, comment: Option<String>) {
        self.chains.entry(chain).or_default().comments.push(comment);
    }

    /// Adds a set or map without its elements.
    pub(crate) fn add_set(&mut self, name: String) {
        self.sets.push(name);
    }

    /// Records an object that we never write.
    pub(crate) fn add_unexpected(&mut self) {
        self.unexpected = true;
    }

    /// Returns whether the table has a set of this name.
    pub(crate) fn has_set(&self, name: &str) -> bool {
        self.sets.iter().any(|s| s == name)
    }

    /// Returns whether the table lists exactly these containers.
    pub(crate) fn has_pairs(&self, pairs: &BTreeSet<Pair>) -> bool {
        self.pairs == *pairs
    }

    /// Returns whether the table has exactly these chains, rules and version, and
    /// its sets contain nothing that we do not write.
    pub fn matches(&self, chains: &[Chain], version: &str) -> bool {
        !self.unexpected
            && !self.has_flags
            && self.has_set(version)
            && self.chains.len() == chains.len()
            && chains
                .iter()
                .all(|c| self.chains.get(&*c.name).is_some_and(|l| l.matches(c)))
    }
}

impl ListedChain {
    fn matches(&self, chain: &Chain) -> bool {
        let same_base = match (&self.base, chain.hook) {
            (None, None) => true,
            (Some((kind, hook, priority, policy)), Some(h)) => {
                let listed = Hook {
                    kind: h.kind,
                    hook: h.hook,
                    priority: *priority,
                };
                kind == h.kind && hook == h.hook && listed == h && policy == "accept"
            }
            _ => false,
        };
        let comments = self.comments.iter().map(Option::as_deref);
        same_base && comments.eq(chain.rules.iter().map(|r| Some(r.comment)))
    }
}

/// Parses an element in the form we write; any other is `None`.
fn element(set: &str, value: &Value) -> Option<Element> {
    // An element with a counter, comment or timeout is wrapped.
    let value = value.pointer("/elem/val").unwrap_or(value);
    match set {
        "ours" => return slot(value).map(Element::Ours),
        "stopped" => return slot(value).map(Element::Stopped),
        "prefix6" => {
            let prefix = format!("{}/48", address6(value)?).parse().ok()?;
            return Some(Element::Prefix6(prefix));
        }
        "forwards" => return forward(value.as_array()?, Element::Forward),
        "forwarded" => return forward(value.get("concat")?.as_array()?, Element::Forwarded),
        _ => {}
    }
    let pair = match set {
        "dns" => value.as_array(),
        _ => value.get("concat")?.as_array(),
    };
    let [name, rest] = pair?.as_slice() else {
        return None;
    };
    let slot = slot(name.pointer("/elem/val").unwrap_or(name))?;
    Some(match set {
        "gw" => Element::Gateway(slot, address(rest)?),
        "net" => Element::Net(slot, net(rest)?),
        "mesh" => Element::Mesh(slot, address(rest)?),
        "locked" => Element::Locked(slot, address(rest)?),
        "net6" => Element::Net6(slot, subnet6(rest)?),
        "mesh6" => Element::Mesh6(slot, address6(rest)?),
        "locked6" => Element::Locked6(slot, address6(rest)?),
        "dns" => Element::Dns(slot, address(rest)?),
        _ => return None,
    })
}

/// Parses a port and an address.
fn forward(pair: &[Value], element: fn(Slot, Ipv4Addr) -> Element) -> Option<Element> {
    let [port, to] = pair else {
        return None;
    };
    let port = port.pointer("/elem/val").unwrap_or(port).as_u64()?;
    let slot = Slot::of_port(u16::try_from(port).ok()?)?;
    Some(element(slot, address(to)?))
}

fn pair(value: &Value) -> Option<Pair> {
    match value.get("concat")?.as_array()?.as_slice() {
        [mac, of] => Some((mac.as_str()?.to_owned(), address(of)?)),
        _ => None,
    }
}

fn slot(value: &Value) -> Option<Slot> {
    Slot::of_interface(value.as_str()?)
}

fn address(value: &Value) -> Option<Ipv4Addr> {
    value.as_str()?.parse().ok()
}

fn address6(value: &Value) -> Option<Ipv6Addr> {
    value.as_str()?.parse().ok()
}

/// Parses a /64 from its address.
fn subnet6(value: &Value) -> Option<Ipv6Subnet> {
    Ipv6Subnet::new(Ipv6Net::new(address6(value)?, Ipv6Subnet::LENGTH).ok()?)
}

fn net(value: &Value) -> Option<Ipv4Net> {
    if let Some(single) = address(value) {
        return Some(Ipv4Net::from(single));
    }
    let prefix = value.get("prefix")?;
    let length = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
    Ipv4Net::new(address(prefix.get("addr")?)?, length).ok()
}

#[derive(Deserialize)]
struct Document {
    nftables: Vec<Object>,
}

/// One object of the list. Objects of other kinds are ignored.
#[derive(Deserialize)]
struct Object {
    table: Option<TableObject>,
    chain: Option<ChainObject>,
    rule: Option<RuleObject>,
    set: Option<SetObject>,
    map: Option<SetObject>,
}

#[derive(Deserialize)]
struct TableObject {
    flags: Option<Value>,
}

#[derive(Deserialize)]
struct ChainObject {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    hook: Option<String>,
    prio: Option<i64>,
    policy: Option<String>,
}

#[derive(Deserialize)]
struct RuleObject {
    chain: String,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct SetObject {
    name: String,
    #[serde(default)]
    elem: Vec<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rules::Ruleset, settings::FirewallSettings};
    use serde_json::json;

    /// Returns nft's listing of a table as we write it.
    fn listed(rules: &Ruleset) -> Vec<Value> {
        let mut list = vec![
            json!({"metainfo": {"version": "1.0.6", "json_schema_version": 1}}),
            json!({"table": {"family": "inet", "name": "maliknode", "handle": 1}}),
            json!({"set": {"name": rules.version, "type": "mark"}}),
            json!({"set": {"name": "ours", "type": "ifname", "elem": ["wg1", "wg2"]}}),
            json!({"set": {"name": "gw", "elem": [{"concat": ["wg1", "10.88.1.1"]}]}}),
            json!({"set": {"name": "net", "flags": ["interval"], "elem": [
                {"concat": ["wg1", {"prefix": {"addr": "10.88.1.0", "len": 24}}]}]}}),
            json!({"set": {"name": "mesh", "elem": [
                {"elem": {"val": {"concat": ["wg1", "10.88.1.2"]}, "comment": "x"}}]}}),
            json!({"map": {"name": "dns", "map": "ipv4_addr", "elem": [["wg1", "10.92.1.1"]]}}),
        ];
        for c in &rules.inet {
            let mut chain = json!({"name": c.name, "handle": 1});
            if let Some(h) = c.hook {
                let base =
                    json!({"type": h.kind, "hook": h.hook, "prio": h.priority, "policy": "accept"});
                chain
                    .as_object_mut()
                    .unwrap()
                    .extend(base.as_object().unwrap().clone());
            }
            list.push(json!({"chain": chain}));
        }
        for c in &rules.inet {
            for r in &c.rules {
                list.push(json!({"rule": {"chain": c.name, "comment": r.comment, "expr": []}}));
            }
        }
        list
    }

    fn parse(list: &[Value]) -> Listing {
        Listing::parse(json!({"nftables": list}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn listed_elements_are_parsed_as_tenants() {
        let rules = Ruleset::new(&FirewallSettings::default());
        let listing = parse(&listed(&rules));
        assert!(listing.matches(&rules.inet, &rules.version));
        let tenants = listing.elements.tenants();
        let first = &tenants[&Slot::FIRST];
        assert!(first.listed && first.gateways.contains(&Ipv4Addr::new(10, 88, 1, 1)));
        assert!(first.mesh.contains(&Ipv4Addr::new(10, 88, 1, 2)));
        assert_eq!(first.dns, Some(Ipv4Addr::new(10, 92, 1, 1)));
        assert_eq!(first.subnets, ["10.88.1.0/24".parse().unwrap()].into());
        // A tenant with only some of its elements is returned with those.
        let second = &tenants[&Slot::new(2).unwrap()];
        assert!(second.listed && second.gateways.is_empty());
    }

    #[test]
    fn missing_changed_and_added_rules_are_noticed() {
        let rules = Ruleset::new(&FirewallSettings::default());
        let complete = listed(&rules);
        // A chain without a hook cannot be removed while it has rules.
        let removable = |i: &usize| {
            complete[*i].get("rule").is_some() || complete[*i].pointer("/chain/hook").is_some()
        };
        for i in (0..complete.len()).filter(removable) {
            let mut less = complete.clone();
            less.remove(i);
            assert!(
                !parse(&less).matches(&rules.inet, &rules.version),
                "{}",
                complete[i]
            );
            let mut more = complete.clone();
            more.push(json!({"rule": {"chain": "forward", "expr": []}}));
            assert!(!parse(&more).matches(&rules.inet, &rules.version));
        }
        let change = |path: &str, value: Value| {
            let mut list = json!(complete.clone());
            let target = list
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .find_map(|o| o.pointer_mut(path))
                .unwrap();
            *target = value;
            parse(list.as_array().unwrap()).matches(&rules.inet, &rules.version)
        };
        assert!(!change("/chain/policy", json!("drop")));
        assert!(!change("/chain/prio", json!(0)));
        assert!(!change("/chain/hook", json!("input")));
        assert!(!change("/rule/comment", json!("another")));
        assert!(!change("/set/name", json!("version_0")));
        assert!(!change("/table", json!({"flags": ["dormant"]})));
        assert!(change(
            "/rule/expr",
            json!([{"counter": {"packets": 7, "bytes": 700}}])
        ));
    }

    #[test]
    fn unexpected_elements_do_not_hide_the_others() {
        let rules = Ruleset::new(&FirewallSettings::default());
        for (set, value) in [
            ("ours", json!("eth0")),
            ("ours", json!("wg0")),
            ("gw", json!({"concat": ["wg1"]})),
            (
                "net",
                json!({"concat": ["wg1", {"range": ["10.88.1.0", "10.88.1.9"]}]}),
            ),
            ("mesh", json!("10.88.1.2")),
            ("locked", json!("10.88.1.2")),
            ("net6", json!({"concat": ["wg1", "fd00::1"]})),
            ("prefix6", json!("fd00:0:0:1::")),
            ("prefix6", json!("2001:db8::")),
            ("mesh6", json!("fd00:0:0:1::2")),
            ("other", json!("wg1")),
            ("stopped", json!("eth0")),
            (PAIRS, json!("02:42:0a:5c:01:01")),
        ] {
            let mut list = listed(&rules);
            list.push(json!({"set": {"name": set, "elem": [value]}}));
            let listing = parse(&list);
            assert!(!listing.matches(&rules.inet, &rules.version), "{set}");
            assert_eq!(listing.elements.tenants().len(), 2);
        }
        assert!(Listing::parse(b"").is_err() && Listing::parse(b"{}").is_err());
    }
}
