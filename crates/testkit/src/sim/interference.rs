//! External changes: what people and other programs do to the machine.

use super::{Foreign, SimState, faults::Fault, state::EventPort};
use domain::Slot;
use provisioning::{
    hash::content_hash,
    observed::{ContainerState, ObservedInterface},
    plan::is_ours,
    ports::DnsPart,
    spec::docker_name,
};

impl SimState {
    /// Makes one of this seed's external changes, where there is something to
    /// change.
    pub fn interfere(&mut self) {
        let has = |f: &Fault| *f >= Fault::ForeignInterface && self.faults.has(*f);
        let kinds: Vec<_> = Fault::ALL.iter().copied().filter(has).collect();
        let Some(kind) = self.rng.pick(kinds) else {
            return;
        };
        let Some(event) = self.apply_interference(kind) else {
            return;
        };
        self.record(|| format!("external change: {kind:?}"));
        self.check_invariants("an external change");
        if let Some(port) = event {
            self.emit(port);
        }
    }

    /// Picks an interface of ours.
    fn some_interface(&mut self) -> Option<&mut ObservedInterface> {
        let ours = self.machine.interfaces.iter().filter(|(_, i)| is_ours(i));
        let slot = self.rng.pick(ours.map(|(s, _)| *s).collect::<Vec<_>>())?;
        self.machine.interfaces.get_mut(&slot)
    }

    fn some_folder(&mut self) -> Option<String> {
        let names: Vec<_> = self.machine.folders.keys().cloned().collect();
        self.rng.pick(names)
    }

    /// Makes the change. Returns the port that can report it, or `None` where
    /// there was nothing to change.
    fn apply_interference(&mut self, kind: Fault) -> Option<Option<EventPort>> {
        let number = self.rng.draw();
        let event = match kind {
            Fault::ForeignInterface | Fault::PortTaken => {
                let slot = Slot::new((number % 4) as u16 + 1)?;
                if kind == Fault::PortTaken {
                    // The other program also releases the port.
                    if !self.machine.occupied_ports.remove(&slot) {
                        self.machine.occupied_ports.insert(slot);
                    }
                    return Some(None);
                }
                match self.machine.interfaces.get(&slot) {
                    Some(i) if is_ours(i) => return None,
                    Some(_) => drop(self.remove_foreign(slot)),
                    None => self.add_foreign(slot, number),
                }
                Some(EventPort::Wireguard)
            }
            Fault::ForeignContainer => {
                let names: Vec<_> = self.model.spec.tenants.values().collect();
                let name = docker_name(&self.rng.pick(names)?.private_key.public());
                let mut all = self.machine.containers.iter();
                if all.any(|c| docker_name(&c.owner) == name) {
                    return None;
                }
                if !self.machine.foreign_containers.remove(&name) {
                    self.machine.foreign_containers.insert(name);
                }
                self.record_foreign();
                Some(EventPort::Containers)
            }
            Fault::InterfaceDeleted => {
                let ours = self.machine.interfaces.iter().filter(|(_, i)| is_ours(i));
                let slot = self.rng.pick(ours.map(|(s, _)| *s).collect::<Vec<_>>())?;
                self.machine.interfaces.remove(&slot);
                Some(EventPort::Wireguard)
            }
            Fault::KeyChanged => {
                let key = crate::samples::key((number % 200) as u16, 9).public();
                self.some_interface()?.public_key = Some(key);
                // WireGuard sends no event about its keys.
                None
            }
            Fault::InterfaceDown => {
                self.some_interface()?.up = false;
                Some(EventPort::Wireguard)
            }
            Fault::UnexpectedPeer => {
                let mut bytes = [9; 32];
                bytes[..8].copy_from_slice(&number.to_be_bytes());
                let peer = provisioning::observed::ObservedPeer {
                    preshared_key: None,
                    allowed_ips: Default::default(),
                };
                let key = domain::PublicKey::from_bytes(bytes);
                self.some_interface()?.peers.insert(key, peer);
                None
            }
            Fault::ContainerRemoved | Fault::ContainerStopped | Fault::ContainerPaused => {
                let count = self.machine.containers.len() as u64;
                let i = number.checked_rem(count)? as usize;
                let c = &mut self.machine.containers[i];
                match kind {
                    Fault::ContainerRemoved => drop(self.machine.containers.remove(i)),
                    Fault::ContainerStopped => {
                        (c.observed.state, c.serving) = (ContainerState::Stopped, None);
                    }
                    _ if c.observed.state == ContainerState::Running => {
                        c.observed.state = ContainerState::Paused;
                    }
                    _ => return None,
                }
                Some(EventPort::Containers)
            }
            Fault::DnsDamaged => {
                let folder = self.some_folder()?;
                let parts = [
                    DnsPart::Statistics,
                    DnsPart::QueryLog,
                    DnsPart::Lists,
                    DnsPart::Config,
                ];
                let part = self.rng.pick(parts.to_vec());
                let folder_state = self.machine.folders.get_mut(&folder)?;
                // Not again while it is being repaired: each part is set aside once.
                if std::mem::replace(&mut folder_state.was_damaged, true) {
                    return None;
                }
                folder_state.damaged = part;
                for c in &mut self.machine.containers {
                    if c.folder == folder && c.observed.state == ContainerState::Running {
                        (c.observed.state, c.serving) = (ContainerState::Stopped, None);
                    }
                }
                Some(EventPort::Containers)
            }
            Fault::SpeedLimitsRemoved => {
                let slots: Vec<_> = self.machine.speeds.keys().copied().collect();
                let slot = self.rng.pick(slots)?;
                match number.is_multiple_of(2) {
                    true => drop(self.machine.speeds.remove(&slot)),
                    false => self.machine.speeds.get_mut(&slot)?.intact = false,
                }
                Some(EventPort::Shaping)
            }
            Fault::ImageRemoved => {
                self.machine.image = false;
                Some(EventPort::Containers)
            }
            Fault::FirewallFlushed => {
                self.machine.firewall = Default::default();
                self.machine.flushed = Slot::all().take(4).collect();
                Some(EventPort::Firewall)
            }
            Fault::ElementsRemoved => {
                let slots: Vec<_> = self.machine.firewall.tenants.keys().copied().collect();
                let slot = self.rng.pick(slots)?;
                let t = self.machine.firewall.tenants.get_mut(&slot)?;
                match number % 5 {
                    0 => drop(self.machine.firewall.tenants.remove(&slot)),
                    1 => t.mesh.clear(),
                    2 => t.gateways.clear(),
                    3 => t.tunnel_packets = None,
                    _ => t.dns = None,
                }
                self.machine
                    .firewall
                    .tenants
                    .retain(|_, t| *t != Default::default());
                self.machine.flushed.insert(slot);
                Some(EventPort::Firewall)
            }
            Fault::ConfEdited | Fault::PublicKeyDamaged | Fault::FolderDeleted => {
                let name = self.some_folder()?;
                let folder = self.machine.folders.get_mut(&name)?;
                match kind {
                    Fault::ConfEdited => {
                        let (_, hash) = folder.observed.wg_confs.iter_mut().next()?;
                        *hash = content_hash(&number.to_be_bytes());
                    }
                    // A folder with a damaged key file has no owner.
                    Fault::PublicKeyDamaged => folder.observed.owner = None,
                    _ => drop(self.machine.folders.remove(&name)),
                }
                None
            }
            Fault::ClientDeleted => {
                let serving = self
                    .machine
                    .containers
                    .iter_mut()
                    .filter_map(|c| c.serving.as_mut());
                let config = serving.into_iter().find(|c| !c.clients.is_empty())?;
                config.clients.pop_first();
                None
            }
            _ => return None,
        };
        Some(event)
    }

    fn add_foreign(&mut self, slot: Slot, number: u64) {
        let foreign = ObservedInterface {
            owner: number
                .is_multiple_of(2)
                .then(|| "another program".to_owned()),
            public_key: None,
            listen_port: 0,
            addresses: Default::default(),
            up: true,
            peers: Default::default(),
        };
        self.machine.interfaces.insert(slot, foreign);
        self.record_foreign();
    }

    fn remove_foreign(&mut self, slot: Slot) -> Option<ObservedInterface> {
        let removed = self.machine.interfaces.remove(&slot);
        self.record_foreign();
        removed
    }

    /// Records what others own now, which must stay as it is.
    fn record_foreign(&mut self) {
        let foreign = self.machine.interfaces.iter().filter(|(_, i)| !is_ours(i));
        self.foreign = Foreign {
            interfaces: foreign.map(|(s, i)| (*s, i.clone())).collect(),
            containers: self.machine.foreign_containers.clone(),
        };
    }

    /// Releases the ports that other programs occupy, and provides the image.
    pub fn stop_interference(&mut self) {
        self.machine.occupied_ports.clear();
        self.machine.image = true;
        self.record(|| "no faults from now on".to_owned());
    }
}
