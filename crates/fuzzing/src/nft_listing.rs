//! The output of `nft -j list table`.
//!
//! - Elements that were read are the same when they are listed as by nft and
//!   read again.
//! - A table is accepted as ours only with exactly our chains and rules, in
//!   order.
//! - The commands that correct it concern our own table only, whatever was
//!   listed.

use firewall::{
    FirewallSettings,
    elements::{Difference, Element, Elements},
    listing::Listing,
    rules::Ruleset,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

static RULES: LazyLock<Ruleset> = LazyLock::new(|| Ruleset::new(&FirewallSettings::default()));

pub(crate) fn run(data: &[u8]) {
    let Ok(listing) = Listing::parse(data) else {
        return;
    };
    let elements = &listing.elements;
    let again = Listing::parse(listed(elements).to_string().as_bytes());
    assert_eq!(again.expect("the form of nft is read").elements, *elements);

    for (from, to) in [
        (elements, &Elements::default()),
        (&Elements::default(), elements),
    ] {
        let change = Difference::between(from, to);
        let mut now = from.clone();
        change.apply(&mut now);
        // A prefix of IPv6 stays.
        assert_eq!(of_tenants(&now), of_tenants(to));
        let is_same = of_tenants(from) == of_tenants(to) && to.0.is_subset(&from.0);
        assert_eq!(change.is_empty(), is_same);
        change.commands().lines().for_each(is_command);
    }
    own_table_is_recognized(data);
}

/// Returns the elements but the prefixes of IPv6.
fn of_tenants(elements: &Elements) -> Vec<Element> {
    let all = elements.0.iter().copied();
    all.filter(|e| !matches!(e, Element::Prefix6(_))).collect()
}

/// Returns the elements in the form of nft.
fn listed(elements: &Elements) -> Value {
    let sets = elements.0.iter().map(|e| match *e {
        Element::Ours(s) => json!({"set": {"name": "ours", "elem": [s.interface()]}}),
        Element::Gateway(s, a) => {
            json!({"set": {"name": "gw", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Mesh(s, a) => {
            json!({"set": {"name": "mesh", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Locked(s, a) => {
            json!({"set": {"name": "locked", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Net6(s, n) => {
            let net = n.net().addr();
            json!({"set": {"name": "net6", "elem": [{"concat": [s.interface(), net]}]}})
        }
        Element::Prefix6(n) => json!({"set": {"name": "prefix6", "elem": [n.net().addr()]}}),
        Element::Mesh6(s, a) => {
            json!({"set": {"name": "mesh6", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Locked6(s, a) => {
            json!({"set": {"name": "locked6", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Stopped(s) => json!({"set": {"name": "stopped", "elem": [s.interface()]}}),
        Element::Net(s, n) => json!({"set": {"name": "net", "elem": [
            {"concat": [s.interface(), {"prefix": {"addr": n.addr(), "len": n.prefix_len()}}]}]}}),
        Element::Dns(s, a) => json!({"map": {"name": "dns", "elem": [[s.interface(), a]]}}),
        Element::Forward(s, a) => {
            json!({"map": {"name": "forwards", "elem": [[s.listen_port(), a]]}})
        }
        Element::Forwarded(s, a) => {
            json!({"set": {"name": "forwarded", "elem": [{"concat": [s.listen_port(), a]}]}})
        }
        // It is in the other table, which nft does not list.
        Element::TunnelPackets(..) => panic!("the listing has no such map"),
    });
    json!({"nftables": sets.collect::<Vec<_>>()})
}

fn is_command(line: &str) {
    let rest = ["add", "delete"].iter().find_map(|verb| {
        line.strip_prefix(verb)?
            .strip_prefix(" element inet maliknode ")
    });
    let rest = rest.unwrap_or_else(|| panic!("not a command of ours: {line}"));
    let (set, list) = rest.split_once(" { ").expect("a set and its elements");
    let ours = [
        "ours",
        "gw",
        "net",
        "mesh",
        "net6",
        "prefix6",
        "mesh6",
        "locked6",
        "stopped",
        "dns",
        "forwards",
        "forwarded",
    ];
    assert!(ours.contains(&set), "{line}");
    let list = list.strip_suffix(" }").expect("a list that ends");
    let plain = |c: char| matches!(c, 'w' | 'g' | 'a'..='f' | '0'..='9' | '"' | '.' | ':' | '/' | ',' | ' ');
    assert!(list.chars().all(plain), "{line}");
}

/// Checks our own table with the listed objects added to it: it is accepted only
/// if those are nothing but elements.
fn own_table_is_recognized(data: &[u8]) {
    // What the parser skips may not even be valid text.
    let Ok(listed) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    // serde also accepts a list of a struct's fields, which nft never prints.
    let Some(added) = listed["nftables"].as_array().cloned() else {
        return;
    };
    let all: Vec<Value> = OWN.iter().cloned().chain(added.clone()).collect();
    let table = json!({"nftables": all}).to_string();
    // Here an object may have several kinds, of which nft prints one.
    let accepted = Listing::parse(table.as_bytes())
        .expect("both parts can be read")
        .matches(&RULES.inet, &RULES.version);
    let adds = |kind: &str| added.iter().any(|o| !o[kind].is_null());
    if accepted {
        assert!(!adds("rule"), "a table with an additional rule");
        let flagged = |o: &Value| !o["table"]["flags"].is_null();
        assert!(!added.iter().any(flagged), "a table with flags");
        for chain in added.iter().map(|o| &o["chain"]).filter(|c| !c.is_null()) {
            let ours = RULES.inet.iter().find(|c| chain["name"] == *c.name);
            let hook = ours.expect("a chain of ours").hook.map(|h| h.hook);
            assert_eq!(chain["hook"].as_str(), hook, "a chain with another hook");
        }
    } else {
        let harmless = added.is_empty()
            || !["chain", "rule", "set", "map", "table"]
                .iter()
                .any(|k| adds(k));
        assert!(!harmless, "our own table is not recognized");
    }
}

/// Our table without tenants, in the form of nft.
static OWN: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut list = vec![json!({"set": {"name": RULES.version, "type": "mark"}})];
    for chain in &RULES.inet {
        let base = chain.hook.map(|h| {
            json!({"name": chain.name, "type": h.kind, "hook": h.hook, "prio": h.priority, "policy": "accept"})
        });
        list.push(json!({"chain": base.unwrap_or_else(|| json!({"name": chain.name}))}));
        let rules = chain.rules.iter();
        list.extend(rules.map(|r| json!({"rule": {"chain": chain.name, "comment": r.comment}})));
    }
    list
});
