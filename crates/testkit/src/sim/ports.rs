//! The ports over the simulated machine: each call gets a drawn outcome.

use super::{
    Sim,
    outcome::{
        Call,
        Lateness::{self, AnyOrder, InOrder, Never},
    },
    state::EventPort,
};
use async_trait::async_trait;
use domain::{Slot, TenantName, view::QueryCounts};
use futures_util::stream::{self, BoxStream, StreamExt};
use ipnet::Ipv4Net;
use protocol::{PeerStatistics, SpeedLimits, TenantSpec};
use provisioning::{
    NodePorts,
    observed::{
        ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder, ObservedInterface,
        ObservedSpeed,
    },
    ports::{
        Connections, Containers, DnsFilter, DnsPart, Firewall, FirewallChange, Folders, PeerChange,
        PortResult, Shaping, WireGuard,
    },
    spec::{ContainerSpec, DnsClient, DnsInstance, InterfaceSpec},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

const fn reading(name: &'static str, secs: u64) -> Call {
    Call {
        name,
        timeout: Duration::from_secs(secs),
        reads: true,
        divisible: false,
        late: Never,
    }
}

const fn change(name: &'static str, secs: u64, late: Lateness) -> Call {
    Call {
        name,
        timeout: Duration::from_secs(secs),
        reads: false,
        divisible: true,
        late,
    }
}

// The timeouts are those of the real implementations.
static OBSERVE_WIREGUARD: Call = Call {
    late: InOrder,
    ..reading("wireguard.observe", 20)
};
static ENSURE: Call = change("wireguard.ensure", 20, InOrder);
static CHANGE_PEERS: Call = change("wireguard.change_peers", 20, InOrder);
static DELETE: Call = Call {
    divisible: false,
    ..change("wireguard.delete", 20, InOrder)
};
static OBSERVE_FIREWALL: Call = reading("firewall.observe", 10);
static REBUILD: Call = change("firewall.apply (rebuild)", 20, Never);
static APPLY: Call = Call {
    divisible: false,
    ..change("firewall.apply", 10, Never)
};
static OBSERVE_SPEEDS: Call = reading("shaping.observe", 10);
static LIMIT_SPEED: Call = change("shaping.apply", 10, Never);
static END_CONNECTIONS: Call = change("connections.end", 30, Never);
static SWEEP_CONNECTIONS: Call = Call {
    divisible: false,
    ..change("connections.sweep", 30, Never)
};
static REDIRECT_CONNECTIONS: Call = change("connections.redirect", 30, Never);
static OBSERVE_CONTAINERS: Call = reading("containers.observe", 15);
static START: Call = change("containers.start", 60, AnyOrder);
static REMOVE: Call = change("containers.remove", 40, AnyOrder);
static FETCH: Call = Call {
    divisible: false,
    ..change("containers.fetch_image", 330, AnyOrder)
};
static PREPARE: Call = change("dns.prepare", 30, Never);
static OBSERVE_DNS: Call = reading("dns.observe", 2);
static SET_ASIDE: Call = Call {
    divisible: false,
    ..change("dns.set_aside", 30, Never)
};
static SET_CLIENTS: Call = change("dns.set_clients", 30, AnyOrder);
static OBSERVE_FOLDERS: Call = reading("folders.observe", 30);
static OPEN_FOLDER: Call = Call {
    divisible: false,
    ..change("folders.open", 30, Never)
};
static WRITE_FOLDER: Call = change("folders.write", 30, Never);
static REMOVE_FOLDER: Call = change("folders.remove", 30, Never);

impl Sim {
    /// Returns all ports of this machine.
    pub fn ports(&self) -> NodePorts {
        let all = Arc::new(self.clone());
        NodePorts {
            wireguard: all.clone(),
            firewall: all.clone(),
            shaping: all.clone(),
            connections: all.clone(),
            containers: all.clone(),
            dns: all.clone(),
            folders: all.clone(),
            specs: all,
        }
    }

    fn events_of(&self, of: EventPort) -> BoxStream<'static, ()> {
        let (to, from) = mpsc::unbounded_channel();
        self.state().subscribe(of, to);
        stream::unfold(from, |mut from| async {
            from.recv().await.map(|()| ((), from))
        })
        .boxed()
    }
}

#[async_trait]
impl WireGuard for Sim {
    fn describe(&self) -> String {
        "simulated WireGuard".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        self.call(&OBSERVE_WIREGUARD, None, |s, _| {
            Ok(s.machine.interfaces.clone())
        })
        .await
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let spec = spec.clone();
        self.call(&ENSURE, Some(spec.slot), move |s, e| {
            s.machine.ensure(&spec, e)
        })
        .await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let change = change.clone();
        self.call(&CHANGE_PEERS, Some(slot), move |s, e| {
            s.machine.change_peers(slot, &change, e)
        })
        .await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        self.call(&DELETE, Some(slot), move |s, e| {
            s.check_interface_removal(slot);
            s.machine.delete(slot, e)
        })
        .await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        Ok(Vec::new())
    }

    fn events(&self) -> BoxStream<'static, ()> {
        self.events_of(EventPort::Wireguard)
    }
}

#[async_trait]
impl Firewall for Sim {
    async fn observe(&self) -> PortResult<ObservedFirewall> {
        self.call(&OBSERVE_FIREWALL, None, |s, _| {
            Ok(s.machine.firewall.clone())
        })
        .await
    }

    async fn apply(&self, change: &FirewallChange) -> PortResult<()> {
        let change = change.clone();
        let call = if change.rebuild { &REBUILD } else { &APPLY };
        self.call(call, None, move |s, e| {
            s.record(|| {
                let set: Vec<_> = change.set.iter().map(|(_, t)| t.slot.get()).collect();
                let gone: Vec<_> = change.remove.keys().map(|slot| slot.get()).collect();
                format!("     sets {set:?}, removes {gone:?}")
            });
            s.machine.apply(&change, e)
        })
        .await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        self.events_of(EventPort::Firewall)
    }
}

#[async_trait]
impl Shaping for Sim {
    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedSpeed>> {
        self.call(&OBSERVE_SPEEDS, None, |s, _| Ok(s.machine.speeds.clone()))
            .await
    }

    async fn apply(&self, slot: Slot, speed: &SpeedLimits) -> PortResult<()> {
        let speed = *speed;
        self.call(&LIMIT_SPEED, Some(slot), move |s, e| {
            s.machine.limit_speed(slot, speed, e)
        })
        .await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        self.events_of(EventPort::Shaping)
    }
}

#[async_trait]
impl Connections for Sim {
    async fn end(&self, networks: &BTreeSet<Ipv4Net>) -> PortResult<u64> {
        let networks = networks.clone();
        self.call(&END_CONNECTIONS, None, move |s, e| {
            s.record(|| format!("     of {networks:?}"));
            s.machine.end_connections(&networks, e)
        })
        .await
    }

    async fn sweep(&self, _ranges: &[Ipv4Net], held: &BTreeSet<Ipv4Addr>) -> PortResult<u64> {
        let held = held.clone();
        self.call(&SWEEP_CONNECTIONS, None, move |s, _| {
            s.machine.connections.retain(|at, _| held.contains(at));
            s.machine
                .redirected
                .clone_from(&s.machine.firewall.forwards);
            Ok(0)
        })
        .await
    }

    async fn redirect(&self, ports: &BTreeMap<u16, Option<Ipv4Addr>>) -> PortResult<u64> {
        let ports = ports.clone();
        self.call(&REDIRECT_CONNECTIONS, None, move |s, e| {
            s.record(|| format!("     of {ports:?}"));
            s.machine.redirect_connections(&ports, e)
        })
        .await
    }
}

#[async_trait]
impl Containers for Sim {
    async fn observe(&self) -> PortResult<ObservedContainers> {
        self.call(&OBSERVE_CONTAINERS, None, |s, _| {
            Ok(s.machine.observe_containers())
        })
        .await
    }

    async fn start(&self, spec: &ContainerSpec) -> PortResult<()> {
        let spec = spec.clone();
        self.call(&START, Some(spec.slot), move |s, e| {
            s.machine.start(&spec, e)
        })
        .await
    }

    async fn remove(&self, id: &str) -> PortResult<()> {
        let id = id.to_owned();
        self.call(&REMOVE, None, move |s, e| {
            let result = s.machine.remove(&id, e);
            s.schedule_removal_end();
            result
        })
        .await
    }

    async fn fetch_image(&self) -> PortResult<()> {
        self.call(&FETCH, None, |s, _| {
            s.machine.image = true;
            Ok(())
        })
        .await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        self.events_of(EventPort::Containers)
    }
}

#[async_trait]
impl DnsFilter for Sim {
    async fn prepare(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        let (dns, clients) = (dns.clone(), clients.clone());
        self.call(&PREPARE, Some(dns.slot), move |s, e| {
            s.machine.prepare(&dns, &clients, e)
        })
        .await
    }

    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        let dns = dns.clone();
        self.call(&OBSERVE_DNS, Some(dns.slot), move |s, _| {
            s.machine.observe_dns(&dns)
        })
        .await
    }

    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        let (dns, clients) = (dns.clone(), clients.clone());
        self.call(&SET_CLIENTS, Some(dns.slot), move |s, e| {
            s.machine.set_clients(&dns, &clients, e)
        })
        .await
    }

    async fn set_aside(&self, dns: &DnsInstance, part: DnsPart) -> PortResult<bool> {
        let dns = dns.clone();
        self.call(&SET_ASIDE, Some(dns.slot), move |s, _| {
            Ok(s.machine.set_aside(&dns, part))
        })
        .await
    }

    async fn counts(&self, _dns: &DnsInstance) -> PortResult<QueryCounts> {
        Ok(QueryCounts::default())
    }
}

#[async_trait]
impl Folders for Sim {
    async fn observe(&self) -> PortResult<BTreeMap<String, ObservedFolder>> {
        self.call(&OBSERVE_FOLDERS, None, |s, _| {
            Ok(s.machine.observe_folders())
        })
        .await
    }

    async fn open(&self, name: &TenantName) -> PortResult<()> {
        let name = name.folder();
        self.call(&OPEN_FOLDER, None, move |s, _| {
            s.machine.folders.entry(name).or_default();
            Ok(())
        })
        .await
    }

    async fn write(&self, tenant: &TenantSpec) -> PortResult<()> {
        let t = tenant.clone();
        self.call(&WRITE_FOLDER, Some(t.slot), move |s, e| {
            s.machine.write_folder(&t, e)
        })
        .await
    }

    async fn remove(&self, folder: &str) -> PortResult<()> {
        let name = folder.to_owned();
        self.call(&REMOVE_FOLDER, None, move |s, e| {
            s.check_folder_removal(&name);
            s.machine.remove_folder(&name, e)
        })
        .await
    }
}
