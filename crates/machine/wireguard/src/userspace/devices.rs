//! All interfaces of the child, with an entry for each slot. A change locks its
//! entry, so changes of one interface are serialised and others do not wait.

use super::{
    device::{DeviceError, HostedDevice},
    protocol::PAGE,
    wire::{WireDevice, WireObservedPeer},
};
use crate::{
    failure::{has_errno, missing, name_foreign, port_taken, refused},
    is_ours,
    links::Links,
};
use domain::{Message, Slot};
use nix::errno::Errno;
use protocol::PeerStatistics;
use provisioning::{
    ports::{PeerChange, PortResult},
    spec::InterfaceSpec,
};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    time::Duration,
};
use tokio::sync::Mutex;

/// The interfaces, by slot.
pub(super) struct Devices {
    devices: Vec<Mutex<Option<HostedDevice>>>,
}

/// The least number of counters in a page that is not the last.
const MIN_COUNTERS: usize = 4_000;
/// The longest time to wait for a UDP port after its interface was stopped.
const PORT_TIMEOUT: Duration = Duration::from_secs(1);

impl Devices {
    /// Creates an empty list.
    pub fn new() -> Self {
        Self {
            devices: Slot::all().map(|_| Mutex::new(None)).collect(),
        }
    }

    fn entry(&self, slot: Slot) -> &Mutex<Option<HostedDevice>> {
        &self.devices[usize::from(slot.get() - 1)]
    }

    /// Implements `WireGuard::ensure`.
    pub async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let slot = spec.slot;
        let name = slot.interface();
        let doing = Message::ActionCreateInterface {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let mut entry = self.entry(slot).lock().await;
        let link = links.by_name(&name).await.map_err(fail)?;

        if let Some(hosted) = entry.as_mut()
            && let Some(link) = &link
            && link.index == hosted.index
            && link.alias.as_ref() == Some(&spec.owner)
            && hosted.is_usable_for(spec).await
        {
            let done = hosted.update(&links, spec).await;
            return done.map_err(|e| port_error(slot, &doing, e));
        }

        // The interface is ours but another tenant's, has another key, is dead, or is
        // not of this process (the kernel's, from before a change of the setting): it
        // is created again.
        let own_index = entry.as_ref().map(|h| h.index);
        stop(&links, &mut entry, slot).await.map_err(fail)?;
        if let Some(link) = link
            && own_index != Some(link.index)
        {
            if !is_ours(link.alias.as_deref()) {
                return Err(name_foreign(slot));
            }
            links.delete(link.index).await.map_err(fail)?;
            links.wait_removed(&name).await.map_err(fail)?;
        }
        match HostedDevice::create(&links, spec).await {
            Ok(hosted) => {
                *entry = Some(hosted);
                Ok(())
            }
            Err(e) => {
                // The next attempt needs the name.
                links.wait_removed(&name).await.map_err(fail)?;
                Err(port_error(slot, &doing, e))
            }
        }
    }

    /// Implements `WireGuard::change_peers`.
    pub async fn change(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let doing = Message::ActionChangeDevices {
            interface: slot.interface(),
        };
        let mut entry = self.entry(slot).lock().await;
        if let Some(hosted) = entry.as_mut()
            && hosted.is_alive()
        {
            let done = hosted.change(change).await;
            return done.map_err(|e| port_error(slot, &doing, e));
        }
        self.own_link(slot, &doing).await?;
        Err(missing(slot))
    }

    /// Implements `WireGuard::delete`.
    pub async fn delete(&self, slot: Slot) -> PortResult<()> {
        let name = slot.interface();
        let doing = Message::ActionRemoveInterface {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let mut entry = self.entry(slot).lock().await;
        stop(&links, &mut entry, slot).await.map_err(fail)?;
        if let Some(index) = self.own_link(slot, &doing).await? {
            links.delete(index).await.map_err(fail)?;
            links.wait_removed(&name).await.map_err(fail)?;
        }
        Ok(())
    }

    /// Returns the index of the link with the slot's name, if there is one. A link
    /// that is not ours is an error.
    async fn own_link(&self, slot: Slot, doing: &Message) -> PortResult<Option<u32>> {
        let fail = |e| refused(doing, e);
        let links = Links::open().map_err(fail)?;
        match links.by_name(&slot.interface()).await.map_err(fail)? {
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(slot)),
            link => Ok(link.map(|l| l.index)),
        }
    }

    /// Returns the next [`PAGE`] interfaces after a slot, and whether more follow.
    pub async fn page(&self, after: Option<Slot>) -> (Vec<WireDevice>, bool) {
        let mut page = Vec::new();
        for slot in slots_after(after) {
            let entry = self.entry(slot).lock().await;
            let Some(hosted) = entry.as_ref() else {
                continue;
            };
            if page.len() == PAGE {
                return (page, true);
            }
            let (public, listen_port, peers) = hosted.state().await;
            let Some(public_key) = public else { continue };
            page.push(WireDevice {
                slot,
                index: hosted.index,
                public_key,
                listen_port,
                peers: peers
                    .iter()
                    .map(|(key, peer)| WireObservedPeer::new(*key, peer))
                    .collect(),
            });
        }
        (page, false)
    }

    /// Returns the next counters after a slot, and the slot after which the next page
    /// begins.
    pub async fn statistics(&self, after: Option<Slot>) -> (Vec<PeerStatistics>, Option<Slot>) {
        let mut all = Vec::new();
        for slot in slots_after(after) {
            if let Some(hosted) = self.entry(slot).lock().await.as_mut() {
                all.extend(hosted.statistics(slot).await);
            }
            if all.len() >= MIN_COUNTERS {
                return (all, Some(slot));
            }
        }
        (all, None)
    }

    /// Removes every interface. When this returns, names and ports are free.
    pub async fn close(&self) -> io::Result<()> {
        let links = Links::open()?;
        for slot in Slot::all() {
            let mut entry = self.entry(slot).lock().await;
            stop(&links, &mut entry, slot).await?;
        }
        Ok(())
    }

    /// Drops interfaces whose link was removed externally, which gotatun does not
    /// notice, and those that gotatun has stopped.
    pub async fn sweep(&self) -> io::Result<()> {
        let links = Links::open()?;
        let existing: BTreeSet<u32> = links.list().await?.iter().map(|l| l.index).collect();
        for slot in Slot::all() {
            let mut entry = self.entry(slot).lock().await;
            let Some(hosted) = entry.as_mut() else {
                continue;
            };
            // The link may have been created after the list was read, so it is read
            // again under the lock.
            let name = slot.interface();
            let removed = !existing.contains(&hosted.index)
                && links.by_name(&name).await?.map(|l| l.index) != Some(hosted.index);
            if removed || !hosted.is_alive() {
                tracing::warn!(interface = %name, removed, "dropping an interface that was removed or has stopped");
                stop(&links, &mut entry, slot).await?;
            }
        }
        Ok(())
    }
}

/// Iterates over the slots after one, or over all.
fn slots_after(after: Option<Slot>) -> impl Iterator<Item = Slot> {
    Slot::all().filter(move |s| Some(*s) > after)
}

/// Stops the interface of an entry and waits until its TUN is removed and its port
/// is free.
async fn stop(links: &Links, entry: &mut Option<HostedDevice>, slot: Slot) -> io::Result<()> {
    let Some(hosted) = entry.take() else {
        return Ok(());
    };
    let index = hosted.index;
    let name = slot.interface();
    hosted.stop().await;
    wait_for_free_port(slot.listen_port()).await;
    match links.by_name(&name).await? {
        Some(link) if link.index == index => links.wait_removed(&name).await,
        _ => Ok(()),
    }
}

/// Waits until a UDP port that gotatun has released can be bound. Its `stop` only
/// asks its buffering tasks to end, and they own the sockets until the runtime drops
/// them: an interface that is created again at once would take our own old socket
/// for another program's. The wait is limited to 1 s: by then another program has
/// the port, and creating the interface reports that.
async fn wait_for_free_port(port: u16) {
    let taken = |address: IpAddr| {
        let bound = UdpSocket::bind((address, port));
        bound.is_err_and(|e| has_errno(&e, Errno::EADDRINUSE))
    };
    let free = async {
        while taken(Ipv4Addr::UNSPECIFIED.into()) || taken(Ipv6Addr::UNSPECIFIED.into()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(PORT_TIMEOUT, free).await.is_err() {
        tracing::warn!(
            port,
            "a UDP port is not free after its interface was removed"
        );
    }
}

fn port_error(slot: Slot, doing: &Message, e: DeviceError) -> provisioning::ports::PortError {
    match e {
        DeviceError::PortTaken(e) => port_taken(slot, e),
        DeviceError::Other(e) => refused(doing, e),
    }
}
