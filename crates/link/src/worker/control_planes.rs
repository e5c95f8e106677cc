//! The control planes of the installation: those that the operator named, and those that
//! an answer listed. One is asked for the spec; all that are listed may call.

use super::{address::ControlPlane, random};
use protocol::wire::ControlPlaneList;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// How long a control plane that is no longer listed may still call: the one that listed
/// them may have lost sight of it for a moment.
const LEAVING_TIME: Duration = Duration::from_secs(60);

/// What is known at a moment.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What an answer listed last; empty before the first list.
    pub listed: Vec<ControlPlane>,
    /// Those that were listed before, and until when they may call.
    leaving: Vec<(ControlPlane, Instant)>,
    /// The one that is asked for the spec.
    asked: ControlPlane,
    /// Those that call now, by the address that was dialled.
    calling: BTreeSet<ControlPlane>,
}

/// The control planes, shared by the loops of the link.
#[derive(Debug)]
pub(super) struct ControlPlanes {
    /// Those that the operator named, at least one.
    named: Vec<ControlPlane>,
    known: watch::Sender<Known>,
}

impl ControlPlanes {
    /// Begins with the first that the operator named. `listed` are those that an answer
    /// listed before the last end of this process.
    pub fn new(first: ControlPlane, others: Vec<ControlPlane>, listed: Vec<ControlPlane>) -> Self {
        let known = watch::Sender::new(Known {
            listed,
            leaving: Vec::new(),
            asked: first.clone(),
            calling: BTreeSet::new(),
        });
        let named = std::iter::once(first).chain(others).collect();
        Self { named, known }
    }

    /// Returns what is known, with its later changes.
    pub fn subscribe(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Returns how many call now.
    pub fn calling(&self) -> usize {
        self.known.borrow().calling.len()
    }

    /// Returns the one that is asked for the spec.
    pub fn asked(&self) -> ControlPlane {
        self.known.borrow().asked.clone()
    }

    /// Notes which one is asked for the spec.
    pub fn set_asked(&self, to: &ControlPlane) {
        self.known.send_if_modified(|known| {
            let is_new = known.asked != *to;
            if is_new {
                known.asked = to.clone();
            }
            is_new
        });
    }

    /// Notes that the one at this address calls, until the returned value is dropped.
    pub fn note_call(self: &Arc<Self>, at: &ControlPlane) -> Calling {
        let is_new = |known: &mut Known| known.calling.insert(at.clone());
        self.known.send_if_modified(is_new);
        Calling {
            all: self.clone(),
            at: at.clone(),
        }
    }

    /// Takes a list. One without an address that can be used says nothing.
    pub fn learn(&self, list: &ControlPlaneList) {
        let addresses = list.addresses().iter();
        let listed: Vec<ControlPlane> = addresses.filter_map(|a| a.parse().ok()).collect();
        if listed.is_empty() {
            return;
        }
        self.known.send_if_modified(|known| {
            let is_new = known.listed != listed;
            if is_new {
                let before = std::mem::replace(&mut known.listed, listed);
                let until = Instant::now() + LEAVING_TIME;
                let gone = before.into_iter().map(|to| (to, until));
                known.leaving.extend(gone);
                let (listed, now) = (&known.listed, Instant::now());
                let leaves =
                    |(to, until): &(ControlPlane, Instant)| *until > now && !listed.contains(to);
                known.leaving.retain(leaves);
            }
            is_new
        });
    }

    /// Returns those that may call, and when the first of them may no more. Without a list
    /// it is the one that is asked.
    pub fn callers(&self) -> (Vec<ControlPlane>, Option<Instant>) {
        let now = Instant::now();
        let known = self.known.borrow();
        if known.listed.is_empty() {
            return (vec![known.asked.clone()], None);
        }
        let leaving = known.leaving.iter().filter(|(_, until)| *until > now);
        let due = leaving.clone().map(|(_, until)| *until).min();
        let leaving = leaving.map(|(to, _)| to.clone());
        (known.listed.iter().cloned().chain(leaving).collect(), due)
    }

    /// Returns where to dial one that does not answer at its own address: where a control
    /// plane is asked, unless that one calls already. It is the same one, or a balancer
    /// that may lead to it.
    pub fn detour(&self) -> Option<ControlPlane> {
        let asked = self.asked();
        let known = self.known.borrow();
        let is_free = !known.listed.contains(&asked) && !known.calling.contains(&asked);
        is_free.then_some(asked)
    }

    /// Returns one that calls now, other than this one; `None` if there is none.
    fn another_that_calls(&self, than: &ControlPlane) -> Option<ControlPlane> {
        let known = self.known.borrow();
        let others: Vec<_> = known.calling.iter().filter(|to| *to != than).collect();
        let chosen = random::number() % (others.len() as u64).max(1);
        let chosen = usize::try_from(chosen).unwrap_or(0);
        others.get(chosen).map(|to| (*to).clone())
    }

    /// Returns the one after this one, of those that were named and those that are listed.
    fn after(&self, one: &ControlPlane) -> ControlPlane {
        let known = self.known.borrow();
        let listed = known.listed.iter().filter(|to| !self.named.contains(to));
        let all: Vec<_> = self.named.iter().chain(listed).collect();
        let at = all.iter().position(|to| *to == one);
        let next = at.map_or(0, |at| (at + 1) % all.len().max(1));
        all.get(next)
            .map_or_else(|| one.clone(), |to| (*to).clone())
    }
}

/// A control plane that calls, until this is dropped.
#[derive(Debug)]
pub(super) struct Calling {
    all: Arc<ControlPlanes>,
    at: ControlPlane,
}

impl Drop for Calling {
    fn drop(&mut self) {
        let was_there = |known: &mut Known| known.calling.remove(&self.at);
        self.all.known.send_if_modified(was_there);
    }
}

/// The one that a loop uses, and the way to the next after a failure.
pub(super) struct Cursor {
    all: Arc<ControlPlanes>,
    current: ControlPlane,
    /// The last one that was tried in order.
    in_order: ControlPlane,
    /// Failures since the last success.
    failures: u32,
}

impl Cursor {
    /// Begins with the one that is asked for the spec.
    pub fn new(all: Arc<ControlPlanes>) -> Self {
        Self {
            current: all.asked(),
            in_order: all.asked(),
            all,
            failures: 0,
        }
    }

    /// Returns the one that is used.
    pub fn current(&self) -> &ControlPlane {
        &self.current
    }

    /// Uses this one from now on.
    pub fn go_to(&mut self, to: ControlPlane) {
        self.current = to;
    }

    /// Notes that the one that is used answers.
    pub fn note_success(&mut self) {
        self.failures = 0;
    }

    /// Goes to another one. It is one that calls, because that one is surely there; after
    /// every second failure in a row it is the next one in order, so that each is tried.
    pub fn next(&mut self) {
        self.failures = self.failures.wrapping_add(1);
        let calling = match self.failures % 2 {
            1 => self.all.another_that_calls(&self.current),
            _ => None,
        };
        self.current = calling.unwrap_or_else(|| {
            self.in_order = self.all.after(&self.in_order);
            self.in_order.clone()
        });
    }

    /// Returns whether another one calls, so that there is one to go to.
    pub fn has_other(&self) -> bool {
        self.all.another_that_calls(&self.current).is_some()
    }
}

#[cfg(test)]
mod tests;
