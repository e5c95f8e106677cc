//! From the clients AdGuard Home has to those it should have: a pure plan of
//! single changes, each of which AdGuard Home accepts after the one before
//! (names and ids are unique in it, `client.index.clashes`).
//!
//! A client is ours where one of its ids begins with `mn-`. Such an id is a
//! ClientID that no device ever sends: a mark that survives renaming.

use crate::policy::{Object, policy_of, set};
use domain::FilterPolicy;
use provisioning::{observed::ObservedDnsClient, spec::DnsClient};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// What our ids begin with.
const MARK: &str = "mn-";

/// One call of the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `POST /control/clients/add`.
    Add(Object),
    /// `POST /control/clients/update`: the whole object under its present name.
    Update {
        /// The present name.
        name: String,
        /// The object as it should be.
        data: Object,
    },
    /// `POST /control/clients/delete`.
    Delete(String),
}

/// A client's name.
pub fn name_of(client: &Object) -> &str {
    client
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A client's ids.
fn ids_of(client: &Object) -> BTreeSet<String> {
    let ids = client.get("ids").and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_str);
    ids.map(str::to_ascii_lowercase).collect()
}

fn is_mark(id: &str) -> bool {
    id.starts_with(MARK)
}

fn is_address(id: &str) -> bool {
    id.parse::<Ipv4Addr>().is_ok()
}

/// Our clients among those AdGuard Home has, by our id.
pub fn ours(clients: &[Object]) -> BTreeMap<String, ObservedDnsClient> {
    let mut ours = BTreeMap::new();
    for client in clients {
        let ids = ids_of(client);
        for mark in ids.iter().filter(|id| is_mark(id)) {
            let seen = ObservedDnsClient {
                name: name_of(client).to_owned(),
                addresses: ids.iter().filter_map(|id| id.parse().ok()).collect(),
                policy: policy_of(client),
            };
            ours.insert(mark.clone(), seen);
        }
    }
    ours
}

/// The names our clients get, by our id: the wanted ones, with a number where
/// a client of the tenant's own or an earlier one of ours has it.
pub fn names(clients: &[Object], wanted: &BTreeMap<String, DnsClient>) -> BTreeMap<String, String> {
    let holders = assign(clients, wanted);
    let mut taken: BTreeSet<String> = clients
        .iter()
        .enumerate()
        .filter(|(i, c)| !holders.contains_key(i) && !is_dropped(c, wanted))
        .map(|(_, c)| name_of(c).to_owned())
        .collect();
    let mut names = BTreeMap::new();
    for (mark, client) in wanted {
        let numbered = (2_u32..).map(|n| format!("{} ({n})", client.name));
        let name = std::iter::once(client.name.clone())
            .chain(numbered)
            .find(|name| !taken.contains(name))
            .unwrap_or_else(|| mark.clone());
        taken.insert(name.clone());
        names.insert(mark.clone(), name);
    }
    names
}

/// A client as it is made: switches, name and ids.
pub fn fresh(mark: &str, name: &str, client: &DnsClient) -> Object {
    let mut object = Object::new();
    object.insert("name".to_owned(), name.into());
    object.insert("ids".to_owned(), json!([client.address.to_string(), mark]));
    set(&mut object, client.policy);
    object
}

/// Which client is for which of our ids: the one that carries it, else one of
/// the tenant's own that is about nothing but devices of ours (a tenant who
/// took the strange id away finds it again, with all else as it was).
fn assign<'w>(
    clients: &[Object],
    wanted: &'w BTreeMap<String, DnsClient>,
) -> BTreeMap<usize, &'w str> {
    let ids: Vec<_> = clients.iter().map(ids_of).collect();
    let mut holders = BTreeMap::new();
    let mut unheld = Vec::new();
    for (mark, client) in wanted {
        let holder = ids.iter().position(|ids| ids.contains(mark));
        match holder.filter(|i| !holders.contains_key(i)) {
            Some(i) => {
                holders.insert(i, mark.as_str());
            }
            None => unheld.push((mark, client.address.to_string())),
        }
    }
    let addresses = addresses(wanted);
    for (mark, address) in unheld {
        let own = ids.iter().enumerate().position(|(i, ids)| {
            !holders.contains_key(&i) && ids.contains(&address) && ids.is_subset(&addresses)
        });
        if let Some(i) = own {
            holders.insert(i, mark);
        }
    }
    holders
}

fn addresses(wanted: &BTreeMap<String, DnsClient>) -> BTreeSet<String> {
    wanted.values().map(|c| c.address.to_string()).collect()
}

/// What a client that is for none of our ids keeps: all that is not about our
/// devices. Where it carries a mark, its one address was a device's.
fn left_over(client: &Object, wanted: &BTreeMap<String, DnsClient>) -> BTreeSet<String> {
    let ids = ids_of(client);
    let marked = ids.iter().any(|id| is_mark(id));
    let devices = addresses(wanted);
    let single = ids.iter().filter(|id| is_address(id)).count() == 1;
    let goes =
        |id: &String| is_mark(id) || devices.contains(id) || (marked && single && is_address(id));
    ids.into_iter().filter(|id| !goes(id)).collect()
}

/// Whether a client that is for none of our ids goes.
fn is_dropped(client: &Object, wanted: &BTreeMap<String, DnsClient>) -> bool {
    left_over(client, wanted).is_empty()
}

/// The changes that lead to `wanted`, in an order AdGuard Home accepts.
pub fn plan(clients: &[Object], wanted: &BTreeMap<String, DnsClient>) -> Vec<Change> {
    let names = names(clients, wanted);
    let holders = assign(clients, wanted);
    let mut now: Vec<Object> = Vec::new();
    let mut updates: Vec<(usize, String, Object)> = Vec::new();
    let mut changes = Vec::new();

    // What goes and what only loses ids first: nothing can be in their way.
    for (i, client) in clients.iter().enumerate() {
        if let Some(&mark) = holders.get(&i) {
            let target = updated(client, mark, &names[mark], &wanted[mark]);
            if !same(client, &target, wanted[mark].policy) {
                updates.push((now.len(), mark.to_owned(), target));
            }
            now.push(client.clone());
            continue;
        }
        let keep = left_over(client, wanted);
        if keep.is_empty() {
            changes.push(Change::Delete(name_of(client).to_owned()));
            continue;
        }
        let mut data = client.clone();
        if keep != ids_of(client) {
            data.insert("ids".to_owned(), json!(keep));
            changes.push(update(client, &data));
        }
        now.push(data);
    }
    in_order(&mut now, updates, &mut changes);

    let held: BTreeSet<&str> = holders.into_values().collect();
    for (mark, client) in wanted.iter().filter(|(m, _)| !held.contains(m.as_str())) {
        changes.push(Change::Add(fresh(mark, &names[mark], client)));
    }
    changes
}

/// Emits updates so that none clashes with what stands at that moment. Where
/// they wait for each other (two devices swap labels), one is parked with its
/// mark alone, under a name that nobody has or waits for, and gets its turn
/// later. Once all are parked, no two wait for each other.
fn in_order(
    now: &mut [Object],
    mut updates: Vec<(usize, String, Object)>,
    changes: &mut Vec<Change>,
) {
    let mut parked = BTreeSet::new();
    while !updates.is_empty() {
        let free = updates.iter().position(|(i, _, to)| !clashes(now, *i, to));
        if let Some(next) = free {
            let (i, _, to) = updates.remove(next);
            changes.push(update(&now[i], &to));
            now[i] = to;
            continue;
        }
        let park = updates.iter().find_map(|(i, mark, _)| {
            let mut data = now[*i].clone();
            let name = parking_name(now, &updates, mark);
            data.insert("name".to_owned(), name.into());
            data.insert("ids".to_owned(), json!([mark]));
            (!parked.contains(i) && !clashes(now, *i, &data)).then_some((*i, data))
        });
        let Some((i, data)) = park else {
            // AdGuard Home would have two clients of one id. What is left is
            // found again at the next observation.
            return;
        };
        parked.insert(i);
        changes.push(update(&now[i], &data));
        now[i] = data;
    }
}

/// The mark, with a number where somebody is called like it: a tenant may give
/// a device any label.
fn parking_name(now: &[Object], updates: &[(usize, String, Object)], mark: &str) -> String {
    let targets = updates.iter().map(|(_, _, to)| to);
    let taken: BTreeSet<&str> = now.iter().chain(targets).map(name_of).collect();
    let numbered = (2_u32..).map(|n| format!("{mark} ({n})"));
    std::iter::once(mark.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name.as_str()))
        .unwrap_or_else(|| mark.to_owned())
}

/// Whether AdGuard Home would refuse `to` in place of client `i`.
fn clashes(now: &[Object], i: usize, to: &Object) -> bool {
    let ids = ids_of(to);
    now.iter().enumerate().any(|(other, client)| {
        other != i && (name_of(client) == name_of(to) || !ids_of(client).is_disjoint(&ids))
    })
}

fn update(from: &Object, to: &Object) -> Change {
    Change::Update {
        name: name_of(from).to_owned(),
        data: to.clone(),
    }
}

/// A client of ours as it should be; ids that are neither addresses nor marks
/// are the tenant's and stay.
fn updated(client: &Object, mark: &str, name: &str, wanted: &DnsClient) -> Object {
    let mut ids = vec![wanted.address.to_string()];
    ids.extend(
        ids_of(client)
            .into_iter()
            .filter(|id| !is_mark(id) && !is_address(id)),
    );
    ids.push(mark.to_owned());
    let mut to = client.clone();
    to.insert("name".to_owned(), name.into());
    to.insert("ids".to_owned(), json!(ids));
    if policy_of(client) != Some(wanted.policy) {
        set(&mut to, wanted.policy);
    }
    to
}

fn same(from: &Object, to: &Object, policy: FilterPolicy) -> bool {
    name_of(from) == name_of(to) && ids_of(from) == ids_of(to) && policy_of(from) == Some(policy)
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
