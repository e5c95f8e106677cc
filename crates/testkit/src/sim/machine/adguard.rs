//! AdGuard Home.

use super::{Config, Container, Extent, Machine, interrupted, refuse};
use crate::expected;
use domain::{ErrorCode, Message};
use provisioning::{
    observed::{ContainerState, ObservedDns, names_of},
    ports::{DnsPart, PortError, PortResult},
    spec::{DnsClient, DnsInstance},
};
use std::{collections::BTreeMap, path::Path};

/// Returns the name of the tenant's folder that contains AdGuard Home's
/// configuration (`<folder>/adguard_data/conf`).
fn folder_of(conf_dir: &Path) -> String {
    let folder = conf_dir.parent().and_then(Path::parent);
    let name = folder.and_then(Path::file_name).unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Machine {
    pub(in crate::sim) fn prepare(
        &mut self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
        extent: Extent,
    ) -> PortResult<()> {
        let folder = self.folders.entry(folder_of(&dns.conf_dir)).or_default();
        folder.conf_dir = true;
        // The configuration is written last.
        extent.result()?;
        // A configuration that an earlier tenant of the name left is replaced.
        let own = |c: &mut Config| c.password_hash == dns.password_hash;
        let config = folder.config.take_if(own).unwrap_or_else(|| Config {
            password_hash: dns.password_hash.clone(),
            clients: expected::dns_clients(clients),
            names: names_of(clients),
        });
        folder.config = Some(config);
        Ok(())
    }

    /// Sets a part aside; a damaged one no longer keeps AdGuard Home from starting.
    pub(in crate::sim) fn set_aside(&mut self, dns: &DnsInstance, part: DnsPart) -> bool {
        let folder = self.folders.get_mut(&folder_of(&dns.conf_dir));
        let damaged = folder.and_then(|f| f.damaged.take_if(|damaged| *damaged == part));
        damaged.is_some()
    }

    /// Finds the container that answers at an address.
    ///
    /// # Errors
    /// No container answers, or the password is not its own.
    fn answering(&mut self, dns: &DnsInstance) -> PortResult<&mut Container> {
        let at = |c: &&mut Container| {
            c.address == dns.address && c.observed.state == ContainerState::Running
        };
        let Some(c) = self.containers.iter_mut().find(at) else {
            return refuse(ErrorCode::DnsUnavailable, "connection refused");
        };
        match &c.serving {
            Some(config) if config.password_hash == dns.password_hash => Ok(c),
            _ => Err(PortError::new(
                ErrorCode::DnsUnavailable,
                Message::AdguardPasswordRefused {
                    path: dns.conf_dir.display().to_string(),
                },
            )),
        }
    }

    pub(in crate::sim) fn observe_dns(&mut self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        let serving = self.answering(dns)?.serving.as_ref();
        Ok(ObservedDns {
            running: true,
            clients: serving.map(|s| s.clients.clone()).unwrap_or_default(),
            names: serving.map(|s| s.names.clone()).unwrap_or_default(),
            ..ObservedDns::default()
        })
    }

    pub(in crate::sim) fn set_clients(
        &mut self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
        mut extent: Extent,
    ) -> PortResult<()> {
        let c = self.answering(dns)?;
        let Some(serving) = &mut c.serving else {
            return interrupted();
        };
        let wanted = expected::dns_clients(clients);
        let existing = serving.clients.clone();
        let gone = existing.keys().filter(|id| !wanted.contains_key(*id));
        let set = wanted.iter().map(|(id, c)| (id.clone(), Some(c.clone())));
        let steps = gone.map(|id| (id.clone(), None)).chain(set).collect();
        extent.apply(steps, |(id, client)| match client {
            None => drop(serving.clients.remove(&id)),
            Some(client) => drop(serving.clients.insert(id, client)),
        });
        extent.apply(vec![names_of(clients)], |names| serving.names = names);
        // It writes its configuration file at every change.
        let (name, now) = (c.folder.clone(), serving.clone());
        let config = self.folders.get_mut(&name).and_then(|f| f.config.as_mut());
        if let Some(config) = config.filter(|f| f.password_hash == now.password_hash) {
            *config = now;
        }
        extent.result()
    }
}
