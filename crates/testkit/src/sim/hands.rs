//! Another hand: what people and other programs do to the machine.

use super::{EventOf, State, faults::Fault};
use domain::Slot;
use provisioning::{
    observed::{ContainerState, ObservedInterface, content_hash},
    plan::is_ours,
};

impl State {
    /// Does one of the things this seed has, if there is something to do it to.
    pub fn meddle(&mut self) {
        let has = |f: &Fault| *f >= Fault::ForeignInterface && self.faults.has(*f);
        let kinds: Vec<_> = Fault::ALL.iter().copied().filter(has).collect();
        let Some(kind) = self.rng.pick(kinds) else {
            return;
        };
        let Some(told) = self.hand(kind) else {
            return;
        };
        self.note(|| format!("another hand: {kind:?}"));
        self.check("another hand");
        if let Some(of) = told {
            self.tell(of);
        }
    }

    /// An interface of ours, somewhere.
    fn some_interface(&mut self) -> Option<&mut ObservedInterface> {
        let ours = self.machine.interfaces.iter().filter(|(_, i)| is_ours(i));
        let slot = self.rng.pick(ours.map(|(s, _)| *s).collect::<Vec<_>>())?;
        self.machine.interfaces.get_mut(&slot)
    }

    fn some_folder(&mut self) -> Option<String> {
        let names: Vec<_> = self.machine.folders.keys().cloned().collect();
        self.rng.pick(names)
    }

    /// Does it; which port can tell of it. `None` where there was nothing.
    fn hand(&mut self, kind: Fault) -> Option<Option<EventOf>> {
        let number = self.rng.draw();
        let event = match kind {
            Fault::ForeignInterface | Fault::PortTaken => {
                let slot = Slot::new((number % 4) as u16 + 1)?;
                if kind == Fault::PortTaken {
                    // It lets it go as well.
                    if !self.machine.held_ports.remove(&slot) {
                        self.machine.held_ports.insert(slot);
                    }
                    return Some(None);
                }
                match self.machine.interfaces.get(&slot) {
                    Some(i) if is_ours(i) => return None,
                    Some(_) => drop(self.remove_foreign(slot)),
                    None => self.make_foreign(slot, number),
                }
                Some(EventOf::Wireguard)
            }
            Fault::ForeignContainer => {
                let names: Vec<_> = self.world.spec.tenants.values().collect();
                let name = self.rng.pick(names)?.name.container();
                let ours = self.machine.containers.iter().any(|c| c.seen.name == name);
                if ours {
                    return None;
                }
                if !self.machine.strangers.remove(&name) {
                    self.machine.strangers.insert(name);
                }
                self.foreign_as_it_is();
                Some(EventOf::Containers)
            }
            Fault::InterfaceDeleted => {
                let ours = self.machine.interfaces.iter().filter(|(_, i)| is_ours(i));
                let slot = self.rng.pick(ours.map(|(s, _)| *s).collect::<Vec<_>>())?;
                self.machine.interfaces.remove(&slot);
                Some(EventOf::Wireguard)
            }
            Fault::KeyChanged => {
                let key = crate::samples::key((number % 200) as u16, 9).public();
                self.some_interface()?.public_key = Some(key);
                // WireGuard tells nobody of its keys.
                None
            }
            Fault::InterfaceDown => {
                self.some_interface()?.up = false;
                Some(EventOf::Wireguard)
            }
            Fault::StrangePeer => {
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
                        (c.seen.state, c.serving) = (ContainerState::Stopped, None);
                    }
                    _ if c.seen.state == ContainerState::Running => {
                        c.seen.state = ContainerState::Paused;
                    }
                    _ => return None,
                }
                Some(EventOf::Containers)
            }
            Fault::ImageRemoved => {
                self.machine.image = false;
                Some(EventOf::Containers)
            }
            Fault::FirewallFlushed => {
                self.machine.firewall = Default::default();
                self.machine.flushed = Slot::all().take(4).collect();
                Some(EventOf::Firewall)
            }
            Fault::ElementsRemoved => {
                let slots: Vec<_> = self.machine.firewall.tenants.keys().copied().collect();
                let slot = self.rng.pick(slots)?;
                let t = self.machine.firewall.tenants.get_mut(&slot)?;
                match number % 4 {
                    0 => drop(self.machine.firewall.tenants.remove(&slot)),
                    1 => t.mesh.clear(),
                    2 => t.gateways.clear(),
                    _ => t.dns = None,
                }
                self.machine
                    .firewall
                    .tenants
                    .retain(|_, t| *t != Default::default());
                self.machine.flushed.insert(slot);
                Some(EventOf::Firewall)
            }
            Fault::ConfEdited | Fault::PublicKeyDamaged | Fault::FolderDeleted => {
                let name = self.some_folder()?;
                let folder = self.machine.folders.get_mut(&name)?;
                match kind {
                    Fault::ConfEdited => {
                        let (_, hash) = folder.seen.wg_confs.iter_mut().next()?;
                        *hash = content_hash(&number.to_be_bytes());
                    }
                    // Keys that are not whole are nobody's.
                    Fault::PublicKeyDamaged => folder.seen.owner = None,
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

    fn make_foreign(&mut self, slot: Slot, number: u64) {
        let theirs = ObservedInterface {
            owner: number.is_multiple_of(2).then(|| "somebody".to_owned()),
            public_key: None,
            listen_port: 0,
            addresses: Default::default(),
            up: true,
            peers: Default::default(),
        };
        self.machine.interfaces.insert(slot, theirs);
        self.foreign_as_it_is();
    }

    fn remove_foreign(&mut self, slot: Slot) -> Option<ObservedInterface> {
        let gone = self.machine.interfaces.remove(&slot);
        self.foreign_as_it_is();
        gone
    }

    /// From now on this is what others have, and what must stay.
    fn foreign_as_it_is(&mut self) {
        let theirs = self.machine.interfaces.iter().filter(|(_, i)| !is_ours(i));
        self.foreign = (
            theirs.map(|(s, i)| (*s, i.clone())).collect(),
            self.machine.strangers.clone(),
        );
    }

    /// What other programs hold is free again, and somebody gets the image.
    pub fn hands_off(&mut self) {
        self.machine.held_ports.clear();
        self.machine.image = true;
        self.note(|| "from now on nothing goes wrong".to_owned());
    }
}
