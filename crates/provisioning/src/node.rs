//! The node: keeps a machine at its spec.
//!
//! One task owns all state and never waits for the machine. Reading the spec,
//! observing a port and carrying out a lane's steps are tasks of their own
//! whose answers come back as messages; after every answer the plan is made
//! anew from what is known by then, for whoever the answer was about. So a slow
//! container engine delays no tunnel, a failing tenant delays nobody, and there
//! is no state in flight that a crash could lose.

mod answers;
mod asking;
mod board;
mod doubt;
mod guard;
mod handle;
pub(crate) mod lanes;
mod predict;
mod source;
mod sources;

pub use handle::{NodeHandle, NodeState, TenantState};

use crate::{
    drift::{self, Before},
    observed::{
        Known, ObservedContainers, ObservedDns, ObservedFirewall, ObservedFolder, ObservedInterface,
    },
    pending::Pending,
    plan::{Lane, Planner, Step, is_ours, plan},
    ports::{
        Containers, DnsFilter, Firewall, Folders, PortError, PortResult, SpecSource, WireGuard,
    },
    spec::{NodeSettings, NodeSpec},
};
use board::{Board, Picture};
use domain::{ErrorCode, Slot};
use handle::Shared;
use lanes::Lanes;
use sources::Sources;
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc::{self, UnboundedSender},
    time::Instant,
};

/// How often everything is read again, whatever events said: the bound on
/// how long a lost event can stay unnoticed.
pub const TICK: Duration = Duration::from_secs(7);

/// AdGuard Homes whose clients are read at each tick, on average: a request to
/// every container is dear, and nobody but us and the tenant changes them. Up
/// to this many, all of them are.
const DNS_A_TICK: usize = 100;

/// The machine, as the node needs it.
#[derive(Clone)]
pub struct NodePorts {
    /// WireGuard interfaces.
    pub wireguard: Arc<dyn WireGuard>,
    /// The firewall.
    pub firewall: Arc<dyn Firewall>,
    /// DNS containers.
    pub containers: Arc<dyn Containers>,
    /// AdGuard Home.
    pub dns: Arc<dyn DnsFilter>,
    /// Tenants' folders.
    pub folders: Arc<dyn Folders>,
    /// Where the spec comes from.
    pub specs: Arc<dyn SpecSource>,
}

/// What comes back from the tasks the node started.
pub(crate) enum Message {
    Spec(PortResult<NodeSpec>),
    Wireguard(u64, PortResult<BTreeMap<Slot, ObservedInterface>>),
    Firewall(u64, PortResult<ObservedFirewall>),
    Containers(u64, PortResult<ObservedContainers>),
    Folders(u64, PortResult<BTreeMap<String, ObservedFolder>>),
    Dns(Slot, u64, PortResult<ObservedDns>),
    Event(Port),
    /// With the spec that the steps were carried out with.
    Done(Lane, Vec<Step>, Arc<NodeSpec>, PortResult<()>),
}

/// A port that can be read, for marking what may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Wireguard,
    Firewall,
    Containers,
    Folders,
}

/// Keeps one machine at its spec. Made with [`Node::new`], driven by [`Node::run`].
pub struct Node {
    ports: NodePorts,
    settings: Arc<NodeSettings>,
    shared: Arc<Shared>,
    inbox: mpsc::UnboundedReceiver<Message>,
    outbox: mpsc::UnboundedSender<Message>,
    spec: Option<Arc<NodeSpec>>,
    spec_loading: bool,
    spec_wanted: bool,
    spec_error: Option<PortError>,
    sources: Sources,
    lanes: Lanes,
    planner: Planner,
    board: Board,
    foreign: BTreeSet<Slot>,
    checked: bool,
}

impl Node {
    /// A node over these ports, and the handle the rest of the program holds.
    pub fn new(ports: NodePorts, settings: NodeSettings) -> (Self, NodeHandle) {
        let settings = Arc::new(settings);
        // Unbounded on purpose: at most one message per started task and port
        // is under way, so the number of lanes bounds it.
        let (outbox, inbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(ports.clone(), settings.clone()));
        let node = Self {
            ports,
            settings,
            shared: shared.clone(),
            inbox,
            outbox,
            spec: None,
            spec_loading: false,
            spec_wanted: true,
            spec_error: None,
            sources: Sources::default(),
            lanes: Lanes::default(),
            planner: Planner::default(),
            board: Board::default(),
            foreign: BTreeSet::new(),
            checked: false,
        };
        (node, NodeHandle::new(shared))
    }

    /// Compares every plan with one that is made from nothing, and what is told
    /// of everybody with what is so. It panics where they differ: for
    /// simulations.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.checked = true;
        self
    }

    /// Runs until `shutdown` completes. What is in force stays in force.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut tasks = sources::listen(&self.ports, &self.outbox);
        let mut ticks = tokio::time::interval(TICK);
        let mut count = 0_usize;
        tokio::pin!(shutdown);
        loop {
            let retry = self
                .lanes
                .next_retry()
                .into_iter()
                .chain(self.sources.next_retry())
                .min();
            // In a fixed order, so that a simulation replays. What comes seldom
            // stands first; what may come in a flood starves nothing behind it:
            // messages are taken in below and retries are made by `work`,
            // whichever branch was taken.
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = ticks.tick() => {
                    self.spec_wanted = true;
                    let tenants = self.spec.as_ref().map_or(0, |s| s.tenants.len());
                    let every = 1 + tenants.saturating_sub(1) / DNS_A_TICK;
                    self.sources.mark_all(count.is_multiple_of(every));
                    self.board.mark_waiting();
                    self.spec.iter().for_each(|spec| self.shared.retain(spec));
                    count = count.wrapping_add(1);
                }
                () = self.shared.nudge.notified() => self.spec_wanted = true,
                () = sleep_until(retry) => {}
                Some(message) = self.inbox.recv() => self.take(message),
            }
            // Whatever else has arrived is taken in before planning once. What
            // arrives meanwhile has its turn after that: a flood ends here too.
            for _ in 0..self.inbox.len() {
                let Ok(message) = self.inbox.try_recv() else {
                    break;
                };
                self.take(message);
            }
            self.work();
        }
        tasks.abort_all();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Spec(result) => {
                self.spec_loading = false;
                let known = self.spec.as_ref().map_or(0, |s| s.generation);
                match result {
                    // Loads do not overtake each other: the database itself went
                    // back. Following it would remove whoever came since.
                    Ok(spec) if spec.generation < known => {
                        tracing::warn!(
                            known,
                            found = spec.generation,
                            "the spec is older than the one in force, which stays"
                        );
                        self.spec_error = Some(PortError::new(
                            ErrorCode::DatabaseUnavailable,
                            format!(
                                "The database has gone back in time (change {} after {known}); nothing is changed. If it was restored on purpose, restart MalikNode.",
                                spec.generation
                            ),
                        ));
                    }
                    Ok(spec) => {
                        self.spec_error = None;
                        self.spec = Some(Arc::new(spec));
                        self.shared.set_spec(self.spec.clone());
                        self.spec.iter().for_each(|spec| self.shared.retain(spec));
                        self.sources.spec_changed();
                    }
                    Err(e) => {
                        tracing::warn!(error = ?e, "the spec could not be loaded; the last one stays in force");
                        self.spec_error = Some(e);
                    }
                }
            }
            Message::Event(port) => self.sources.mark(port),
            Message::Done(lane, steps, spec, result) => self.done(lane, steps, &spec, result),
            observation => {
                if let Some(before) = self.sources.take(observation) {
                    self.compare(&before);
                }
            }
        }
    }

    /// Notes what another hand has done since a port was read last, and has
    /// AdGuard Homes asked that changed their configuration.
    fn compare(&mut self, before: &Before) {
        let Some(spec) = &self.spec else {
            return;
        };
        let now = self.sources.observed();
        let at_work = |lane: &Lane| self.lanes.is_running(lane);
        for found in drift::drifts(spec, &self.settings, before, now, at_work) {
            tracing::info!(what = found.what.code(), "found: {found}");
            self.shared.tell_of_drift(found);
        }
        for slot in drift::changed_dns(spec, before, now) {
            self.sources.mark_dns(slot);
        }
    }

    fn done(&mut self, lane: Lane, steps: Vec<Step>, spec: &NodeSpec, result: PortResult<()>) {
        match &result {
            Ok(()) => {
                tracing::debug!(?lane, steps = steps.len(), "done");
                for step in &steps {
                    predict::predict(step, spec, &self.settings, &mut self.sources);
                }
            }
            Err(e) => {
                tracing::warn!(?lane, code = %e.code, error = %e, cause = ?e.cause, "a step failed; it is tried again");
                self.sources.mark_lane(&lane, &steps);
            }
        }
        self.board.mark_lane(&lane, &steps);
        self.lanes.finish(lane, steps, result);
    }

    /// Starts whatever can be started now, and publishes what is known.
    fn work(&mut self) {
        if self.spec_wanted && !self.spec_loading {
            self.spec_wanted = false;
            self.spec_loading = true;
            let (specs, outbox) = (self.ports.specs.clone(), self.outbox.clone());
            tokio::spawn(async move {
                let loaded = guard::guarded(guard::LOAD, specs.load()).await;
                let _ = outbox.send(Message::Spec(loaded));
            });
        }
        let Some(spec) = self.spec.clone() else {
            return;
        };
        self.sources
            .read(&self.ports, &self.settings, &spec, &self.outbox);
        let mut pending = self.lanes.pending();
        self.sources.add_doubts(&mut pending);
        let touched = self.sources.take_touched();
        let observed = self.sources.observed();
        let planned = self
            .planner
            .renew(&spec, observed, &pending, &self.settings, touched);
        if self.checked {
            let whole = plan(&spec, observed, &pending, &self.settings);
            assert_eq!(self.planner.plan(), &whole, "planned, and to be planned");
        }
        let newest = self.shared.newest_spec();
        let lanes = self.lanes.start(
            self.planner.plan(),
            &spec,
            &newest,
            &self.ports,
            &self.settings,
            &self.outbox,
        );
        for lane in &lanes {
            let steps = self.planner.plan().get(lane);
            self.board.mark_lane(lane, steps.map_or(&[], Vec::as_slice));
        }
        if !planned.is_empty() {
            let interfaces = self.sources.observed().wireguard.known();
            let foreign = interfaces.into_iter().flatten();
            let foreign = foreign.filter(|(_, i)| !is_ours(i));
            self.foreign = foreign.map(|(slot, _)| *slot).collect();
        }
        self.board.mark(planned);
        self.publish(&spec, &pending);
    }

    fn publish(&mut self, spec: &Arc<NodeSpec>, pending: &Pending) {
        let picture = Picture {
            spec,
            sources: &self.sources,
            settings: &self.settings,
            planner: &self.planner,
            lanes: &self.lanes,
        };
        self.board.tell(&picture, &self.shared);
        if self.checked {
            self.board.check(&picture);
        }
        let observed = self.sources.observed();
        // Of a tenant who is gone, or of an earlier one in somebody's slot: even
        // of the same name, whose keys and peers are still to be replaced.
        let leaving = observed.wireguard.known().map(|w| {
            let tunnels = self.planner.plan().keys().filter_map(|lane| match lane {
                Lane::Tunnel(slot) => Some(*slot),
                _ => None,
            });
            tunnels
                .filter(|slot| w.get(slot).is_some_and(is_ours))
                .chain(pending.tunnels.iter().copied())
                .collect()
        });
        let mut problems: Vec<_> = self.spec_error.iter().map(PortError::problem).collect();
        let mut unknown = |e: Option<&PortError>| problems.extend(e.map(PortError::problem));
        unknown(observed.firewall.error());
        unknown(observed.wireguard.error());
        unknown(observed.containers.error());
        unknown(observed.folders.error());
        problems.extend(self.lanes.problems(spec));
        // "Not read yet" is no problem a person could do something about.
        problems.retain(|p| p.code != ErrorCode::Busy);
        self.shared.set_node(NodeState {
            generation: spec.generation,
            problems,
            foreign_slots: self.foreign.clone(),
            leaving,
        });
    }
}

/// A placeholder for what has not been read yet.
pub(crate) fn unread<T>() -> Known<T> {
    Known::Unknown(Arc::new(PortError::new(
        ErrorCode::Busy,
        "It is being looked at.",
    )))
}

/// Sends what the work comes to.
pub(crate) fn answer(
    out: &UnboundedSender<Message>,
    work: impl Future<Output = Message> + Send + 'static,
) {
    let out = out.clone();
    tokio::spawn(async move {
        let _ = out.send(work.await);
    });
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
