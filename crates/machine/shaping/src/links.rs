//! The links of slots over rtnetlink(7): which exist, and the ifbs.
//!
//! Each call opens a connection of its own, in the calling thread's network namespace.

use domain::Slot;
use futures_util::TryStreamExt;
use hostfs::OwnPids;
use nix::errno::Errno;
use rtnetlink::{
    Handle, LinkIfb, LinkUnspec,
    packet_route::{
        AddressFamily,
        link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage},
    },
    sys::AsyncSocket,
};
use std::{collections::BTreeMap, io};
use tokio::task::JoinHandle;

/// The beginning of an ifb's name; the slot's number follows.
const PREFIX: &str = "mnup";

/// Returns the name of a slot's ifb, `mnup1` to `mnup1000`.
pub fn ifb_name(slot: Slot) -> String {
    format!("{PREFIX}{slot}")
}

/// Returns the slot whose ifb has this name.
pub fn slot_of_ifb(name: &str) -> Option<Slot> {
    let slot = Slot::new(name.strip_prefix(PREFIX)?.parse().ok()?)?;
    // "mnup01" is not a name of ours.
    (ifb_name(slot) == name).then_some(slot)
}

/// A link with a name of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of the link.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is an ifb.
    pub ifb: bool,
    /// Whether it is up.
    pub up: bool,
}

/// The links of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotLinks {
    /// The interface `wg<n>`.
    pub interface: Option<Link>,
    /// The link with the ifb's name.
    pub ifb: Option<Link>,
}

/// A netlink connection; it is closed when dropped.
pub(crate) struct Links {
    handle: Handle,
    driver: JoinHandle<()>,
}

impl Drop for Links {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Links {
    /// Opens a connection, whose changes count as our own.
    pub(crate) fn open(own: &OwnPids) -> io::Result<Self> {
        let (mut connection, handle, _) = rtnetlink::new_connection()?;
        // Without an address of its own the connection would be given one at its first
        // request.
        let address = connection.socket_mut().socket_mut().bind_auto()?;
        own.add(address.port_number());
        Ok(Self {
            handle,
            driver: tokio::spawn(connection),
        })
    }

    /// Lists the links of every slot that has any.
    pub(crate) async fn list(&self) -> io::Result<BTreeMap<Slot, SlotLinks>> {
        let request = self.handle.link().get();
        let mut messages = Box::pin(
            request
                .set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats])
                .execute(),
        );
        let mut all: BTreeMap<Slot, SlotLinks> = BTreeMap::new();
        while let Some(message) = messages.try_next().await.map_err(io_error)? {
            let Some(link) = parse(message) else { continue };
            if let Some(slot) = Slot::of_interface(&link.name) {
                all.entry(slot).or_default().interface = Some(link);
            } else if let Some(slot) = slot_of_ifb(&link.name) {
                all.entry(slot).or_default().ifb = Some(link);
            }
        }
        Ok(all)
    }

    /// Returns the links of one slot.
    pub(crate) async fn of_slot(&self, slot: Slot) -> io::Result<SlotLinks> {
        Ok(SlotLinks {
            interface: self.by_name(&slot.interface()).await?,
            ifb: self.by_name(&ifb_name(slot)).await?,
        })
    }

    async fn by_name(&self, name: &str) -> io::Result<Option<Link>> {
        let request = self.handle.link().get().match_name(name);
        match Box::pin(request.execute()).try_next().await {
            Ok(message) => Ok(message.and_then(parse)),
            Err(e) => unless_missing(io_error(e)).map(|()| None),
        }
    }

    /// Creates an ifb that is up, so that it is never announced as down. It is no error if
    /// it exists.
    pub(crate) async fn add_ifb(&self, name: &str) -> io::Result<()> {
        let message = LinkIfb::new(name).up().build();
        match self.handle.link().add(message).execute().await {
            Err(e) => match io_error(e) {
                e if e.raw_os_error() == Some(Errno::EEXIST as i32) => Ok(()),
                e => Err(e),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Sets a link up.
    pub(crate) async fn raise(&self, name: &str) -> io::Result<()> {
        let message = LinkUnspec::new_with_name(name).up().build();
        let request = self.handle.link().set(message);
        request.execute().await.map_err(io_error)
    }

    /// Removes a link. It is no error if there is none.
    pub(crate) async fn remove(&self, name: &str) -> io::Result<()> {
        let Some(link) = self.by_name(name).await? else {
            return Ok(());
        };
        match self.handle.link().del(link.index).execute().await {
            Err(e) => unless_missing(io_error(e)),
            Ok(()) => Ok(()),
        }
    }
}

/// Parses a link; one without a name is `None`.
fn parse(message: LinkMessage) -> Option<Link> {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        ifb: false,
        up: message.header.flags.contains(LinkFlags::Up),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::LinkInfo(infos) => {
                link.ifb = infos.contains(&LinkInfo::Kind(InfoKind::Ifb));
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// Returns the error unless it says that there is no such link.
fn unless_missing(e: io::Error) -> io::Result<()> {
    let missing = [Errno::ENODEV as i32, Errno::ENXIO as i32];
    match e.raw_os_error() {
        Some(errno) if missing.contains(&errno) => Ok(()),
        _ => Err(e),
    }
}

/// Converts the error into an I/O error with the kernel's errno.
fn io_error(e: rtnetlink::Error) -> io::Error {
    match e {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_ifbs_of_slots() {
        for slot in [Slot::FIRST, Slot::LAST] {
            assert_eq!(slot_of_ifb(&ifb_name(slot)), Some(slot));
            assert!(ifb_name(slot).len() < 16);
        }
        for name in [
            "mnup", "mnup0", "mnup01", "mnup1001", "mnup+1", "ifb1", "wg1",
        ] {
            assert_eq!(slot_of_ifb(name), None, "{name}");
        }
    }
}
