//! What the kernel announces of links and of traffic control: the multicast groups
//! RTNLGRP_LINK and RTNLGRP_TC (`linux/rtnetlink.h`).

use crate::links::slot_of_ifb;
use domain::Slot;
use futures_util::stream::BoxStream;
use hostfs::{
    OwnPids,
    netlink::{self, Message, Messages, NETLINK_ROUTE, Socket, attribute},
};
use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// RTNLGRP_LINK is group 1, RTNLGRP_TC group 4; an address has a bit for each.
const GROUPS: u32 = 1 | 1 << (4 - 1);
const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
/// RTM_NEWQDISC to RTM_GETTFILTER: queueing disciplines, classes and filters. Chains,
/// which the kernel makes and removes with filters, are left out.
const TRAFFIC_CONTROL: std::ops::RangeInclusive<u16> = 36..=46;
/// The length of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
const IFLA_IFNAME: u16 = 3;

/// `IFF_UP` of `struct ifinfomsg`'s flags (netdevice(7)).
const UP: u32 = 1;

/// What a message announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announced {
    /// Something of traffic control on the link with this index changed.
    Control(u32),
    /// The interface with this index was removed, or the ifb of the slot.
    Removed(u32, Option<Slot>),
    /// The ifb of the slot is down.
    Down(Slot),
    /// A slot's interface or ifb was created or changed.
    Changed,
}

fn announced(message: &Message<'_>) -> Option<Announced> {
    let (kind, body) = (message.message_type(), message.payload());
    // `struct ifinfomsg` and `struct tcmsg` both have the index at byte 4.
    let index = u32::from_ne_bytes(body.get(4..8)?.try_into().ok()?);
    if TRAFFIC_CONTROL.contains(&kind) {
        return Some(Announced::Control(index));
    }
    let name = attribute(body.get(LINK_HEADER..)?, IFLA_IFNAME)?;
    let name = std::str::from_utf8(name.strip_suffix(&[0])?).ok()?;
    let ifb = slot_of_ifb(name);
    let flags = u32::from_ne_bytes(body.get(8..12)?.try_into().ok()?);
    match (kind, ifb) {
        (_, None) if Slot::of_interface(name).is_none() => None,
        (DELLINK, _) => Some(Announced::Removed(index, ifb)),
        (NEWLINK, Some(slot)) if flags & UP == 0 => Some(Announced::Down(slot)),
        (NEWLINK, _) => Some(Announced::Changed),
        _ => None,
    }
}

/// The journal's room for announcements in the kernel, in bytes: some thousand. An
/// overrun costs a complete reading.
const ROOM: i32 = 1 << 22;

/// What is known of slots' links, to tell what an announcement concerns.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownLinks(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The indices of interfaces and ifbs.
    indices: BTreeSet<u32>,
    /// Slots that have an ifb. The kernel names no port when an ifb goes down with its
    /// removal, so an ifb that we remove is taken out before.
    ifbs: BTreeSet<Slot>,
}

impl KnownLinks {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces all by what was read.
    pub(crate) fn replace(&self, indices: BTreeSet<u32>, ifbs: BTreeSet<Slot>) {
        *self.lock() = Known { indices, ifbs };
    }

    /// Adds links by their indices.
    pub(crate) fn add(&self, indices: impl IntoIterator<Item = u32>) {
        self.lock().indices.extend(indices);
    }

    /// Sets whether a slot is to have an ifb.
    pub(crate) fn set_ifb(&self, slot: Slot, has: bool) {
        let ifbs = &mut self.lock().ifbs;
        if has {
            ifbs.insert(slot);
        } else {
            ifbs.remove(&slot);
        }
    }
}

/// Returns whether a datagram announces an external change that may concern limits. A
/// slot's interface that is created has no limits yet and is no such change.
fn is_relevant(datagram: &[u8], own: &OwnPids, known: &KnownLinks) -> bool {
    Messages(datagram).map_while(Result::ok).any(|message| {
        !own.contains(message.port_number())
            && match announced(&message) {
                Some(Announced::Control(index)) => known.lock().indices.contains(&index),
                Some(Announced::Removed(_, None)) => true,
                Some(Announced::Removed(_, Some(slot)) | Announced::Down(slot)) => {
                    known.lock().ifbs.contains(&slot)
                }
                Some(Announced::Changed) | None => false,
            }
    })
}

/// Returns a stream with an event, debounced, for external changes. It must be called
/// within a tokio runtime.
pub(crate) fn changes(own: OwnPids, known: KnownLinks) -> BoxStream<'static, ()> {
    netlink::changes(NETLINK_ROUTE, GROUPS, "traffic control", move |datagram| {
        is_relevant(datagram, &own, &known)
    })
}

/// What has changed since the last complete reading, by whomever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Whether anything may have: messages were lost, or are not received.
    pub lost: bool,
    /// Links whose traffic control changed, and links that were removed.
    pub links: BTreeSet<u32>,
    /// Whether a slot's link was added or changed.
    pub added: bool,
}

impl Changed {
    /// Returns whether nothing has changed.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A socket in the groups that is read whenever it matters whether anything changed, so
/// that what has not changed is not read again.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: Option<Socket>,
    changed: Changed,
}

impl Journal {
    /// Opens the socket in the calling thread's network namespace.
    pub(crate) fn open() -> Self {
        Self {
            socket: netlink::subscribe(NETLINK_ROUTE, GROUPS, ROOM).ok(),
            changed: Changed::default(),
        }
    }

    /// Returns what has changed since the journal was opened or cleared.
    pub(crate) fn changed(&mut self) -> &Changed {
        let Some(socket) = &self.socket else {
            self.changed.lost = true;
            return &self.changed;
        };
        let mut datagram = Vec::with_capacity(1 << 16);
        loop {
            datagram.clear();
            match socket.recv(&mut datagram, 0) {
                Ok(_) => self.changed.add(&datagram),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return &self.changed,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.changed.lost = true;
                    if !netlink::is_overrun(&e) {
                        return &self.changed;
                    }
                }
            }
        }
    }

    /// Forgets what has changed up to now, before a complete reading.
    pub(crate) fn clear(&mut self) {
        self.changed();
        self.changed = Changed::default();
    }
}

impl Changed {
    fn add(&mut self, datagram: &[u8]) {
        for message in Messages(datagram).map_while(Result::ok) {
            match announced(&message) {
                Some(Announced::Control(index) | Announced::Removed(index, _)) => {
                    self.links.insert(index);
                }
                Some(Announced::Down(_) | Announced::Changed) => self.added = true,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, port: u32, index: u32, name: &str) -> Vec<u8> {
        let mut body = vec![0; LINK_HEADER];
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        if !name.is_empty() {
            body.extend((u16::try_from(name.len()).unwrap() + 5).to_ne_bytes());
            body.extend(IFLA_IFNAME.to_ne_bytes());
            body.extend(name.as_bytes());
            body.push(0);
        }
        let mut m = Vec::new();
        m.extend(u32::try_from(16 + body.len()).unwrap().to_ne_bytes());
        m.extend(kind.to_ne_bytes());
        m.extend([0; 6]);
        m.extend(port.to_ne_bytes());
        m.extend(body);
        m.resize(m.len().next_multiple_of(4), 0);
        m
    }

    #[test]
    fn external_changes_of_known_links_are_relevant() {
        let (own, known) = (OwnPids::default(), KnownLinks::default());
        own.add(42);
        known.replace([7].into(), [Slot::FIRST].into());
        let relevant = |m: &[u8]| is_relevant(m, &own, &known);
        // RTM_NEWQDISC and RTM_DELTFILTER.
        assert!(relevant(&message(36, 9, 7, "")));
        assert!(relevant(&message(45, 9, 7, "")));
        assert!(!relevant(&message(36, 42, 7, "")));
        assert!(!relevant(&message(36, 9, 8, "")));
        assert!(relevant(&message(DELLINK, 0, 99, "wg3")));
        assert!(relevant(&message(DELLINK, 0, 99, "mnup1")));
        assert!(!relevant(&message(DELLINK, 0, 99, "mnup3")));
        assert!(relevant(&message(NEWLINK, 0, 99, "mnup1")));
        let mut up = message(NEWLINK, 0, 99, "mnup1");
        up[16 + 8] = 1;
        assert!(!relevant(&up));
        known.set_ifb(Slot::FIRST, false);
        assert!(!relevant(&message(NEWLINK, 0, 99, "mnup1")));
        assert!(!relevant(&message(NEWLINK, 0, 99, "wg3")));
        assert!(!relevant(&message(DELLINK, 0, 99, "veth3")));
        let both = [message(NEWLINK, 0, 9, "wg3"), message(37, 0, 7, "")].concat();
        assert!(relevant(&both));
        let datagram = message(DELLINK, 0, 99, "wg3");
        for end in 0..datagram.len() - 3 {
            assert!(!relevant(&datagram[..end]));
        }
    }

    #[test]
    fn the_journal_tells_links_apart() {
        let mut changed = Changed::default();
        changed.add(&message(NEWLINK, 0, 4, "eth0"));
        assert!(changed.is_nothing());
        changed.add(&message(37, 0, 7, ""));
        changed.add(&message(DELLINK, 0, 8, "wg2"));
        assert_eq!(changed.links, [7, 8].into());
        assert!(!changed.added);
        changed.add(&message(NEWLINK, 0, 9, "wg2"));
        assert!(changed.added && !changed.lost);
    }
}
