//! The machine of the simulation: what it holds, and what each call of a port
//! changes, completely or in part. It knows no faults and no time. The rules
//! are those of the real implementations, conflicts of names, addresses and
//! ports included.

mod adguard;
mod connections;
mod containers;
mod firewall;
mod folders;
mod shaping;
mod wireguard;

use super::rng::SplitMix64;
pub use containers::Container;
use domain::{ErrorCode, Message, PublicKey, Slot};
use provisioning::{
    observed::{
        ObservedDnsClient, ObservedFirewall, ObservedFolder, ObservedInterface, ObservedSpeed,
    },
    ports::{DnsPart, PortError, PortResult},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

/// How much of a call's effect happens.
#[derive(Clone, Debug)]
pub enum Extent {
    /// All of it.
    Complete,
    /// The part that this generator chooses; then the call fails.
    Partial(SplitMix64),
}

/// AdGuard Home's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The hash of the tenant's password, which identifies the tenant.
    pub password_hash: String,
    /// Persistent clients with an id of ours.
    pub clients: BTreeMap<String, ObservedDnsClient>,
    /// The addresses that names of devices stand for.
    pub names: BTreeMap<String, BTreeSet<IpAddr>>,
}

/// A tenant's folder.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The folder as it is read.
    pub observed: ObservedFolder,
    /// Whether it contains a folder for AdGuard Home's configuration.
    pub conf_dir: bool,
    /// AdGuard Home's configuration file.
    pub config: Option<Config>,
    /// The part of AdGuard Home's data with which it cannot start.
    pub damaged: Option<DnsPart>,
    /// Whether a part was damaged before.
    pub was_damaged: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Machine {
    /// Interfaces with slots' names.
    pub interfaces: BTreeMap<Slot, ObservedInterface>,
    /// Slots whose UDP port another program occupies.
    pub occupied_ports: BTreeSet<Slot>,
    /// Our table.
    pub firewall: ObservedFirewall,
    /// Slots whose elements an external change removed and that do not have
    /// them again yet: until then an interface may be unfiltered.
    pub flushed: BTreeSet<Slot>,
    /// Speed limits, by slot.
    pub speeds: BTreeMap<Slot, ObservedSpeed>,
    /// Tracked connections by the device's address, with the tunnel's and the
    /// device's key at their beginning.
    pub connections: BTreeMap<Ipv4Addr, (PublicKey, PublicKey)>,
    /// Where the tracked connections of slots' ports are sent on to.
    pub redirected: BTreeMap<Slot, Ipv4Addr>,
    /// Slots with an unanswered tunnel call from a process that has died.
    pub orphaned_calls: BTreeSet<Slot>,
    /// Whether the image exists.
    pub image: bool,
    /// Containers of ours.
    pub containers: Vec<Container>,
    /// Other people's containers with names of ours.
    pub foreign_containers: BTreeSet<String>,
    /// Folders below `users/`.
    pub folders: BTreeMap<String, Folder>,
    /// Whether the current effect comes after its caller gave up.
    pub applying_late: bool,
    pub(super) next_id: u64,
}

fn refuse<T>(code: ErrorCode, text: &str) -> PortResult<T> {
    let text = text.to_owned();
    Err(PortError::new(code, Message::Verbatim { text }))
}

fn interrupted<T>() -> PortResult<T> {
    refuse(
        ErrorCode::Internal,
        "it was interrupted half-way (simulated)",
    )
}

impl Extent {
    /// Carries out the steps, or the first of them, in their order.
    fn apply<T>(&mut self, steps: Vec<T>, step: impl FnMut(T)) {
        let n = match self {
            Extent::Complete => steps.len(),
            Extent::Partial(rng) => rng.below(steps.len() as u64 + 1) as usize,
        };
        steps.into_iter().take(n).for_each(step);
    }

    /// Returns whether an indivisible step happens.
    fn happens(&mut self) -> bool {
        match self {
            Extent::Complete => true,
            Extent::Partial(rng) => rng.percent(50),
        }
    }

    /// Returns the result of a call whose effect had this extent.
    fn result(&self) -> PortResult<()> {
        match self {
            Extent::Complete => Ok(()),
            Extent::Partial(_) => interrupted(),
        }
    }
}
