//! The names of a tenant's devices as AdGuard Home's rewrites, which the page *DNS rewrites*
//! shows.
//!
//! AdGuard Home keeps no note of who wrote a rewrite. Ours are those of one label below the
//! tenant's domain (`phone.alice.internal`) whose answer is an address inside the tunnel: only
//! we know which device has which. All other rewrites are the tenant's own and stay; where
//! one of those is for a device's very name, the tenant's alone applies.

use provisioning::{
    observed::names_of,
    spec::{DnsClient, DnsInstance},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A rewrite: what is answered when a name is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rewrite {
    /// The name, or a pattern.
    pub domain: String,
    /// An address, another name, or `A` or `AAAA`.
    pub answer: String,
    /// Whether it applies.
    #[serde(default = "yes")]
    pub enabled: bool,
}

const fn yes() -> bool {
    true
}

/// One call of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteChange {
    /// `POST /control/rewrite/add`.
    Add(Rewrite),
    /// `POST /control/rewrite/delete`: all with this name and answer.
    Delete(Rewrite),
}

/// Returns the rewrites for the names of clients.
pub fn wanted(clients: &BTreeMap<String, DnsClient>) -> BTreeSet<Rewrite> {
    let names = names_of(clients).into_iter();
    let all = names.flat_map(|(name, addresses)| {
        addresses.into_iter().map(move |address| Rewrite {
            domain: name.clone(),
            answer: address.to_string(),
            enabled: true,
        })
    });
    all.collect()
}

/// Returns the addresses that our rewrites have for each name, and the names that the tenant
/// has written itself.
pub fn observed(
    dns: &DnsInstance,
    rewrites: &[Rewrite],
) -> (BTreeMap<String, BTreeSet<IpAddr>>, BTreeSet<String>) {
    let (mut names, mut own) = (BTreeMap::<_, BTreeSet<_>>::new(), BTreeSet::new());
    for rewrite in rewrites.iter().filter(|r| is_in_domain(dns, &r.domain)) {
        match our_address(dns, rewrite) {
            // One that is switched off is an external change.
            Some(address) if rewrite.enabled => {
                names
                    .entry(rewrite.domain.clone())
                    .or_default()
                    .insert(address);
            }
            Some(_) => drop(names.entry(rewrite.domain.clone()).or_default()),
            None if rewrite.enabled => drop(own.insert(rewrite.domain.clone())),
            None => {}
        }
    }
    (names, own)
}

/// Returns the changes that lead from the rewrites to those for the clients: what no longer
/// applies is deleted first.
pub fn plan(
    dns: &DnsInstance,
    rewrites: &[Rewrite],
    clients: &BTreeMap<String, DnsClient>,
) -> Vec<RewriteChange> {
    let (_, own) = observed(dns, rewrites);
    let mut wanted = wanted(clients);
    wanted.retain(|r| !own.contains(&r.domain));
    let ours = rewrites.iter();
    let ours = ours.filter(|r| is_in_domain(dns, &r.domain) && our_address(dns, r).is_some());
    let ours: BTreeSet<Rewrite> = ours.cloned().collect();
    // With a rewrite that is switched off, its like that is not would be deleted as well.
    let off: BTreeSet<_> = ours.iter().filter(|r| !r.enabled).map(key).collect();
    let is_kept = |r: &Rewrite| !off.contains(&key(r));
    let deleted = ours.iter().filter(|r| !wanted.contains(r) || !is_kept(r));
    let deleted: BTreeMap<_, _> = deleted.map(|r| (key(r), r.clone())).collect();
    let added = wanted.iter().filter(|r| !ours.contains(r) || !is_kept(r));
    let deletions = deleted.into_values().map(RewriteChange::Delete);
    deletions
        .chain(added.cloned().map(RewriteChange::Add))
        .collect()
}

fn key(rewrite: &Rewrite) -> (String, String) {
    (rewrite.domain.clone(), rewrite.answer.clone())
}

/// Returns whether a name is one label below the tenant's domain.
fn is_in_domain(dns: &DnsInstance, name: &str) -> bool {
    let name = name.strip_suffix(dns.domain.as_str());
    let label = name.and_then(|name| name.strip_suffix('.'));
    label.is_some_and(|label| !label.is_empty() && !label.contains(['.', '*']))
}

/// Returns the address that a rewrite answers with, if it is one inside the tunnel.
fn our_address(dns: &DnsInstance, rewrite: &Rewrite) -> Option<IpAddr> {
    let address: IpAddr = rewrite.answer.parse().ok()?;
    let is_ours = match address {
        IpAddr::V4(at) => dns.subnet.contains(&at),
        IpAddr::V6(at) => dns.subnet6.is_some_and(|net| net.net().contains(&at)),
    };
    is_ours.then_some(address)
}

#[cfg(test)]
mod tests;
