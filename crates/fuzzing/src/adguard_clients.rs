//! AdGuard Home's responses: its persistent clients, its state, its counters.
//! The first line of the input chooses the wanted devices, the rest is the
//! response.
//!
//! - For every response the plan ends and loses nothing of the tenant's own.
//! - From every possible state of AdGuard Home, it accepts each change, a few
//!   rounds lead to the wanted state, and then nothing is changed.

use crate::bytes::Bytes;
use adguard::{
    clients::{self, Change, assign_names, our_clients, plan},
    policy::{Means, Object, is_our_tag, policy_of},
    responses,
};
use domain::FilterPolicy;
use provisioning::spec::DnsClient;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

pub(crate) fn run(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(0);
    let (head, answer) = data.split_at(end);
    let _ = responses::running(answer);
    if let Ok(counts) = responses::counts(answer) {
        let _ = counts;
    }
    let Ok(home) = responses::clients(answer) else {
        return;
    };
    let wanted = wanted(&mut Bytes::new(head), &home);
    let _ = (
        our_clients(&home, |c| policy_of(c, Means::FULL)),
        assign_names(&home, &wanted),
    );
    for change in plan(&home, &wanted, Means::FULL) {
        preserves_settings(&home, &change);
    }
    if home.iter().all(is_possible) {
        converges(home, &wanted);
    }
}

/// Chooses devices, some with the names of existing clients.
fn wanted(bytes: &mut Bytes<'_>, home: &[Object]) -> BTreeMap<String, DnsClient> {
    let (mut wanted, mut taken) = (BTreeMap::new(), BTreeSet::new());
    for host in 2..2 + bytes.byte() % 8 {
        let other = home.get(usize::from(bytes.byte() % 8));
        let name = match other.map(clients::name_of) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => bytes.pick(&["A", "B", "A (2)", "mn-1"]).to_owned(),
        };
        let id = format!("mn-{}", bytes.byte() % 8);
        let client = DnsClient {
            name: name.clone(),
            address: Ipv4Addr::new(10, 88, 1, host),
            address6: None,
            policy: bytes.pick(&FilterPolicy::ALL),
            host_name: format!("device-{host}.alice.internal"),
        };
        // A tenant's labels are unique.
        if taken.insert(name) {
            wanted.insert(id, client);
        }
    }
    wanted
}

/// Checks that a change touches only names, ids, switches and the tag of a lock.
fn preserves_settings(home: &[Object], change: &Change) {
    const OURS: [&str; 9] = [
        "name",
        "ids",
        "use_global_settings",
        "filtering_enabled",
        "safebrowsing_enabled",
        "parental_enabled",
        "safe_search",
        "safesearch_enabled",
        "use_global_blocked_services",
    ];
    let Change::Update { data, .. } = change else {
        return;
    };
    let rest = |o: &Object| -> BTreeMap<String, Value> {
        let foreign = |(k, _): &(&String, &Value)| {
            !OURS.contains(&k.as_str()) && *k != "blocked_services" && *k != "tags"
        };
        o.iter()
            .filter(foreign)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    };
    let found = home
        .iter()
        .any(|c| rest(c) == rest(data) && own_tags(c) == own_tags(data));
    assert!(found, "a setting of the tenant's own was changed: {data:?}");
}

/// Returns a client's tags but for those of policies.
fn own_tags(client: &Object) -> Vec<&Value> {
    let tags = client.get("tags").and_then(Value::as_array);
    tags.into_iter()
        .flatten()
        .filter(|tag| !is_our_tag(tag))
        .collect()
}

fn ids(client: &Object) -> Vec<&str> {
    let ids = client.get("ids").and_then(Value::as_array);
    ids.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Returns whether AdGuard Home could have this client: it validates names and
/// ids, and writes each id in one form.
fn is_possible(client: &Object) -> bool {
    let all = client
        .get("ids")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let plain = |id: &&str| {
        let known = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".:-/".contains(&c);
        let address = id.parse::<IpAddr>().is_ok_and(|a| a.to_string() == *id);
        let label =
            id.len() <= 63 && !id.contains([':', '/', '.']) && id.parse::<IpAddr>().is_err();
        !id.is_empty() && id.bytes().all(known) && (address || label)
    };
    let ids = ids(client);
    !clients::name_of(client).is_empty()
        && !ids.is_empty()
        && ids.len() == all
        && ids.iter().all(plain)
}

/// Returns whether names and ids are unique, as AdGuard Home requires.
fn is_unique(home: &[Object]) -> bool {
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::new();
    home.iter().all(|c| {
        let own: BTreeSet<&str> = ids(c).into_iter().collect();
        names.insert(clients::name_of(c)) && own.into_iter().all(|id| seen.insert(id))
    })
}

fn converges(mut home: Vec<Object>, wanted: &BTreeMap<String, DnsClient>) {
    if !is_unique(&home) {
        return;
    }
    let own = |home: &[Object]| -> BTreeSet<String> {
        let of_ours = |id: &&str| id.starts_with("mn-") || id.parse::<Ipv4Addr>().is_ok();
        let all = home.iter().flat_map(ids).filter(|id| !of_ours(id));
        all.map(str::to_owned).collect()
    };
    let before = own(&home);
    for _ in 0..4 {
        let changes = plan(&home, wanted, Means::FULL);
        if changes.is_empty() {
            break;
        }
        changes.iter().for_each(|c| apply(&mut home, c));
    }
    assert!(
        plan(&home, wanted, Means::FULL).is_empty(),
        "the plan never ends: {home:?}"
    );
    assert_eq!(own(&home), before, "an id of the tenant's own is gone");
    let (clients, names) = (
        our_clients(&home, |c| policy_of(c, Means::FULL)),
        assign_names(&home, wanted),
    );
    assert!(clients.keys().eq(wanted.keys()));
    for (id, client) in wanted {
        assert_eq!(clients[id].addresses, [client.address].into());
        assert_eq!(clients[id].policy, Some(client.policy));
        assert_eq!(clients[id].name, names[id]);
    }
}

/// Applies a change like AdGuard Home.
fn apply(home: &mut Vec<Object>, change: &Change) {
    let at = |home: &[Object], name: &str| {
        home.iter()
            .position(|c| clients::name_of(c) == name)
            .expect("a client of this name")
    };
    match change {
        Change::Add(data) => home.push(data.clone()),
        Change::Update { name, data } => {
            let i = at(home, name);
            home[i] = data.clone();
        }
        Change::Delete(name) => {
            let i = at(home, name);
            home.remove(i);
        }
    }
    assert!(
        home.iter().all(|c| !ids(c).is_empty()) && is_unique(home),
        "{change:?}"
    );
}
