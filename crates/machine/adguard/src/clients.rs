//! Plans the changes from the clients that AdGuard Home has to those it should
//! have. The plan is a pure function. AdGuard Home accepts each change after the
//! one before it (it demands unique names and ids, `client.index.clashes`).
//!
//! A client is ours if one of its ids begins with `mn-`. Such an id is a
//! ClientID that no device ever sends. It serves as a mark that survives
//! renaming.

use crate::policy::{Means, Object, policy_in_any_form, policy_of, set};
use domain::FilterPolicy;
use provisioning::{observed::ObservedDnsClient, spec::DnsClient};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// The prefix of our ids.
const MARK_PREFIX: &str = "mn-";

/// One call of the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `POST /control/clients/add`.
    Add(Object),
    /// `POST /control/clients/update`: the complete object, by its present name.
    Update {
        /// The present name.
        name: String,
        /// The object as it should be.
        data: Object,
    },
    /// `POST /control/clients/delete`.
    Delete(String),
}

/// Returns a client's name.
pub fn name_of(client: &Object) -> &str {
    client
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Returns a client's ids in lower case.
fn ids_of(client: &Object) -> BTreeSet<String> {
    let ids = client.get("ids").and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_str);
    ids.map(str::to_ascii_lowercase).collect()
}

fn is_mark(id: &str) -> bool {
    id.starts_with(MARK_PREFIX)
}

fn is_address(id: &str) -> bool {
    id.parse::<Ipv4Addr>().is_ok()
}

/// Returns those of AdGuard Home's clients that are ours, by our id. `policy_of` reads a
/// client's policy.
pub fn our_clients(
    clients: &[Object],
    policy_of: impl Fn(&Object) -> Option<FilterPolicy>,
) -> BTreeMap<String, ObservedDnsClient> {
    let mut ours = BTreeMap::new();
    for client in clients {
        let ids = ids_of(client);
        for mark in ids.iter().filter(|id| is_mark(id)) {
            let observed = ObservedDnsClient {
                name: name_of(client).to_owned(),
                addresses: ids.iter().filter_map(|id| id.parse().ok()).collect(),
                policy: policy_of(client),
            };
            ours.insert(mark.clone(), observed);
        }
    }
    ours
}

/// Returns the names that our clients get, by our id. A name gets a number where
/// a client of the tenant, or an earlier one of ours, already has it.
pub fn assign_names(
    clients: &[Object],
    wanted: &BTreeMap<String, DnsClient>,
) -> BTreeMap<String, String> {
    let matches = match_clients(clients, wanted);
    let mut taken: BTreeSet<String> = clients
        .iter()
        .enumerate()
        .filter(|(i, c)| !matches.contains_key(i) && !is_deleted(c, wanted))
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

/// Returns a new client: switches, name and ids.
pub fn new_client(mark: &str, name: &str, client: &DnsClient, means: Means) -> Object {
    let mut object = Object::new();
    object.insert("name".to_owned(), name.into());
    object.insert("ids".to_owned(), json!([client.address.to_string(), mark]));
    set(&mut object, client.policy, means);
    object
}

/// Returns which client belongs to which of our ids, by the client's index. That
/// is the client with this id, else a client whose ids are all addresses of our
/// devices: a tenant may have removed our id from it. Such a client gets the id
/// back and keeps its other settings.
fn match_clients<'w>(
    clients: &[Object],
    wanted: &'w BTreeMap<String, DnsClient>,
) -> BTreeMap<usize, &'w str> {
    let ids: Vec<_> = clients.iter().map(ids_of).collect();
    let mut matches = BTreeMap::new();
    let mut unmatched = Vec::new();
    for (mark, client) in wanted {
        let found = ids.iter().position(|ids| ids.contains(mark));
        match found.filter(|i| !matches.contains_key(i)) {
            Some(i) => {
                matches.insert(i, mark.as_str());
            }
            None => unmatched.push((mark, client.address.to_string())),
        }
    }
    let addresses = addresses(wanted);
    for (mark, address) in unmatched {
        let unmarked = ids.iter().enumerate().position(|(i, ids)| {
            !matches.contains_key(&i) && ids.contains(&address) && ids.is_subset(&addresses)
        });
        if let Some(i) = unmarked {
            matches.insert(i, mark);
        }
    }
    matches
}

fn addresses(wanted: &BTreeMap<String, DnsClient>) -> BTreeSet<String> {
    wanted.values().map(|c| c.address.to_string()).collect()
}

/// Returns the ids that a client without a match keeps: all that are not about
/// our devices. If it has a mark and one address, that address was a device's.
fn remaining_ids(client: &Object, wanted: &BTreeMap<String, DnsClient>) -> BTreeSet<String> {
    let ids = ids_of(client);
    let marked = ids.iter().any(|id| is_mark(id));
    let devices = addresses(wanted);
    let single = ids.iter().filter(|id| is_address(id)).count() == 1;
    let removed =
        |id: &String| is_mark(id) || devices.contains(id) || (marked && single && is_address(id));
    ids.into_iter().filter(|id| !removed(id)).collect()
}

/// Returns whether a client without a match is deleted.
fn is_deleted(client: &Object, wanted: &BTreeMap<String, DnsClient>) -> bool {
    remaining_ids(client, wanted).is_empty()
}

/// Returns the changes that lead to `wanted`, in an order that AdGuard Home
/// accepts. Each client gets the form that its policy has with these means.
pub fn plan(clients: &[Object], wanted: &BTreeMap<String, DnsClient>, means: Means) -> Vec<Change> {
    let names = assign_names(clients, wanted);
    let matches = match_clients(clients, wanted);
    let mut now: Vec<Object> = Vec::new();
    let mut updates: Vec<(usize, String, Object)> = Vec::new();
    let mut changes = Vec::new();

    // Deletions and removals of ids come first: nothing can conflict with them.
    for (i, client) in clients.iter().enumerate() {
        if let Some(&mark) = matches.get(&i) {
            let (wanted, name) = (&wanted[mark], &names[mark]);
            let policy = policy_of(client, means);
            let target = updated(client, mark, name, wanted, policy, means);
            if !same(client, &target) || policy != Some(wanted.policy) {
                updates.push((now.len(), mark.to_owned(), target));
            }
            now.push(client.clone());
            continue;
        }
        let remaining = remaining_ids(client, wanted);
        if remaining.is_empty() {
            changes.push(Change::Delete(name_of(client).to_owned()));
            continue;
        }
        let mut data = client.clone();
        if remaining != ids_of(client) {
            data.insert("ids".to_owned(), json!(remaining));
            changes.push(update(client, &data));
        }
        now.push(data);
    }
    append_in_order(&mut now, updates, &mut changes);

    let matched: BTreeSet<&str> = matches.into_values().collect();
    for (mark, client) in wanted.iter().filter(|(m, _)| !matched.contains(m.as_str())) {
        changes.push(Change::Add(new_client(mark, &names[mark], client, means)));
    }
    changes
}

/// Appends the updates in an order in which none conflicts with the clients of
/// that moment. Where updates wait for each other (two devices swap labels), one
/// client is parked: it gets its mark as the only id, and a name that no client
/// has or waits for. Its real update follows later. Once all are parked, no two
/// wait for each other.
fn append_in_order(
    now: &mut [Object],
    mut updates: Vec<(usize, String, Object)>,
    changes: &mut Vec<Change>,
) {
    let mut parked = BTreeSet::new();
    while !updates.is_empty() {
        let free = updates
            .iter()
            .position(|(i, _, to)| !conflicts(now, *i, to));
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
            (!parked.contains(i) && !conflicts(now, *i, &data)).then_some((*i, data))
        });
        let Some((i, data)) = park else {
            // Only possible if AdGuard Home had two clients of one id. The next
            // observation finds what is left to do.
            return;
        };
        parked.insert(i);
        changes.push(update(&now[i], &data));
        now[i] = data;
    }
}

/// Returns the mark, with a number where a client already has this name: a
/// tenant may give a device any label.
fn parking_name(now: &[Object], updates: &[(usize, String, Object)], mark: &str) -> String {
    let targets = updates.iter().map(|(_, _, to)| to);
    let taken: BTreeSet<&str> = now.iter().chain(targets).map(name_of).collect();
    let numbered = (2_u32..).map(|n| format!("{mark} ({n})"));
    std::iter::once(mark.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name.as_str()))
        .unwrap_or_else(|| mark.to_owned())
}

/// Returns whether AdGuard Home would refuse `to` in place of client `i`.
fn conflicts(now: &[Object], i: usize, to: &Object) -> bool {
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

/// Returns a client of ours in its target state. Ids that are neither addresses
/// nor marks are the tenant's and are kept.
fn updated(
    client: &Object,
    mark: &str,
    name: &str,
    wanted: &DnsClient,
    policy: Option<FilterPolicy>,
    means: Means,
) -> Object {
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
    if policy != Some(wanted.policy) {
        set(&mut to, wanted.policy, means);
    }
    to
}

fn same(from: &Object, to: &Object) -> bool {
    name_of(from) == name_of(to) && ids_of(from) == ids_of(to)
}

/// Returns the changes that give those of our clients whose policy has another form than with
/// these means that form.
pub fn form_changes(clients: &[Object], means: Means) -> Vec<Change> {
    let changed = |client: &Object| {
        let mut to = client.clone();
        set(&mut to, policy_in_any_form(client)?, means);
        Some(update(client, &to))
    };
    let ours = clients.iter().filter(|c| is_ours(c));
    let pending = ours.filter(|c| policy_of(c, means).is_none());
    pending.filter_map(changed).collect()
}

/// Returns those of our clients whose policy is *off*, in whatever form.
pub fn without_filter(clients: &[Object]) -> impl Iterator<Item = &Object> {
    let is_off = |c: &&Object| is_ours(c) && policy_in_any_form(c) == Some(FilterPolicy::Off);
    clients.iter().filter(is_off)
}

fn is_ours(client: &Object) -> bool {
    ids_of(client).iter().any(|id| is_mark(id))
}

#[cfg(test)]
mod tests;
