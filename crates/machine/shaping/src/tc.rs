//! The implementation of the port: reads and writes traffic control with `tc`, and the
//! ifbs over netlink.
//!
//! A reading of an unchanged machine starts no process: a socket in the kernel's
//! multicast groups shows whether anything changed since the last one. Otherwise it is
//! two processes, for whatever number of slots. A change is one process.

use crate::{
    error,
    events::{Journal, KnownLinks, changes},
    links::{Links, SlotLinks, ifb_name},
    listing::{self, Filter, Place, Qdisc},
    plan::{Change, Wanted, plan},
    rate::Rate,
    state::SlotState,
};
use async_trait::async_trait;
use domain::Slot;
use futures_util::stream::BoxStream;
use hostfs::{CommandError, OwnPids, run};
use protocol::SpeedLimits;
use provisioning::{
    observed::ObservedSpeed,
    ports::{PortResult, Shaping},
};
use std::{collections::BTreeMap, fmt::Write as _, sync::OnceLock};
use tokio::sync::Mutex;

/// How often a reading is tried while interfaces disappear during it.
const ATTEMPTS: usize = 3;

/// The traffic control of this host, or of the network namespace of this process.
#[derive(Debug, Default)]
pub struct Tc {
    own: OwnPids,
    known: KnownLinks,
    /// The last complete reading. Its lock also serialises readings and changes.
    last: Mutex<Option<Snapshot>>,
    /// Whether the kernel has fq_codel; unset until it was tried.
    leaf: OnceLock<bool>,
}

/// A complete reading, and what has changed since.
#[derive(Debug)]
struct Snapshot {
    journal: Journal,
    /// Every slot with a link, with the indices of its links and what was read of it.
    slots: BTreeMap<Slot, (SlotLinks, SlotState)>,
}

impl Tc {
    /// Creates the port's implementation. It does not change anything yet.
    pub fn new() -> Self {
        Self::default()
    }

    async fn tc(&self, args: &[&str], input: &str) -> Result<Vec<u8>, CommandError> {
        run("tc", args, input, &self.own).await
    }

    fn links(&self) -> PortResult<Links> {
        Links::open(&self.own).map_err(|e| error::explain_link("netlink", e))
    }

    /// Reads the queueing disciplines and filters of these slots. `None` if an interface
    /// disappeared meanwhile.
    async fn read(
        &self,
        links: BTreeMap<Slot, SlotLinks>,
    ) -> PortResult<Option<BTreeMap<Slot, (SlotLinks, SlotState)>>> {
        let json = match self.tc(&["-j", "qdisc", "show"], "").await {
            Ok(json) => json,
            Err(e) if error::is_contended(&e) => return Ok(None),
            Err(e) => return Err(error::explain(e)),
        };
        let qdiscs = listing::qdiscs(&json).map_err(error::unreadable)?;
        let of = |name: &str| qdiscs.get(name).map(Vec::as_slice).unwrap_or_default();
        // An interface without an ingress has no filters there.
        let filtered: Vec<Slot> = links
            .keys()
            .copied()
            .filter(|slot| of(&slot.interface()).iter().any(is_ingress))
            .collect();
        let Some(filters) = self.read_filters(&filtered).await? else {
            return Ok(None);
        };
        let state = |slot: Slot, links: &SlotLinks| {
            let filters = filters.get(&slot).map(Vec::as_slice).unwrap_or_default();
            SlotState::new(
                (links.interface.as_ref(), links.ifb.as_ref()),
                (of(&slot.interface()), of(&ifb_name(slot))),
                filters,
            )
        };
        let all = links.into_iter().map(|(slot, links)| {
            let state = state(slot, &links);
            (slot, (links, state))
        });
        Ok(Some(all.collect()))
    }

    async fn read_filters(
        &self,
        slots: &[Slot],
    ) -> PortResult<Option<BTreeMap<Slot, Vec<Filter>>>> {
        if slots.is_empty() {
            return Ok(Some(BTreeMap::new()));
        }
        let commands = slots.iter().fold(String::new(), |mut text, slot| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "filter show dev {} ingress", slot.interface());
            text
        });
        match self.tc(&["-j", "-batch", "-"], &commands).await {
            Ok(json) => {
                let lists = listing::filters(&json).map_err(error::unreadable)?;
                let complete = lists.len() == slots.len();
                Ok(complete.then(|| slots.iter().copied().zip(lists).collect()))
            }
            Err(e) if error::is_contended(&e) => Ok(None),
            Err(e) => Err(error::explain(e)),
        }
    }

    /// Reads all slots.
    async fn snapshot(&self) -> PortResult<Snapshot> {
        let mut journal = Journal::open();
        let mut attempt = 0;
        loop {
            attempt += 1;
            // What changes from here on makes the next reading a complete one.
            journal.clear();
            let links = self.links()?.list().await;
            let links = links.map_err(|e| error::explain_link("netlink", e))?;
            let ifbs = links.iter().filter(|(_, l)| l.ifb.is_some());
            self.known.replace(
                links.values().flat_map(indices).collect(),
                ifbs.map(|(slot, _)| *slot).collect(),
            );
            match self.read(links).await? {
                Some(slots) => return Ok(Snapshot { journal, slots }),
                None if attempt < ATTEMPTS => {}
                None => return Err(error::busy()),
            }
        }
    }

    /// Returns the state of one slot: what is known of it, if nothing has changed there,
    /// else what is read.
    async fn state(&self, slot: Slot, last: &mut Option<Snapshot>) -> PortResult<SlotState> {
        let links = self.links()?.of_slot(slot).await;
        let links = links.map_err(|e| error::explain_link(&slot.interface(), e))?;
        self.known.add(indices(&links));
        if let Some(snapshot) = last {
            let changed = snapshot.journal.changed();
            if !changed.lost && indices(&links).all(|index| !changed.links.contains(&index)) {
                let same = |(then, _): &&(SlotLinks, SlotState)| indices(then).eq(indices(&links));
                let known = match snapshot.slots.get(&slot) {
                    Some(then) => Some(then).filter(same).map(|(_, state)| *state),
                    // Its links are new, and nothing was done to them.
                    None => Some(SlotState::default()),
                };
                if let Some(state) = known {
                    return Ok(state.with_links(links.interface.as_ref(), links.ifb.as_ref()));
                }
            }
        }
        let read = self.read([(slot, links)].into()).await?;
        let state = read.and_then(|mut all| all.remove(&slot));
        state.map(|(_, state)| state).ok_or_else(error::busy)
    }

    /// Executes a change up to the first error.
    async fn execute(&self, slot: Slot, change: &Change) -> PortResult<()> {
        let ifb = ifb_name(slot);
        let failed = |e| error::explain_link(&ifb, e);
        if change.add_ifb {
            self.known.set_ifb(slot, true);
            self.links()?.add_ifb(&ifb).await.map_err(failed)?;
        }
        if change.raise_ifb {
            self.links()?.raise(&ifb).await.map_err(failed)?;
        }
        if !change.commands.is_empty() {
            let done = self.tc(&["-batch", "-"], &change.commands).await;
            done.map_err(error::explain)?;
        }
        if !change.leaves.is_empty() {
            let has = match self.tc(&["-batch", "-"], &change.leaves).await {
                Ok(_) => true,
                // The token bucket's own queue serves.
                Err(e) if error::is_unknown_kind(&e) => false,
                Err(e) => return Err(error::explain(e)),
            };
            // A value that is set already is the same: a kernel does not lose it.
            let _ = self.leaf.set(has);
        }
        if change.remove_ifb {
            self.known.set_ifb(slot, false);
            self.links()?.remove(&ifb).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Returns whether fq_codel is to be tried.
    fn tries_leaf(&self) -> bool {
        self.leaf.get() != Some(&false)
    }

    /// Returns whether fq_codel is to be there.
    fn has_leaf(&self) -> bool {
        self.leaf.get() == Some(&true)
    }

    /// Sets a slot back to the limits it had, or to none if those were damaged.
    async fn restore(&self, slot: Slot, before: &SlotState) -> PortResult<()> {
        let observed = before.observed(self.has_leaf()).filter(|o| o.intact);
        let limits = observed.map(|o| o.limits).unwrap_or_default();
        let now = self.state(slot, &mut None).await?;
        let change = plan(slot, &now, wanted(&limits)?, self.tries_leaf());
        self.execute(slot, &change).await
    }
}

#[async_trait]
impl Shaping for Tc {
    async fn observe(&self) -> PortResult<BTreeMap<Slot, ObservedSpeed>> {
        let mut last = self.last.lock().await;
        let unchanged = last
            .take()
            .and_then(|mut s| s.journal.changed().is_nothing().then_some(s));
        let snapshot = match unchanged {
            Some(snapshot) => snapshot,
            None => self.snapshot().await?,
        };
        let leaf = self.has_leaf();
        let observed = snapshot.slots.iter();
        let observed =
            observed.filter_map(|(slot, (_, state))| Some((*slot, state.observed(leaf)?)));
        let observed = observed.collect();
        *last = Some(snapshot);
        Ok(observed)
    }

    async fn apply(&self, slot: Slot, speed: &SpeedLimits) -> PortResult<()> {
        let wanted = wanted(speed)?;
        let mut last = self.last.lock().await;
        let before = self.state(slot, &mut last).await?;
        if !speed.is_unlimited() && !before.interface {
            return Err(error::gone(slot.interface()));
        }
        if wanted.up.is_some() && before.name_foreign {
            return Err(error::foreign(ifb_name(slot)));
        }
        let change = plan(slot, &before, wanted, self.tries_leaf());
        let done = self.execute(slot, &change).await;
        if done.is_err()
            && let Err(error) = self.restore(slot, &before).await
        {
            tracing::warn!(%slot, %error, "a failed change of speed limits was not undone");
        }
        done
    }

    fn events(&self) -> BoxStream<'static, ()> {
        changes(self.own.clone(), self.known.clone())
    }
}

/// Converts limits into rates that can be set.
fn wanted(speed: &SpeedLimits) -> PortResult<Wanted> {
    Ok(Wanted {
        down: speed.down_bps.map(Rate::from_bps).transpose()?,
        up: speed.up_bps.map(Rate::from_bps).transpose()?,
    })
}

fn is_ingress(qdisc: &Qdisc) -> bool {
    qdisc.place == Place::Ingress
}

/// Returns the indices of a slot's links.
fn indices(links: &SlotLinks) -> impl Iterator<Item = u32> {
    let both = links.interface.iter().chain(&links.ifb);
    both.map(|link| link.index)
}
