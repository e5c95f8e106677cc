//! What a worker reported last: what pages and placement read. It stays readable while
//! the worker is away; then it says for how long nothing has been heard.

use domain::{ErrorCode, Message, Part, Problem, Slot, TenantName, TenantStatus};
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{
    MachineState, NodeState, TenantState,
    wire::{NodeUpdate, Raised, SILENCE},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// The longest version of a worker's program that is stored, in bytes.
const MAX_VERSION_BYTES: usize = 64;

/// The state of a tenant. A control plane has those of hundreds of nodes, and nearly all are
/// ready, so that is kept short.
enum ShortState {
    Ready {
        name: Box<str>,
        applied: u64,
        /// What the firewall, the tunnel and the DNS filter took.
        took_ms: [u32; 3],
    },
    Other(Box<TenantState>),
}

impl From<TenantState> for ShortState {
    fn from(state: TenantState) -> Self {
        let TenantStatus {
            firewall: Part::Ready { took_ms: firewall },
            tunnel: Part::Ready { took_ms: tunnel },
            dns: Part::Ready { took_ms: dns },
        } = state.status
        else {
            return Self::Other(Box::new(state));
        };
        Self::Ready {
            name: state.name.as_str().into(),
            applied: state.applied,
            took_ms: [firewall, tunnel, dns],
        }
    }
}

impl ShortState {
    /// Raises the generation of one that was at the former. Returns whether it was.
    fn raise(&mut self, raised: Raised) -> bool {
        let applied = match self {
            Self::Ready { applied, .. } => applied,
            Self::Other(state) => &mut state.applied,
        };
        let is_raised = *applied == raised.from;
        if is_raised {
            *applied = raised.to;
        }
        is_raised
    }

    /// Returns the state; `None` never for one that was kept.
    fn state(&self) -> Option<TenantState> {
        match self {
            Self::Ready {
                name,
                applied,
                took_ms: [firewall, tunnel, dns],
            } => {
                let part = |took_ms: &u32| Part::Ready { took_ms: *took_ms };
                Some(TenantState {
                    name: TenantName::parse(name).ok()?,
                    applied: *applied,
                    status: TenantStatus {
                        firewall: part(firewall),
                        tunnel: part(tunnel),
                        dns: part(dns),
                    },
                })
            }
            Self::Other(state) => Some((**state).clone()),
        }
    }
}

#[derive(Default)]
struct Reported {
    tenants: BTreeMap<Slot, ShortState>,
    node: Option<NodeState>,
    machine: Option<MachineState>,
    holders: Option<BTreeMap<Slot, TenantName>>,
    version: String,
    /// When the last update came; `None` before the first.
    heard: Option<Instant>,
}

/// The last reported state of a worker.
#[derive(Default)]
pub(super) struct ReportedState {
    reported: Mutex<Reported>,
    /// Slots that are or were watched.
    slots: Mutex<BTreeMap<Slot, watch::Sender<()>>>,
    node: watch::Sender<()>,
}

impl ReportedState {
    fn lock(&self) -> MutexGuard<'_, Reported> {
        // Every change is complete before anything can panic.
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<Slot, watch::Sender<()>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an update, except for its events, and wakes those who wait for what it
    /// changes.
    pub fn apply(&self, update: NodeUpdate) {
        let mut changed = Vec::new();
        let mut reported = self.lock();
        let now = Instant::now();
        let heard = reported.heard.replace(now);
        let mut is_node_changed = heard.is_none_or(|at| now.duration_since(at) >= SILENCE);
        if update.whole {
            let named = |slot: &Slot| update.tenants.contains_key(slot);
            let gone = |slot: &Slot, _: &mut ShortState| !named(slot);
            changed.extend(reported.tenants.extract_if(.., gone).map(|(slot, _)| slot));
            is_node_changed |= replace(&mut reported.node, None, update.node.is_none());
            is_node_changed |= replace(&mut reported.machine, None, update.machine.is_none());
            is_node_changed |= replace(&mut reported.holders, None, update.holders.is_none());
        }
        if let Some(raised) = update.raised {
            for (slot, state) in &mut reported.tenants {
                if !update.tenants.contains_key(slot) && state.raise(raised) {
                    changed.push(*slot);
                }
            }
        }
        for (slot, state) in update.tenants {
            let before = reported.tenants.get(&slot).and_then(ShortState::state);
            if before != state {
                changed.push(slot);
                match state {
                    Some(state) => drop(reported.tenants.insert(slot, state.into())),
                    None => drop(reported.tenants.remove(&slot)),
                }
            }
        }
        let has = (
            update.node.is_some(),
            update.machine.is_some(),
            update.holders.is_some(),
        );
        is_node_changed |= replace(&mut reported.node, update.node, has.0);
        is_node_changed |= replace(&mut reported.machine, update.machine, has.1);
        is_node_changed |= replace(&mut reported.holders, update.holders, has.2);
        if let Some(mut version) = update.version {
            version.truncate(version.floor_char_boundary(MAX_VERSION_BYTES));
            reported.version = version;
        }
        drop(reported);
        let slots = self.slots();
        for slot in changed {
            if let Some(watch) = slots.get(&slot) {
                watch.send_replace(());
            }
        }
        drop(slots);
        if is_node_changed {
            self.node.send_replace(());
        }
    }

    /// Wakes those who wait for the node's state: it has become silent.
    pub fn report_silence(&self) {
        if self.silent_seconds().is_some() {
            self.node.send_replace(());
        }
    }

    /// Returns whether anything has been heard.
    pub fn is_known(&self) -> bool {
        self.lock().heard.is_some()
    }

    /// Returns the time until the worker counts as silent, if nothing is heard.
    pub fn until_silence(&self) -> Duration {
        let heard = self.lock().heard;
        SILENCE.saturating_sub(heard.map_or(Duration::ZERO, |at| at.elapsed()))
    }

    /// Returns for how long nothing has been heard, in seconds, if it is long.
    fn silent_seconds(&self) -> Option<u64> {
        let silence = self.lock().heard?.elapsed();
        (silence >= SILENCE).then_some(silence.as_secs())
    }

    /// Returns the version of the worker's program.
    pub fn version(&self) -> String {
        self.lock().version.clone()
    }

    pub fn tenant(&self, slot: Slot) -> Option<TenantState> {
        self.lock().tenants.get(&slot).and_then(ShortState::state)
    }

    /// Returns the node's state. After a silence its first problem says so.
    pub fn node(&self) -> Option<NodeState> {
        let mut state = self.lock().node.clone();
        if let (Some(state), Some(seconds)) = (&mut state, self.silent_seconds()) {
            let silent = Problem {
                code: ErrorCode::NodeUnreachable,
                message: Message::WorkerSilent { seconds },
            };
            state.problems.insert(0, silent);
        }
        state
    }

    pub fn machine(&self) -> Option<MachineState> {
        self.lock().machine.clone()
    }

    pub fn holders(&self) -> Option<BTreeMap<Slot, TenantName>> {
        self.lock().holders.clone()
    }

    /// Yields when [`tenant`](Self::tenant) may answer differently from now on.
    pub fn tenant_changes(&self, slot: Slot) -> BoxStream<'static, ()> {
        changes(self.slots().entry(slot).or_default().subscribe())
    }

    /// Yields when the state of the node or of its machine may be another from now on.
    pub fn node_changes(&self) -> BoxStream<'static, ()> {
        changes(self.node.subscribe())
    }
}

/// Replaces a value if there is something to replace it with. Returns whether it is
/// another one now.
fn replace<T: PartialEq>(old: &mut Option<T>, new: Option<T>, is_reported: bool) -> bool {
    let changes = is_reported && *old != new;
    if changes {
        *old = new;
    }
    changes
}

/// Yields at every later change of the value.
fn changes(watch: watch::Receiver<()>) -> BoxStream<'static, ()> {
    stream::unfold(watch, async |mut watch| {
        watch.changed().await.ok().map(|()| ((), watch))
    })
    .boxed()
}

#[cfg(test)]
mod tests;
