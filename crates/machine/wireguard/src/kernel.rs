//! The kernel's WireGuard: links over rtnetlink, keys and peers over generic
//! netlink ([`crate::kernel_device`]).
//!
//! An interface is created under a temporary name and renamed once it has our
//! alias, its key and its peers. So a crash in between leaves no `wg1` that looks
//! like another program's.

use crate::{
    diff, events,
    failure::{has_errno, missing, name_foreign, port_taken, refused, timed_out},
    is_ours,
    kernel_device::{self, apply, merge_peers, public_key, with_peers},
    links::{Link, Links},
};
use async_trait::async_trait;
use domain::{Message, Slot};
use futures_util::stream::BoxStream;
use nix::errno::Errno;
use protocol::PeerStatistics;
use provisioning::{
    observed::ObservedInterface,
    ports::{PeerChange, PortResult, WireGuard},
    spec::InterfaceSpec,
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::sync::{Mutex, MutexGuard};
use wireguard_control::{DeviceUpdate, Key};

/// The longest time a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of locks that the slots share.
const LOCKS: usize = 64;

/// The kernel's WireGuard.
pub struct Kernel {
    /// Serialises the changes of a slot; most slots do not wait for each other.
    locks: Arc<[Mutex<()>; LOCKS]>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// Returns the WireGuard of the kernel in the calling thread's network namespace.
    /// It makes no call yet; [`crate::examine`] finds out whether there is one.
    pub fn new() -> Self {
        Self {
            locks: Arc::new(std::array::from_fn(|_| Mutex::new(()))),
        }
    }

    async fn lock(&self, slot: Slot) -> MutexGuard<'_, ()> {
        self.locks[usize::from(slot.get()) % LOCKS].lock().await
    }

    async fn create(&self, links: &Links, spec: &InterfaceSpec) -> PortResult<()> {
        let name = spec.slot.interface();
        let doing = Message::ActionCreateInterface {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let temp_name = format!("mn{name}");
        // A crash may have left one.
        if let Some(old) = links.by_name(&temp_name).await.map_err(fail)? {
            links.delete(old.index).await.map_err(fail)?;
        }
        links.add_wireguard(&temp_name).await.map_err(fail)?;
        let created = links.by_name(&temp_name).await.map_err(fail)?;
        let Some(created) = created else {
            let removed = io::Error::from_raw_os_error(Errno::ENODEV as i32);
            return Err(fail(removed));
        };
        let configured = self.configure(links, spec, &created).await;
        if configured.is_err() {
            // It is removed by its index, because it may have either name.
            links.delete(created.index).await.map_err(fail)?;
        }
        configured?;
        // IPv4 works without it.
        links
            .set_address6(created.index, &name, spec.address6)
            .await
            .map_err(fail)
    }

    async fn configure(&self, links: &Links, spec: &InterfaceSpec, link: &Link) -> PortResult<()> {
        let name = spec.slot.interface();
        let doing = Message::ActionCreateInterface {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        links
            .set_alias(link.index, &spec.owner)
            .await
            .map_err(fail)?;
        let change = PeerChange {
            remove: vec![],
            set: spec.peers.clone(),
        };
        let update = DeviceUpdate::new()
            .set_private_key(Key(*spec.private_key.as_bytes()))
            .set_listen_port(spec.slot.listen_port());
        apply(&link.name, with_peers(update, &change))
            .await
            .map_err(fail)?;
        links
            .set_address(link.index, spec.address)
            .await
            .map_err(fail)?;
        match links.rename(link.index, &name).await {
            Err(e) if has_errno(&e, Errno::EEXIST) => return Err(name_foreign(spec.slot)),
            other => other.map_err(fail)?,
        }
        bring_up(links, spec.slot, link.index).await
    }

    async fn update(&self, links: &Links, spec: &InterfaceSpec, link: &Link) -> PortResult<()> {
        let doing = Message::ActionChangeInterface {
            interface: link.name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let now = kernel_device::read(&link.name).await.map_err(fail)?;
        let mut update = DeviceUpdate::new();
        let mut needed = false;
        if public_key(&now) != Some(spec.private_key.public()) {
            update = update.set_private_key(Key(*spec.private_key.as_bytes()));
            needed = true;
        }
        if now.listen_port != Some(spec.slot.listen_port()) {
            update = update.set_listen_port(spec.slot.listen_port());
            needed = true;
        }
        let change = diff::peers(&spec.peers, &merge_peers(&now.peers));
        if needed || !change.is_empty() {
            match apply(&link.name, with_peers(update, &change)).await {
                Err(e) if has_errno(&e, Errno::EADDRINUSE) => return Err(port_taken(spec.slot, e)),
                other => other.map_err(fail)?,
            }
        }
        links
            .set_address(link.index, spec.address)
            .await
            .map_err(fail)?;
        if !link.up || link.mtu != crate::tunnel_mtu() {
            bring_up(links, spec.slot, link.index).await?;
        }
        links
            .set_address6(link.index, &link.name, spec.address6)
            .await
            .map_err(fail)
    }

    async fn try_ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let name = spec.slot.interface();
        let doing = Message::ActionCreateInterface {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let _lock = self.lock(spec.slot).await;
        match links.by_name(&name).await.map_err(fail)? {
            None => self.create(&links, spec).await,
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(spec.slot)),
            // It is the userspace implementation's TUN, or another tenant's: create it
            // again.
            Some(link) if !link.wireguard || link.alias.as_ref() != Some(&spec.owner) => {
                links.delete(link.index).await.map_err(fail)?;
                self.create(&links, spec).await
            }
            Some(link) => self.update(&links, spec, &link).await,
        }
    }

    async fn try_change(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let name = slot.interface();
        let doing = Message::ActionChangeDevices {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let _lock = self.lock(slot).await;
        // wireguard-control would create an interface that does not exist.
        match links.by_name(&name).await.map_err(fail)? {
            None => Err(missing(slot)),
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(slot)),
            Some(link) if !link.wireguard => Err(missing(slot)),
            Some(_) if change.is_empty() => Ok(()),
            Some(_) => apply(&name, with_peers(DeviceUpdate::new(), change))
                .await
                .map_err(fail),
        }
    }

    async fn try_delete(&self, slot: Slot) -> PortResult<()> {
        let name = slot.interface();
        let doing = Message::ActionRemoveInterface {
            interface: name.clone(),
        };
        let fail = |e| refused(&doing, e);
        let links = Links::open().map_err(fail)?;
        let _lock = self.lock(slot).await;
        match links.by_name(&name).await.map_err(fail)? {
            None => Ok(()),
            Some(link) if !is_ours(link.alias.as_deref()) => Err(name_foreign(slot)),
            Some(link) => links.delete(link.index).await.map_err(fail),
        }
    }

    async fn try_observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        let fail = |e| refused(&Message::ActionReadInterfaces, e);
        let links = Links::open().map_err(fail)?;
        let mut found = links.observed().await.map_err(fail)?;
        for (link, interface) in found.values_mut() {
            if !link.wireguard || interface.owner.is_none() {
                continue;
            }
            match kernel_device::read(&link.name).await {
                Ok(now) => {
                    interface.public_key = public_key(&now);
                    interface.listen_port = now.listen_port.unwrap_or(0);
                    interface.peers = merge_peers(&now.peers);
                }
                // It was removed since the list was read; the next reading will not
                // contain it.
                Err(e) if has_errno(&e, Errno::ENODEV) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(found.into_iter().map(|(s, (_, i))| (s, i)).collect())
    }

    async fn try_statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        let fail = |e| refused(&Message::ActionReadCounters, e);
        let links = Links::open().map_err(fail)?.list().await.map_err(fail)?;
        let mut all = Vec::new();
        for link in links {
            let Some(slot) = Slot::of_interface(&link.name) else {
                continue;
            };
            if !link.wireguard || !is_ours(link.alias.as_deref()) {
                continue;
            }
            match kernel_device::read(&link.name).await {
                Ok(now) => all.extend(kernel_device::statistics(slot, &now.peers)),
                Err(e) if has_errno(&e, Errno::ENODEV) => {}
                Err(e) => return Err(fail(e)),
            }
        }
        Ok(all)
    }
}

#[async_trait]
impl WireGuard for Kernel {
    fn describe(&self) -> String {
        "kernel WireGuard".to_owned()
    }

    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedInterface>> {
        bounded(Message::ActionReadInterfaces, self.try_observe()).await
    }

    async fn ensure(&self, spec: &InterfaceSpec) -> PortResult<()> {
        let action = Message::ActionCreateInterface {
            interface: spec.slot.interface(),
        };
        bounded(action, self.try_ensure(spec)).await
    }

    async fn change_peers(&self, slot: Slot, change: &PeerChange) -> PortResult<()> {
        let action = Message::ActionChangeDevices {
            interface: slot.interface(),
        };
        bounded(action, self.try_change(slot, change)).await
    }

    async fn delete(&self, slot: Slot) -> PortResult<()> {
        let action = Message::ActionRemoveInterface {
            interface: slot.interface(),
        };
        bounded(action, self.try_delete(slot)).await
    }

    async fn statistics(&self) -> PortResult<Vec<PeerStatistics>> {
        bounded(Message::ActionReadCounters, self.try_statistics()).await
    }

    fn events(&self) -> BoxStream<'static, ()> {
        events::link_changes()
    }
}

/// Limits the time of a call.
async fn bounded<T>(action: Message, call: impl Future<Output = PortResult<T>>) -> PortResult<T> {
    tokio::time::timeout(CALL_TIMEOUT, call)
        .await
        .unwrap_or_else(|_| Err(timed_out(action)))
}

/// Sets a link up; this is where the kernel binds its UDP port.
async fn bring_up(links: &Links, slot: Slot, index: u32) -> PortResult<()> {
    match links.bring_up(index).await {
        Err(e) if has_errno(&e, Errno::EADDRINUSE) => Err(port_taken(slot, e)),
        other => other.map_err(|e| {
            let interface = slot.interface();
            refused(&Message::ActionBringUp { interface }, e)
        }),
    }
}
