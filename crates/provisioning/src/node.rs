//! The node: makes a machine match its spec, and keeps it so.
//!
//! One task owns all state and never waits for the machine. Loading the spec,
//! observing a port and executing a lane's steps are tasks of their own whose
//! results arrive as messages. After each message the plan is updated, for the
//! tenants that the message is about, from everything known by then. So a slow
//! container engine delays no tunnel, a failing tenant delays no other, and a crash
//! loses no state.

mod deadline;
mod dns_guard;
mod dns_poller;
mod executor;
mod handle;
mod in_doubt;
mod lane_meter;
mod message;
mod node_ports;
mod node_state;
mod observe;
mod observer;
mod port_poll;
mod predict;
mod refusals;
mod stale_connections;
mod status;
mod status_publisher;

pub use handle::NodeHandle;
pub use lane_meter::LaneFigures;
pub use node_ports::NodePorts;

use crate::{
    drift::{self, Before, Drift},
    pending::Pending,
    plan::{Lane, Planner, Step, is_ours, plan},
    ports::{PortError, PortResult},
    spec::NodeSettings,
};
use dns_guard::DnsGuard;
use domain::{ErrorCode, Slot};
use executor::Executor;
use handle::Shared;
use message::Message;
use node_state::NodeStateInputs;
use observer::Observer;
use protocol::{DriftKind, EventKind, NodeSpec};
use stale_connections::StaleConnections;
use status_publisher::{StatusInputs, StatusPublisher};
use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// How often everything is read again, whatever events there were. It bounds how
/// long the effect of a lost event can last.
pub const TICK: Duration = Duration::from_secs(7);

/// How many AdGuard Homes are read per tick, on average. A request to every
/// container is expensive, and only we and the tenants change their clients. Up to
/// this many tenants, all of them are read at each tick.
const DNS_PER_TICK: usize = 100;

/// Keeps one machine at its spec. Created with [`Node::new`], driven by [`Node::run`].
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
    observer: Observer,
    executor: Executor,
    planner: Planner,
    publisher: StatusPublisher,
    stale_connections: StaleConnections,
    dns_guard: DnsGuard,
    foreign: BTreeSet<Slot>,
    checked: bool,
}

impl Node {
    /// Creates a node over these ports, and the handle for the rest of the program.
    pub fn new(ports: NodePorts, settings: NodeSettings) -> (Self, NodeHandle) {
        let settings = Arc::new(settings);
        // Deliberately unbounded: each started task and each port has at most one
        // message under way, so the number of lanes bounds it.
        let (outbox, inbox) = mpsc::unbounded_channel();
        let executor = Executor::default();
        let meter = executor.meter.clone();
        let shared = Arc::new(Shared::new(ports.clone(), settings.clone(), meter));
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
            observer: Observer::default(),
            executor,
            planner: Planner::default(),
            publisher: StatusPublisher::default(),
            stale_connections: StaleConnections::default(),
            dns_guard: DnsGuard::default(),
            foreign: BTreeSet::new(),
            checked: false,
        };
        (node, NodeHandle::new(shared))
    }

    /// Makes the node compare, for simulations, every updated plan with one made
    /// from scratch, and what is published of every tenant with what is true. It
    /// panics where they differ.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.checked = true;
        self
    }

    /// Runs until `shutdown` completes. What is in force stays in force.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) {
        let mut tasks = observer::listen(&self.ports, &self.outbox);
        let mut ticks = tokio::time::interval(TICK);
        let mut count = 0_usize;
        tokio::pin!(shutdown);
        loop {
            let retry = self
                .executor
                .next_retry()
                .into_iter()
                .chain(self.observer.next_retry())
                .min();
            // In a fixed order, so that a simulation can be replayed. Rare events
            // have priority. A flood of messages starves nothing behind it: all of
            // them are handled below, and `work` starts the retries, whichever
            // branch was taken.
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                _ = ticks.tick() => {
                    self.spec_wanted = true;
                    let tenants = self.spec.as_ref().map_or(0, |s| s.tenants.len());
                    let every = 1 + tenants.saturating_sub(1) / DNS_PER_TICK;
                    self.observer.mark_all(count.is_multiple_of(every));
                    self.publisher.mark_waiting();
                    self.dns_guard.tick();
                    self.spec.iter().for_each(|spec| self.shared.retain(spec));
                    count = count.wrapping_add(1);
                }
                () = self.shared.nudge.notified() => {
                    self.spec_wanted = true;
                    self.dns_guard.set_disk_holds(self.shared.disk_holds());
                    self.dns_guard.set_copied(self.shared.copied());
                }
                () = sleep_until(retry) => {}
                Some(message) = self.inbox.recv() => self.handle(message),
            }
            // Every other message that has arrived is handled before the plan is
            // updated once. One that arrives meanwhile is handled after that, so a
            // flood ends here too.
            for _ in 0..self.inbox.len() {
                let Ok(message) = self.inbox.try_recv() else {
                    break;
                };
                self.handle(message);
            }
            self.work();
        }
        tasks.abort_all();
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Spec(result) => self.apply_spec(result),
            Message::Event(port) => self.observer.mark(port),
            Message::Done(lane, steps, spec, result) => {
                self.finish_lane(lane, steps, &spec, result);
            }
            observation => {
                let of = match &observation {
                    Message::Containers(..) => Some(None),
                    Message::Dns(slot, ..) => Some(Some(*slot)),
                    _ => None,
                };
                if let Some(before) = self.observer.apply(observation) {
                    self.report_drift(&before);
                }
                self.guard_dns(of);
            }
        }
    }

    /// Lets the guard follow a reading: of all containers (`Some(None)`), or of one
    /// AdGuard Home.
    fn guard_dns(&mut self, of: Option<Option<Slot>>) {
        let observed = self.observer.observed();
        let Some(spec) = &self.spec else {
            return;
        };
        match of {
            Some(None) => self.dns_guard.containers_read(spec, observed),
            Some(Some(slot)) => {
                let kind = self.dns_guard.dns_read(slot, spec, observed);
                kind.into_iter()
                    .for_each(|kind| self.report_repair(slot, spec, kind));
            }
            None => {}
        }
    }

    fn apply_spec(&mut self, result: PortResult<NodeSpec>) {
        self.spec_loading = false;
        match result {
            Ok(mut spec) => {
                self.spec_error = None;
                if let Some(net) = spec.tenants.values().find_map(|t| t.ipv6) {
                    let addresses = &self.settings.addresses;
                    self.ports.connections.use_ipv6(net.prefix(), addresses);
                }
                if let Some(old) = &self.spec {
                    spec.keep_unreadable(old);
                    let (observed, addresses) =
                        (self.observer.observed(), &self.settings.addresses);
                    self.stale_connections
                        .spec_changed(old, &spec, observed, addresses);
                }
                self.observer.spec_changed(self.spec.as_deref(), &spec);
                self.spec = Some(Arc::new(spec));
                self.shared.set_spec(self.spec.clone());
                self.spec.iter().for_each(|spec| self.shared.retain(spec));
            }
            Err(e) => {
                tracing::warn!(error = ?e, "the spec could not be loaded; the last one stays in force");
                self.spec_error = Some(e);
            }
        }
    }

    /// Reports external changes since a port was last read, and marks AdGuard Homes
    /// that have changed their configuration.
    fn report_drift(&mut self, before: &Before) {
        let Some(spec) = &self.spec else {
            return;
        };
        let now = self.observer.observed();
        let is_running = |lane: &Lane| self.executor.is_running(lane);
        for drift in drift::drifts(spec, &self.settings, before, now, is_running) {
            let message = EventKind::from(drift.clone()).message();
            tracing::info!(what = drift.kind.code(), "external change: {message}");
            self.shared.publish_drift(drift);
        }
        for slot in drift::changed_dns(spec, before, now) {
            self.observer.mark_dns(slot);
        }
    }

    fn finish_lane(
        &mut self,
        lane: Lane,
        steps: Vec<Step>,
        spec: &NodeSpec,
        result: PortResult<()>,
    ) {
        for step in &steps {
            let (observed, addresses) = (self.observer.observed(), &self.settings.addresses);
            self.stale_connections.step_ended(step);
            if result.is_ok() {
                self.stale_connections
                    .ended(step, spec, observed, addresses);
            }
        }
        match &result {
            Ok(()) => {
                tracing::debug!(?lane, steps = steps.len(), "done");
                for step in &steps {
                    self.report_set_aside(step, spec);
                    predict::predict(step, spec, &self.settings, &mut self.observer);
                }
            }
            Err(e) => {
                tracing::warn!(?lane, code = %e.code, error = %e, cause = ?e.cause, "a step failed; it is tried again");
                self.observer.mark_lane(&lane, &steps);
            }
        }
        self.publisher.mark_lane(&lane, &steps);
        self.executor.finish(lane, steps, result);
    }

    /// Tells the guard of a step that succeeded, and reports what it set aside.
    fn report_set_aside(&mut self, step: &Step, spec: &NodeSpec) {
        if let Some((slot, kind)) = self.dns_guard.step_done(step, spec) {
            self.report_repair(slot, spec, kind);
        }
    }

    /// Reports what was found damaged of a tenant's AdGuard Home.
    fn report_repair(&self, slot: Slot, spec: &NodeSpec, kind: DriftKind) {
        if let Some(t) = spec.tenants.get(&slot) {
            let tenant = Some((slot, t.name.clone()));
            self.shared.publish_drift(Drift { tenant, kind });
        }
    }

    /// Starts everything that can be started now, and publishes what is known.
    fn work(&mut self) {
        if self.spec_wanted && !self.spec_loading {
            self.spec_wanted = false;
            self.spec_loading = true;
            let (specs, outbox) = (self.ports.specs.clone(), self.outbox.clone());
            // Only one load runs at a time, so no answer can be overtaken.
            let in_force = self.spec.as_ref().map_or(0, |spec| spec.generation);
            tokio::spawn(async move {
                let loading = specs.load(in_force);
                let loaded = deadline::with_deadline(deadline::LOAD, loading).await;
                let _ = outbox.send(Message::Spec(loaded));
            });
        }
        let Some(spec) = self.spec.clone() else {
            return;
        };
        self.observer
            .read(&self.ports, &self.settings, &spec, &self.outbox);
        let mut pending = self.executor.pending();
        self.observer.add_in_doubt(&mut pending);
        let observed = self.observer.observed();
        self.stale_connections.add_to(observed, &mut pending);
        self.dns_guard.add_to(&mut pending);
        let dirty = self.observer.take_dirty();
        let observed = self.observer.observed();
        let planned = self
            .planner
            .update(&spec, observed, &pending, &self.settings, dirty);
        if self.checked {
            let complete = plan(&spec, observed, &pending, &self.settings);
            assert_eq!(
                self.planner.plan(),
                &complete,
                "the updated plan differs from the complete one"
            );
        }
        let newest = self.shared.newest_spec();
        let lanes = self.executor.start(
            self.planner.plan(),
            &spec,
            &newest,
            &self.ports,
            &self.settings,
            &self.outbox,
        );
        for lane in &lanes {
            let steps = self.planner.plan().get(lane);
            for step in steps.into_iter().flatten() {
                let addresses = &self.settings.addresses;
                self.stale_connections.step_began(step, observed, addresses);
            }
            self.publisher
                .mark_lane(lane, steps.map_or(&[], Vec::as_slice));
        }
        if !planned.is_empty() {
            let interfaces = self.observer.observed().wireguard.value();
            let foreign = interfaces.into_iter().flatten();
            let foreign = foreign.filter(|(_, i)| !is_ours(i));
            self.foreign = foreign.map(|(slot, _)| *slot).collect();
        }
        self.publisher.mark(planned);
        self.report_stopped(&spec, &pending);
        self.publish(&spec, &pending);
    }

    /// Publishes which instances that are to be copied have no container any more and get
    /// none: nothing writes to their files.
    fn report_stopped(&self, spec: &NodeSpec, pending: &Pending) {
        let containers = self.observer.observed().containers.value();
        let is_stopped = |slot: &&Slot| {
            let name = spec.tenants.get(*slot).map(|t| &t.name);
            let is_starting = name.is_some_and(|name| pending.starts.contains(name));
            let has_container =
                containers.is_none_or(|c| c.ours.iter().any(|x| x.slot == Some(**slot)));
            !has_container && !is_starting && !self.executor.is_running(&Lane::Container(**slot))
        };
        let copied = self.dns_guard.copied();
        self.shared
            .set_stopped(copied.iter().filter(is_stopped).copied().collect());
    }

    fn publish(&mut self, spec: &Arc<NodeSpec>, pending: &Pending) {
        let inputs = StatusInputs {
            spec,
            observer: &self.observer,
            settings: &self.settings,
            planner: &self.planner,
            executor: &self.executor,
        };
        self.publisher.publish(&inputs, &self.shared);
        if self.checked {
            self.publisher.check(&inputs);
        }
        let inputs = NodeStateInputs {
            spec,
            observed: self.observer.observed(),
            plan: self.planner.plan(),
            pending,
            foreign: &self.foreign,
        };
        let mut problems: Vec<_> = self.spec_error.iter().map(PortError::problem).collect();
        problems.extend(inputs.unreadable());
        problems.extend(self.executor.problems(spec));
        // "Not read yet" is not a problem that a person could solve.
        problems.retain(|p| p.code != ErrorCode::Busy);
        self.shared.set_node(inputs.state(problems));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
