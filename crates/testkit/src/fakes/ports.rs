//! The ports over the fake machine.

use super::FakeMachine;
use crate::expected;
use async_trait::async_trait;
use domain::{ErrorCode, Message, Slot, TenantName, view::QueryCounts};
use futures_util::stream::{self, BoxStream, StreamExt};
use ipnet::Ipv4Net;
use protocol::{PeerStatistics, SpeedLimits, TenantSpec};
use provisioning::{
    observed::{
        ContainerState, ObservedContainer, ObservedContainers, ObservedDns, ObservedFirewall,
        ObservedFirewallTenant, ObservedFolder, ObservedInterface, ObservedSpeed, names_of,
    },
    plan::is_ours,
    ports::{
        Connections, Containers, DnsFilter, DnsPart, Firewall, FirewallChange, Folders, PeerChange,
        PortError, PortResult, Shaping, WireGuard, tenant_of_folder,
    },
    spec::{ContainerSpec, DOCKER_NAME_PREFIX, DnsClient, DnsInstance, InterfaceSpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::Ipv4Addr,
    path::Path,
};

fn refused(code: ErrorCode, text: impl Into<String>) -> PortError {
    PortError::new(code, Message::Verbatim { text: text.into() })
}

fn refuse<T>(code: ErrorCode, text: impl Into<String>) -> PortResult<T> {
    Err(refused(code, text))
}

#[async_trait]
impl WireGuard for FakeMachine {
    fn describe(&self) -> String {
        "WireGuard of the test kit".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        self.gate("wireguard.observe").await?;
        Ok(self.state().interfaces.clone())
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        self.gate("wireguard.ensure").await?;
        let mut s = self.state();
        if s.interfaces.get(&spec.slot).is_some_and(|i| !is_ours(i)) {
            return refuse(ErrorCode::NameForeign, "the interface is not ours");
        }
        s.calls.push(("wireguard.ensure", Some(spec.slot)));
        s.interfaces.insert(spec.slot, expected::interface(spec));
        Ok(())
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        self.gate("wireguard.change_peers").await?;
        let mut s = self.state();
        s.calls.push(("wireguard.change_peers", Some(slot)));
        let i = s
            .interfaces
            .get_mut(&slot)
            .ok_or_else(|| refused(ErrorCode::Internal, "no such interface"))?;
        i.peers.retain(|k, _| !change.remove.contains(k));
        let set = change.set.iter();
        i.peers.extend(set.map(|(k, p)| (*k, expected::peer(p))));
        Ok(())
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.gate("wireguard.delete").await?;
        let mut s = self.state();
        s.calls.push(("wireguard.delete", Some(slot)));
        if s.interfaces.get(&slot).is_some_and(|i| !is_ours(i)) {
            return refuse(ErrorCode::NameForeign, "the interface is not ours");
        }
        s.interfaces.remove(&slot);
        Ok(())
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        self.gate("wireguard.statistics").await?;
        let s = self.state();
        let all = s
            .interfaces
            .iter()
            .flat_map(|(slot, i)| i.peers.keys().map(|k| (*slot, *k)));
        Ok(all
            .map(|(slot, public_key)| {
                let (rx_bytes, tx_bytes) = s.counters.get(&public_key).copied().unwrap_or_default();
                PeerStatistics {
                    slot,
                    public_key,
                    last_handshake: None,
                    endpoint: None,
                    rx_bytes,
                    tx_bytes,
                }
            })
            .collect())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Firewall for FakeMachine {
    async fn observe(&self) -> PortResult<ObservedFirewall> {
        self.gate("firewall.observe").await?;
        Ok(self.state().firewall.clone())
    }

    async fn apply(&self, change: &FirewallChange) -> PortResult<()> {
        self.gate("firewall.apply").await?;
        let mut s = self.state();
        s.calls.push(("firewall.apply", None));
        let f = &mut s.firewall;
        if change.rebuild {
            *f = ObservedFirewall {
                complete: true,
                ..ObservedFirewall::default()
            };
        }
        if !f.complete {
            return refuse(ErrorCode::FirewallUnavailable, "the table does not exist");
        }
        for slot in change.remove.keys() {
            f.tenants.remove(slot);
        }
        f.tenants.extend(
            change
                .set
                .iter()
                .map(|(_, t)| (t.slot, ObservedFirewallTenant::from_spec(t))),
        );
        f.forwards.clone_from(&change.forwards.to);
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Shaping for FakeMachine {
    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedSpeed>> {
        self.gate("shaping.observe").await?;
        Ok(self.state().speeds.clone())
    }

    async fn apply(&self, slot: Slot, speed: &SpeedLimits) -> PortResult<()> {
        self.gate("shaping.apply").await?;
        let mut s = self.state();
        s.calls.push(("shaping.apply", Some(slot)));
        if speed.is_unlimited() {
            s.speeds.remove(&slot);
            return Ok(());
        }
        if !s.interfaces.contains_key(&slot) {
            return refuse(ErrorCode::Internal, "no such interface");
        }
        s.speeds.insert(slot, expected::speed(*speed));
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl Connections for FakeMachine {
    async fn end(&self, networks: &BTreeSet<Ipv4Net>) -> PortResult<u64> {
        self.gate("connections.end").await?;
        let mut s = self.state();
        s.calls.push(("connections.end", None));
        s.ended.extend(networks);
        Ok(0)
    }

    async fn sweep(&self, _ranges: &[Ipv4Net], _held: &BTreeSet<Ipv4Addr>) -> PortResult<u64> {
        self.gate("connections.sweep").await?;
        self.state().calls.push(("connections.sweep", None));
        Ok(0)
    }

    async fn redirect(&self, ports: &BTreeMap<u16, Option<Ipv4Addr>>) -> PortResult<u64> {
        self.gate("connections.redirect").await?;
        let mut s = self.state();
        for port in ports.keys() {
            let slot = Slot::of_port(*port);
            s.calls.push(("connections.redirect", slot));
        }
        Ok(0)
    }
}

#[async_trait]
impl Containers for FakeMachine {
    async fn observe(&self) -> PortResult<ObservedContainers> {
        self.gate("containers.observe").await?;
        Ok(self.state().containers.clone())
    }

    async fn start(&self, spec: &ContainerSpec) -> PortResult<()> {
        self.gate("containers.start").await?;
        let mut s = self.state();
        if !s.containers.image {
            return refuse(ErrorCode::ImageMissing, "no image");
        }
        let name = spec.tenant.container();
        if s.containers.foreign.contains(&spec.docker_name()) {
            return refuse(ErrorCode::NameForeign, "the container is not ours");
        }
        s.calls.push(("containers.start", Some(spec.slot)));
        if let Some(c) = s.containers.ours.iter_mut().find(|c| c.name == name) {
            if !spec.is_fitting(&c.revision, false) {
                return refuse(ErrorCode::Busy, "it has another revision");
            }
            c.state = ContainerState::Running;
        } else {
            s.next_id += 1;
            let id = format!("c{}", s.next_id);
            s.containers.ours.push(ObservedContainer {
                id,
                name: name.clone(),
                slot: Some(spec.slot),
                revision: spec.revision(),
                state: ContainerState::Running,
            });
        }
        write_conf(spec)?;
        if s.damaged.contains_key(&spec.slot) {
            // It starts, and ends at once.
            let ended = s.containers.ours.iter_mut().find(|c| c.name == name);
            ended
                .into_iter()
                .for_each(|c| c.state = ContainerState::Stopped);
            return Ok(());
        }
        s.dns.entry(spec.address.into()).or_default().running = true;
        Ok(())
    }

    async fn remove(&self, id: &str) -> PortResult<()> {
        self.gate("containers.remove").await?;
        let mut s = self.state();
        s.calls.push(("containers.remove", None));
        // The engine accepts a name wherever it accepts an id.
        let is_named = |c: &ObservedContainer| {
            let owner = c.revision.split_once('-').map(|(owner, _)| owner);
            owner.is_some_and(|owner| id.strip_prefix(DOCKER_NAME_PREFIX) == Some(owner))
        };
        s.containers.ours.retain(|c| c.id != id && !is_named(c));
        Ok(())
    }

    async fn fetch_image(&self) -> PortResult<()> {
        self.gate("containers.fetch_image").await?;
        refuse(ErrorCode::ImageMissing, "no registry answers")
    }

    fn events(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

#[async_trait]
impl DnsFilter for FakeMachine {
    async fn prepare(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        self.gate("dns.prepare").await?;
        self.state().dns.insert(
            dns.address.into(),
            ObservedDns {
                running: false,
                ..ObservedDns::with_clients(clients)
            },
        );
        Ok(())
    }

    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        self.gate("dns.observe").await?;
        Ok(self
            .state()
            .dns
            .get(&dns.address.into())
            .cloned()
            .unwrap_or_default())
    }

    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        self.gate("dns.set_clients").await?;
        let mut s = self.state();
        s.calls.push(("dns.set_clients", Some(dns.slot)));
        let entry = s.dns.entry(dns.address.into()).or_default();
        (entry.clients, entry.names) = (expected::dns_clients(clients), names_of(clients));
        Ok(())
    }

    async fn set_aside(&self, dns: &DnsInstance, part: DnsPart) -> PortResult<bool> {
        self.gate("dns.set_aside").await?;
        let mut s = self.state();
        s.calls.push(("dns.set_aside", Some(dns.slot)));
        s.aside.push((dns.slot, part));
        if s.damaged.get(&dns.slot) == Some(&part) {
            s.damaged.remove(&dns.slot);
        }
        Ok(true)
    }

    async fn counts(&self, _dns: &DnsInstance) -> PortResult<QueryCounts> {
        self.gate("dns.counts").await?;
        Ok(QueryCounts::default())
    }
}

/// Writes AdGuard Home's configuration, as a real container does, if the
/// tenant's folder exists on the disk.
fn write_conf(spec: &ContainerSpec) -> PortResult<()> {
    let folder = spec.conf_dir.parent().and_then(Path::parent);
    if !folder.is_some_and(Path::is_dir) {
        return Ok(());
    }
    fs::create_dir_all(&spec.conf_dir)
        .and_then(|()| fs::write(spec.conf_dir.join("AdGuardHome.yaml"), "{}"))
        .map_err(|e| refused(ErrorCode::DiskUnavailable, e.to_string()))
}

#[async_trait]
impl Folders for FakeMachine {
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>> {
        self.gate("folders.observe").await?;
        Ok(self.state().folders.clone())
    }

    async fn open(&self, name: &TenantName) -> PortResult<()> {
        self.gate("folders.open").await?;
        self.state().folders.entry(name.folder()).or_default();
        Ok(())
    }

    async fn write(&self, t: &TenantSpec) -> PortResult<()> {
        self.gate("folders.write").await?;
        let written = expected::folder(t);
        self.state().folders.insert(t.name.folder(), written);
        Ok(())
    }

    async fn remove(&self, folder: &str) -> PortResult<()> {
        self.gate("folders.remove").await?;
        if tenant_of_folder(folder).is_none() {
            let message = format!("{folder:?} is not a tenant's folder");
            return refuse(ErrorCode::Internal, message);
        }
        self.state().folders.remove(folder);
        Ok(())
    }
}
