//! The implementation of the port. Each call is one dump, on the blocking pool.

use crate::{
    ends::{Ranges, is_sent_on, leads_elsewhere, slot_of},
    error::TableError,
    ipv6,
    table::{self, Deletions},
    wire::Entry,
};
use async_trait::async_trait;
use domain::{AddressPlan, Ipv6Prefix, Slot};
use ipnet::Ipv4Net;
use provisioning::ports::{Connections, PortResult};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// The table of this host, or of the network namespace of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conntrack;

impl Conntrack {
    /// Counts the entries of each tenant: those of its devices and those of its
    /// container. A slot without entries is missing.
    ///
    /// # Errors
    /// `FirewallUnavailable` if the table cannot be read.
    pub async fn counts(&self, plan: &AddressPlan) -> PortResult<BTreeMap<Slot, u64>> {
        let plan = *plan;
        let counts = blocking(move || {
            let mut counts = BTreeMap::new();
            table::dump(|entry| {
                if let Some(slot) = slot_of(entry, &plan) {
                    *counts.entry(slot).or_default() += 1;
                }
                Ok(())
            })?;
            Ok(counts)
        });
        Ok(counts.await?)
    }
}

#[async_trait]
impl Connections for Conntrack {
    fn use_ipv6(&self, prefix: Ipv6Prefix, plan: &AddressPlan) {
        ipv6::set(prefix, *plan);
    }

    async fn end(&self, networks: &BTreeSet<Ipv4Net>) -> PortResult<u64> {
        let ranges = Ranges::new(networks);
        if ranges.is_empty() {
            return Ok(0);
        }
        let ended = blocking(move || remove(|entry| ranges.has_end_of(entry)));
        Ok(ended.await?)
    }

    async fn sweep(&self, ranges: &[Ipv4Net], held: &BTreeSet<Ipv4Addr>) -> PortResult<u64> {
        let (ranges, held) = (Ranges::new(ranges), held.clone());
        let is_left =
            move |entry: &Entry<'_>| ranges.has_unheld_end_of(entry, &held) || is_sent_on(entry);
        let swept = blocking(move || remove(is_left));
        Ok(swept.await?)
    }

    async fn redirect(&self, ports: &BTreeMap<u16, Option<Ipv4Addr>>) -> PortResult<u64> {
        if ports.is_empty() {
            return Ok(0);
        }
        let ports = ports.clone();
        let ended = blocking(move || remove(|entry| leads_elsewhere(entry, &ports)));
        Ok(ended.await?)
    }
}

/// Removes the entries that are meant, while the table is read. The kernel goes on
/// with a dump where it was, also if entries there are deleted meanwhile.
fn remove(is_meant: impl Fn(&Entry<'_>) -> bool) -> Result<u64, TableError> {
    let mut deletions = Deletions::open()?;
    table::dump(|entry| match is_meant(entry) {
        true => deletions.add(entry),
        false => Ok(()),
    })?;
    deletions.finish()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    tokio::task::spawn_blocking(work).await?
}
