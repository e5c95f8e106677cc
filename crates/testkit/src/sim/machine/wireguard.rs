//! WireGuard.

use super::{Extent, Machine, refuse};
use crate::expected;
use domain::{ErrorCode, Slot};
use provisioning::{
    observed::ObservedInterface,
    plan::is_ours,
    ports::{PeerChange, PortResult},
    spec::InterfaceSpec,
};

impl Machine {
    pub(in crate::sim) fn ensure(
        &mut self,
        spec: &InterfaceSpec,
        mut extent: Extent,
    ) -> PortResult<()> {
        let existing = self.interfaces.get(&spec.slot);
        if existing.is_some_and(|i| !is_ours(i)) {
            return refuse(ErrorCode::NameForeign, "the interface is not ours");
        }
        let port = spec.slot.listen_port();
        let has_port = existing.is_some_and(|i| i.listen_port == port);
        let others = self.interfaces.iter().filter(|(s, _)| **s != spec.slot);
        let taken = others.into_iter().any(|(_, i)| i.listen_port == port);
        if !has_port && (taken || self.occupied_ports.contains(&spec.slot)) {
            return refuse(ErrorCode::PortTaken, "another program uses the port");
        }
        let fresh = ObservedInterface {
            // The real interface is made under a temporary name and renamed
            // when it is complete: of an incomplete one, an observer sees only
            // that it is not up yet.
            up: matches!(extent, Extent::Complete),
            ..expected::interface(spec)
        };
        match self.interfaces.get_mut(&spec.slot) {
            Some(i) if i.owner.as_ref() == Some(&spec.owner) => {
                i.public_key = fresh.public_key;
                i.listen_port = port;
                let change = provisioning::plan::peer_change(spec, i);
                change_peers(i, &change, &mut extent);
                if matches!(extent, Extent::Complete) {
                    *i = fresh;
                }
            }
            // Another tenant's interface is removed first.
            existing => {
                let exists = existing.is_some();
                let made = extent.happens();
                if exists {
                    self.interfaces.remove(&spec.slot);
                }
                if made {
                    self.interfaces.insert(spec.slot, fresh);
                }
            }
        }
        extent.result()
    }

    pub(in crate::sim) fn change_peers(
        &mut self,
        slot: Slot,
        change: &PeerChange,
        mut extent: Extent,
    ) -> PortResult<()> {
        let Some(i) = self.interfaces.get_mut(&slot) else {
            return refuse(ErrorCode::Internal, "no such interface");
        };
        if !is_ours(i) {
            return refuse(ErrorCode::NameForeign, "the interface is not ours");
        }
        change_peers(i, change, &mut extent);
        extent.result()
    }

    pub(in crate::sim) fn delete(&mut self, slot: Slot, extent: Extent) -> PortResult<()> {
        if self.interfaces.get(&slot).is_some_and(|i| !is_ours(i)) {
            return refuse(ErrorCode::NameForeign, "the interface is not ours");
        }
        self.interfaces.remove(&slot);
        extent.result()
    }
}

fn change_peers(i: &mut ObservedInterface, change: &PeerChange, extent: &mut Extent) {
    let removed = change.remove.iter().map(|k| (*k, None));
    let set = change.set.iter();
    let set = set.map(|(k, p)| (*k, Some(expected::peer(p))));
    extent.apply(removed.chain(set).collect(), |(key, peer)| match peer {
        None => {
            i.peers.remove(&key);
        }
        Some(peer) => {
            // An address belongs to one peer: the one that got it last.
            for other in i.peers.values_mut() {
                other.allowed_ips.retain(|a| !peer.allowed_ips.contains(a));
            }
            i.peers.insert(key, peer);
        }
    });
}
