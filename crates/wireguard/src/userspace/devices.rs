//! All interfaces of the child, a place for each slot. A change holds its
//! place's lock, so changes of one interface never mix, and others never wait.

use super::{
    device::{Failed, Hosted},
    protocol::{PAGE, WireDevice, WireObservedPeer},
};
use crate::{
    failure::{absent, is, name_foreign, port_taken, refused},
    is_ours,
    links::Links,
};
use domain::Slot;
use nix::errno::Errno;
use provisioning::{
    observed::PeerStatistics,
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
    places: Vec<Mutex<Option<Hosted>>>,
}

/// How much a page of counters holds at least, where there is as much.
const COUNTERS: usize = 4_000;
/// How long a UDP port may take to be free after its interface was stopped.
const PORT_FREE: Duration = Duration::from_secs(1);

impl Devices {
    /// None yet.
    pub fn new() -> Self {
        Self {
            places: Slot::all().map(|_| Mutex::new(None)).collect(),
        }
    }

    fn place(&self, slot: Slot) -> &Mutex<Option<Hosted>> {
        &self.places[usize::from(slot.get() - 1)]
    }

    /// `WireGuard::ensure`.
    pub async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let slot = spec.slot;
        let name = slot.interface();
        let doing = format!("make {name}");
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let mut place = self.place(slot).lock().await;
        let link = links.by_name(&name).await.map_err(fail)?;

        if let Some(hosted) = place.as_mut()
            && let Some(link) = &link
            && link.index == hosted.index
            && link.alias.as_ref() == Some(&spec.owner)
            && hosted.serves(spec).await
        {
            let done = hosted.update(&links, spec).await;
            return done.map_err(|e| explained(slot, &doing, e));
        }

        // Ours but another tenant's, with another key, dead, or not in this
        // process (the kernel's, from before a change of the setting): start
        // afresh.
        let held = place.as_ref().map(|h| h.index);
        stop(&links, &mut place, slot).await.map_err(fail)?;
        if let Some(link) = link
            && held != Some(link.index)
        {
            if !is_ours(link.alias.as_deref()) {
                return Err(name_foreign(slot));
            }
            links.delete(link.index).await.map_err(fail)?;
            links.wait_gone(&name).await.map_err(fail)?;
        }
        match Hosted::create(&links, spec).await {
            Ok(hosted) => {
                *place = Some(hosted);
                Ok(())
            }
            Err(e) => {
                // So that the next try finds the name free.
                links.wait_gone(&name).await.map_err(fail)?;
                Err(explained(slot, &doing, e))
            }
        }
    }

    /// `WireGuard::change_peers`.
    pub async fn change(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let doing = format!("change the devices of {}", slot.interface());
        let mut place = self.place(slot).lock().await;
        if let Some(hosted) = place.as_mut()
            && hosted.alive()
        {
            let done = hosted.change(change).await;
            return done.map_err(|e| explained(slot, &doing, e));
        }
        self.mine(slot, &doing).await?;
        Err(absent(slot))
    }

    /// `WireGuard::delete`.
    pub async fn delete(&self, slot: Slot) -> PortResult<()> {
        let name = slot.interface();
        let doing = format!("remove {name}");
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let mut place = self.place(slot).lock().await;
        stop(&links, &mut place, slot).await.map_err(fail)?;
        if let Some(index) = self.mine(slot, &doing).await? {
            links.delete(index).await.map_err(fail)?;
            links.wait_gone(&name).await.map_err(fail)?;
        }
        Ok(())
    }

    /// The link with the slot's name, if there is one; a foreign one is an
    /// error.
    async fn mine(&self, slot: Slot, doing: &str) -> PortResult<Option<u32>> {
        let fail = |e| refused(doing, e);
        let links = Links::open().map_err(fail)?;
        match links.by_name(&slot.interface()).await.map_err(fail)? {
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(slot)),
            link => Ok(link.map(|l| l.index)),
        }
    }

    /// The next [`PAGE`] interfaces behind a slot, and whether more follow.
    pub async fn page(&self, after: Option<Slot>) -> (Vec<WireDevice>, bool) {
        let mut page = Vec::new();
        for slot in behind(after) {
            let place = self.place(slot).lock().await;
            let Some(hosted) = place.as_ref() else {
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

    /// The next counters behind a slot, and the slot to go on behind.
    pub async fn statistics(&self, after: Option<Slot>) -> (Vec<PeerStatistics>, Option<Slot>) {
        let mut all = Vec::new();
        for slot in behind(after) {
            if let Some(hosted) = self.place(slot).lock().await.as_mut() {
                all.extend(hosted.statistics(slot).await);
            }
            if all.len() >= COUNTERS {
                return (all, Some(slot));
            }
        }
        (all, None)
    }

    /// Removes every interface: when this returns, names and ports are free.
    pub async fn close(&self) -> io::Result<()> {
        let links = Links::open()?;
        for slot in Slot::all() {
            let mut place = self.place(slot).lock().await;
            stop(&links, &mut place, slot).await?;
        }
        Ok(())
    }

    /// Lets go of interfaces whose link somebody removed or that gotatun gave
    /// up on: gotatun does not notice the first, and nobody the second.
    pub async fn sweep(&self) -> io::Result<()> {
        let links = Links::open()?;
        let there: BTreeSet<u32> = links.all().await?.iter().map(|l| l.index).collect();
        for slot in Slot::all() {
            let mut place = self.place(slot).lock().await;
            let Some(hosted) = place.as_mut() else {
                continue;
            };
            // Made after the list was read: look again, under the lock.
            let name = slot.interface();
            let gone = !there.contains(&hosted.index)
                && links.by_name(&name).await?.map(|l| l.index) != Some(hosted.index);
            if gone || !hosted.alive() {
                tracing::warn!(interface = %name, removed = gone, "an interface is gone; letting go of it");
                stop(&links, &mut place, slot).await?;
            }
        }
        Ok(())
    }
}

fn behind(after: Option<Slot>) -> impl Iterator<Item = Slot> {
    Slot::all().filter(move |s| Some(*s) > after)
}

/// Stops what is in a place and waits for its TUN and its port to be free.
async fn stop(links: &Links, place: &mut Option<Hosted>, slot: Slot) -> io::Result<()> {
    let Some(hosted) = place.take() else {
        return Ok(());
    };
    let index = hosted.index;
    let name = slot.interface();
    hosted.stop().await;
    port_free(slot.listen_port()).await;
    match links.by_name(&name).await? {
        Some(link) if link.index == index => links.wait_gone(&name).await,
        _ => Ok(()),
    }
}

/// Waits until a UDP port that gotatun has let go can be bound. Its `stop`
/// only asks its buffering tasks to end, and they hold the sockets until the
/// runtime drops them: making the interface again at once would take our own
/// old socket for another program's. Bounded: by then somebody else has it,
/// and who makes the interface next is told.
async fn port_free(port: u16) {
    let taken = |address: IpAddr| {
        let bound = UdpSocket::bind((address, port));
        bound.is_err_and(|e| is(&e, Errno::EADDRINUSE))
    };
    let free = async {
        while taken(Ipv4Addr::UNSPECIFIED.into()) || taken(Ipv6Addr::UNSPECIFIED.into()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    if tokio::time::timeout(PORT_FREE, free).await.is_err() {
        tracing::warn!(port, "a UDP port is not free after its interface went");
    }
}

fn explained(slot: Slot, doing: &str, e: Failed) -> provisioning::ports::PortError {
    match e {
        Failed::Port(e) => port_taken(slot, e),
        Failed::Other(e) => refused(doing, e),
    }
}
