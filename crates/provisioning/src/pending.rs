//! Changes that are under way, or have failed and were not confirmed by a reading
//! since: each may change the machine after it was observed.

use crate::{
    plan::step::{Lane, Step},
    ports::DnsPart,
};
use domain::{Slot, TenantName};
use ipnet::Ipv4Net;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// The changes under way. Empty where there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Slots whose tunnel may be created, removed or changed, or exists and cannot be
    /// read.
    pub tunnels: BTreeSet<Slot>,
    /// Slots whose elements may be added, removed or changed.
    pub elements: BTreeSet<Slot>,
    /// Whether the same is true of every slot's elements.
    pub all_elements: bool,
    /// Tenants whose containers are being prepared and started.
    pub starts: BTreeSet<TenantName>,
    /// Addresses whose holders have left and whose tracked connections may still
    /// exist, by slot.
    pub stale_connections: BTreeMap<Slot, BTreeSet<Ipv4Net>>,
    /// Whether any address may have such connections, because this process has just
    /// started.
    pub unswept: bool,
    /// The nodes that the tracked connections of slots' ports are sent on to; `None` where
    /// that is not known, because a change of them is under way or failed.
    pub redirected: BTreeMap<Slot, Option<Ipv4Addr>>,
    /// AdGuard Homes that keep ending, or that must not run.
    pub dns_holds: BTreeMap<Slot, DnsHold>,
    /// Containers, by id, whose AdGuard Home refuses our password and that are replaced.
    pub dns_refused: BTreeMap<Slot, String>,
}

/// Why a tenant's queries go to the fallback resolver although there is an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsHold {
    /// It keeps ending. Before it is started again, this part is set aside.
    Repair(Option<DnsPart>),
    /// It keeps ending although everything was set aside; it rests for a while.
    Rest,
    /// Because of the disk it must not run: it is stopped.
    Disk(DiskHold),
    /// It is stopped while its files are copied to another node.
    Copy,
    /// No device has connected yet: it is stopped until the tenant is used. It is in the
    /// spec, and never among the changes under way.
    Asleep,
}

/// Why a tenant's AdGuard Home must not run because of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskHold {
    /// It uses more of the disk than it may.
    Full,
    /// The node's disk is nearly full: nothing more is written there.
    Low,
}

impl DnsHold {
    /// Returns whether its container is removed, and not only not started again.
    pub const fn is_stopped(self) -> bool {
        matches!(self, Self::Disk(_) | Self::Asleep | Self::Copy)
    }
}

impl Pending {
    /// Adds the steps of a lane that is running.
    pub fn add_running(&mut self, lane: &Lane, steps: &[Step]) {
        match lane {
            Lane::Tunnel(slot) => drop(self.tunnels.insert(*slot)),
            Lane::Firewall => steps.iter().for_each(|step| self.add_transaction(step)),
            _ => {}
        }
    }

    fn add_transaction(&mut self, step: &Step) {
        if let Step::Firewall(change) = step {
            self.all_elements |= change.rebuild;
            self.elements.extend(change.remove.keys());
            self.elements.extend(change.set.iter().map(|(_, t)| t.slot));
        }
    }

    /// Returns whether a slot's elements may change.
    pub fn is_about_elements(&self, slot: Slot) -> bool {
        self.all_elements || self.elements.contains(&slot)
    }
}
