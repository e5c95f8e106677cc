//! What `nft -j list table` says.
//!
//! - Elements that were read, listed as nft lists them, read the same.
//! - A table passes for ours only with every one of our chains and rules, in
//!   order, and nothing else.
//! - The text we answer with holds commands for our own table and nothing else,
//!   whatever was listed.

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
    assert_eq!(again.expect("nft's own form is read").elements, *elements);

    for (from, to) in [
        (elements, &Elements::default()),
        (&Elements::default(), elements),
    ] {
        let change = Difference::between(from, to);
        let mut now = from.clone();
        change.apply(&mut now);
        assert_eq!(&now, to);
        assert_eq!(change.is_empty(), from == to);
        change.commands().lines().for_each(is_command);
    }
    stands(data);
}

/// The elements as nft lists them.
fn listed(elements: &Elements) -> Value {
    let sets = elements.0.iter().map(|e| match *e {
        Element::Ours(s) => json!({"set": {"name": "ours", "elem": [s.interface()]}}),
        Element::Gateway(s, a) => {
            json!({"set": {"name": "gw", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Mesh(s, a) => {
            json!({"set": {"name": "mesh", "elem": [{"concat": [s.interface(), a]}]}})
        }
        Element::Net(s, n) => json!({"set": {"name": "net", "elem": [
            {"concat": [s.interface(), {"prefix": {"addr": n.addr(), "len": n.prefix_len()}}]}]}}),
        Element::Dns(s, a) => json!({"map": {"name": "dns", "elem": [[s.interface(), a]]}}),
    });
    json!({"nftables": sets.collect::<Vec<_>>()})
}

fn is_command(line: &str) {
    let rest = ["add", "delete"].iter().find_map(|verb| {
        line.strip_prefix(verb)?
            .strip_prefix(" element inet maliknode ")
    });
    let rest = rest.unwrap_or_else(|| panic!("no command of ours: {line}"));
    let (set, list) = rest.split_once(" { ").expect("a set and its elements");
    assert!(["ours", "gw", "net", "mesh", "dns"].contains(&set));
    let list = list.strip_suffix(" }").expect("a list that ends");
    let plain = |c: char| matches!(c, 'w' | 'g' | '0'..='9' | '"' | '.' | ':' | '/' | ',' | ' ');
    assert!(list.chars().all(plain), "{line}");
}

/// Our own table with what was listed added to it: it passes for ours only where
/// that is nothing but elements.
fn stands(data: &[u8]) {
    // What the reader skips need not even be text.
    let Ok(listed) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    // serde takes a list of a struct's fields for the struct; nft prints none.
    let Some(added) = listed["nftables"].as_array().cloned() else {
        return;
    };
    let all: Vec<Value> = OWN.iter().cloned().chain(added.clone()).collect();
    let whole = json!({"nftables": all}).to_string();
    // An object may have several kinds at once, of which nft gives one.
    let passes = Listing::parse(whole.as_bytes())
        .expect("both were read")
        .stands_as(&RULES.inet, &RULES.version);
    let adds = |kind: &str| added.iter().any(|o| !o[kind].is_null());
    if passes {
        assert!(!adds("rule"), "a rule too many");
        let flagged = |o: &Value| !o["table"]["flags"].is_null();
        assert!(!added.iter().any(flagged), "a table that is switched off");
        for chain in added.iter().map(|o| &o["chain"]).filter(|c| !c.is_null()) {
            let ours = RULES.inet.iter().find(|c| chain["name"] == c.name);
            let hook = ours.expect("a chain of ours").hook.map(|h| h.hook);
            assert_eq!(chain["hook"].as_str(), hook, "a chain that hangs elsewhere");
        }
    } else {
        let harmless = added.is_empty()
            || !["chain", "rule", "set", "map", "table"]
                .iter()
                .any(|k| adds(k));
        assert!(!harmless, "our own table is not known again");
    }
}

/// Our table as nft lists it, without tenants.
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
