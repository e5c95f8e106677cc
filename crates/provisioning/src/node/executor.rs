//! Executes a plan's lanes: which steps run, which wait after a failure, and why
//! they failed.

use super::{deadline, lane_meter::LaneMeter, message::Message, node_ports::NodePorts};
use crate::{
    derive::TenantSpecExt,
    pending::Pending,
    plan::{Lane, Plan, Step},
    ports::{PortError, PortResult},
    spec::NodeSettings,
};
use domain::{ErrorCode, Problem, Slot, TenantName};
use protocol::NodeSpec;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::UnboundedSender, watch},
    time::Instant,
};

/// How many containers are started or removed at the same time. More would only make
/// each slower.
const CONCURRENT_CONTAINERS: usize = 4;
/// The same for containers that failed before. They have permits of their own, so
/// that a few that hang for minutes do not keep other tenants' from starting.
const CONCURRENT_RETRIES: usize = 2;
/// How many interfaces are created at the same time, as at a cold start. Changes and
/// removals never wait for these.
const CONCURRENT_INTERFACES: usize = 32;
/// How many interfaces get their speed limits at the same time. The kernel changes them
/// one after another, and who waits for that must not run into the step's deadline.
const CONCURRENT_SPEEDS: usize = 4;
/// How many folders are written or removed at the same time.
const CONCURRENT_FOLDERS: usize = 8;
/// The most problems that are reported.
const MAX_PROBLEMS: usize = 20;

#[derive(Debug, Default)]
struct LaneState {
    running: Option<Vec<Step>>,
    /// Since when it runs or waits for a permit.
    began: Option<Instant>,
    /// The tenant whose container is being started.
    starts: Option<TenantName>,
    failures: u32,
    failed: Vec<Step>,
    not_before: Option<Instant>,
    error: Option<PortError>,
}

/// The state of all lanes, and the permits that bound what runs at the same time.
pub(super) struct Executor {
    lanes: BTreeMap<Lane, LaneState>,
    containers: Arc<Semaphore>,
    retries: Arc<Semaphore>,
    interfaces: Arc<Semaphore>,
    speeds: Arc<Semaphore>,
    folders: Arc<Semaphore>,
    pub(super) meter: Arc<LaneMeter>,
}

impl Default for Executor {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            containers: Arc::new(Semaphore::new(CONCURRENT_CONTAINERS)),
            retries: Arc::new(Semaphore::new(CONCURRENT_RETRIES)),
            interfaces: Arc::new(Semaphore::new(CONCURRENT_INTERFACES)),
            speeds: Arc::new(Semaphore::new(CONCURRENT_SPEEDS)),
            folders: Arc::new(Semaphore::new(CONCURRENT_FOLDERS)),
            meter: Arc::default(),
        }
    }
}

/// Returns how long a lane waits after so many failures: 0.25 s, doubled up to 30 s;
/// for the image's registry 30 s, doubled up to 10 min.
fn backoff(lane: &Lane, failures: u32) -> Duration {
    let (first, longest) = match lane {
        Lane::Image => (Duration::from_secs(30), Duration::from_secs(600)),
        _ => (Duration::from_millis(250), Duration::from_secs(30)),
    };
    first
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(longest)
}

impl Executor {
    /// Starts every planned lane that is free. A lane that failed waits, unless its
    /// planned steps have changed since. Returns the lanes that were started, and
    /// those that were dropped because nothing is planned for them any more.
    pub(super) fn start(
        &mut self,
        plan: &Plan,
        spec: &Arc<NodeSpec>,
        newest: &watch::Receiver<Option<Arc<NodeSpec>>>,
        ports: &NodePorts,
        settings: &Arc<NodeSettings>,
        out: &UnboundedSender<Message>,
    ) -> Vec<Lane> {
        let now = Instant::now();
        let mut changed = Vec::new();
        self.lanes.retain(|lane, s| {
            let stays = s.running.is_some() || plan.contains_key(lane);
            if !stays {
                changed.push(lane.clone());
            }
            stays
        });
        for (lane, steps) in plan {
            let state = self.lanes.entry(lane.clone()).or_default();
            let waits = state.not_before.is_some_and(|t| t > now) && state.failed == *steps;
            if state.running.is_some() || waits {
                continue;
            }
            changed.push(lane.clone());
            let is_retry = state.failures > 0;
            (state.running, state.began) = (Some(steps.clone()), Some(now));
            state.starts = match steps.last() {
                Some(Step::StartContainer(slot)) => spec.tenants.get(slot).map(|t| t.name.clone()),
                _ => None,
            };
            let mut task = LaneTask {
                spec: spec.clone(),
                ports: ports.clone(),
                settings: settings.clone(),
                newest: newest.clone(),
            };
            let permits = self.permits(lane, steps, is_retry);
            let (lane, steps, out) = (lane.clone(), steps.clone(), out.clone());
            tokio::spawn(async move {
                let _permit = match permits {
                    Some(permits) => permits.acquire_owned().await.ok(),
                    None => None::<OwnedSemaphorePermit>,
                };
                let mut result = task.update_spec(&steps);
                for step in &steps {
                    if result.is_err() {
                        break;
                    }
                    let limit = deadline::of_step(step);
                    result = deadline::with_deadline(limit, task.run(step)).await;
                }
                let _ = out.send(Message::Done(lane, steps, task.spec, result));
            });
        }
        changed
    }

    /// Returns the permits that a lane needs one of before it runs.
    fn permits(&self, lane: &Lane, steps: &[Step], is_retry: bool) -> Option<Arc<Semaphore>> {
        match lane {
            Lane::Container(_) | Lane::Stray(_) if is_retry => Some(self.retries.clone()),
            Lane::Container(_) | Lane::Stray(_) => Some(self.containers.clone()),
            Lane::Folder(_) => Some(self.folders.clone()),
            Lane::Speed(_) => Some(self.speeds.clone()),
            Lane::Tunnel(_) if matches!(steps, [Step::EnsureInterface(_)]) => {
                Some(self.interfaces.clone())
            }
            Lane::Tunnel(_) | Lane::Firewall | Lane::Connections | Lane::Dns(_) | Lane::Image => {
                None
            }
        }
    }

    /// Records that a lane's task has ended.
    pub(super) fn finish(&mut self, lane: Lane, steps: Vec<Step>, result: PortResult<()>) {
        let state = self.lanes.entry(lane.clone()).or_default();
        (state.running, state.starts) = (None, None);
        if let Some(began) = state.began.take() {
            self.meter.record(&lane, began.elapsed(), result.is_ok());
        }
        match result {
            Ok(()) => *state = LaneState::default(),
            Err(e) => {
                state.failures = if state.failed == steps {
                    state.failures.saturating_add(1)
                } else {
                    1
                };
                state.not_before = Some(Instant::now() + backoff(&lane, state.failures));
                state.failed = steps;
                state.error = Some(e);
            }
        }
    }

    /// Returns the changes that are under way.
    pub(super) fn pending(&self) -> Pending {
        let mut pending = Pending::default();
        for (lane, state) in &self.lanes {
            if let Some(steps) = &state.running {
                pending.add_running(lane, steps);
                pending.starts.extend(state.starts.clone());
            }
        }
        pending
    }

    /// Returns when the next waiting lane may be tried again.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.lanes
            .values()
            .filter(|s| s.running.is_none())
            .filter_map(|s| s.not_before)
            .min()
    }

    /// Returns whether a lane runs.
    pub(super) fn is_running(&self, lane: &Lane) -> bool {
        self.lanes.get(lane).is_some_and(|s| s.running.is_some())
    }

    /// Returns the last error of a lane that has not succeeded since.
    pub(super) fn error(&self, lane: &Lane) -> Option<&PortError> {
        self.lanes.get(lane).and_then(|s| s.error.as_ref())
    }

    /// Returns the problems that no tenant's status shows. A cause that many lanes
    /// share (a full disk) is reported once.
    pub(super) fn problems(&self, spec: &NodeSpec) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        for (lane, state) in &self.lanes {
            let shown = match lane {
                Lane::Tunnel(slot) | Lane::Container(slot) => spec.tenants.contains_key(slot),
                Lane::Firewall
                | Lane::Speed(_)
                | Lane::Connections
                | Lane::Image
                | Lane::Dns(_)
                | Lane::Folder(_)
                | Lane::Stray(_) => false,
            };
            let Some(error) = state.error.as_ref().filter(|_| !shown) else {
                continue;
            };
            let problem = error.problem();
            if problems.len() < MAX_PROBLEMS && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        problems
    }

    /// Returns whether the slot's tunnel or its elements are still to be changed.
    pub(super) fn touches(&self, slot: Slot, plan: &Plan) -> bool {
        let in_firewall = |steps: &[Step]| {
            steps.iter().any(|s| match s {
                Step::Firewall(c) => {
                    c.rebuild
                        || c.remove.contains_key(&slot)
                        || c.set.iter().any(|(_, t)| t.slot == slot)
                }
                _ => false,
            })
        };
        let firewall = self
            .lanes
            .get(&Lane::Firewall)
            .and_then(|s| s.running.as_deref());
        self.is_running(&Lane::Tunnel(slot))
            || plan.contains_key(&Lane::Tunnel(slot))
            || firewall.is_some_and(in_firewall)
            || plan.get(&Lane::Firewall).is_some_and(|s| in_firewall(s))
    }
}

/// What a lane's task works with.
struct LaneTask {
    spec: Arc<NodeSpec>,
    ports: NodePorts,
    settings: Arc<NodeSettings>,
    newest: watch::Receiver<Option<Arc<NodeSpec>>>,
}

impl LaneTask {
    /// Continues with the newest spec, after the task has waited for a permit. Fails
    /// where a step is for a tenant whose slot has another tenant by now.
    fn update_spec(&mut self, steps: &[Step]) -> PortResult<()> {
        for step in steps {
            if let Step::StartContainer(slot)
            | Step::SetAside(slot, _)
            | Step::SetClients(slot)
            | Step::WriteFolder(slot) = step
            {
                self.check_tenant(*slot)?;
            }
        }
        let newest = self.newest.borrow().clone();
        self.spec = newest.unwrap_or_else(|| self.spec.clone());
        Ok(())
    }

    /// Checks that the newest spec still has the same tenant in the slot.
    fn check_tenant(&self, slot: Slot) -> PortResult<()> {
        let key = |spec: &NodeSpec| {
            let tenant = spec.tenants.get(&slot).filter(|t| !t.suspended);
            tenant.map(|t| (t.name.clone(), t.private_key.public()))
        };
        match self.newest.borrow().as_ref() {
            Some(newest) if key(newest) != key(&self.spec) => Err(PortError::new(
                ErrorCode::Busy,
                domain::Message::TenantChanged,
            )),
            _ => Ok(()),
        }
    }

    async fn run(&self, step: &Step) -> PortResult<()> {
        let tenant = |slot: &Slot| {
            self.spec
                .tenants
                .get(slot)
                .ok_or_else(|| PortError::new(ErrorCode::Internal, domain::Message::TenantLeft))
        };
        match step {
            Step::Firewall(change) => self.ports.firewall.apply(change).await,
            Step::DeleteInterface(slot) => self.ports.wireguard.delete(*slot).await,
            Step::ChangePeers(slot, change) => {
                self.ports.wireguard.change_peers(*slot, change).await
            }
            Step::EnsureInterface(spec) => self.ports.wireguard.ensure(spec).await,
            Step::LimitSpeed(slot, speed) => self.ports.shaping.apply(*slot, speed).await,
            Step::EndConnections(slots) => {
                let networks = slots.values().flatten().copied().collect();
                self.ports.connections.end(&networks).await.map(drop)
            }
            Step::SweepConnections(held) => {
                let addresses = &self.settings.addresses;
                let ranges = [addresses.tunnels, addresses.containers];
                self.ports.connections.sweep(&ranges, held).await.map(drop)
            }
            Step::RedirectConnections(slots) => {
                let ports = slots.iter().map(|(slot, to)| (slot.listen_port(), *to));
                let ports = ports.collect();
                self.ports.connections.redirect(&ports).await.map(drop)
            }
            Step::SetAside(slot, part) => {
                let dns = tenant(slot)?.dns(&self.settings);
                self.ports.dns.set_aside(&dns, *part).await.map(drop)
            }
            Step::RemoveContainer(id) => self.ports.containers.remove(id).await,
            Step::StartContainer(slot) => {
                let t = tenant(slot)?;
                // The tenant's folder must be private before AdGuard Home's files are
                // written into it.
                self.ports.folders.open(&t.name).await?;
                self.check_tenant(*slot)?;
                self.ports.folders.adopt(t).await?;
                self.check_tenant(*slot)?;
                self.ports
                    .dns
                    .prepare(&t.dns(&self.settings), &t.clients(&self.settings))
                    .await?;
                self.check_tenant(*slot)?;
                self.ports
                    .containers
                    .start(&t.container(&self.settings))
                    .await
            }
            Step::SetClients(slot) => {
                let t = tenant(slot)?;
                self.ports
                    .dns
                    .set_clients(&t.dns(&self.settings), &t.clients(&self.settings))
                    .await
            }
            Step::WriteFolder(slot) => self.ports.folders.write(tenant(slot)?).await,
            Step::RemoveFolder(name) => self.ports.folders.remove(name).await,
            Step::FetchImage => self.ports.containers.fetch_image().await,
        }
    }
}
