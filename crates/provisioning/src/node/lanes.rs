//! Lanes: which steps run, which wait after a failure, and what went wrong.

use super::{Message, NodePorts, guard};
use crate::{
    pending::Pending,
    plan::{Lane, Plan, Step},
    ports::{PortError, PortResult},
    spec::{NodeSettings, NodeSpec},
};
use domain::{ErrorCode, Problem, Slot, TenantName};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::UnboundedSender, watch},
    time::Instant,
};

/// Containers started or removed at one time: more only makes each slower.
const CONTAINERS_AT_ONCE: usize = 4;
/// The same for containers that failed before: they wait among themselves, so
/// that some that hang for minutes keep nobody else's from starting.
const RETRIED_AT_ONCE: usize = 2;
/// Interfaces made at one time, as at a cold start. Changes and removals never
/// wait for these.
const INTERFACES_AT_ONCE: usize = 32;
/// Folders written or removed at one time.
const FOLDERS_AT_ONCE: usize = 8;
/// Problems told at most.
const PROBLEMS: usize = 20;

#[derive(Debug, Default)]
struct State {
    running: Option<Vec<Step>>,
    /// Whose container is being started.
    starts: Option<TenantName>,
    failures: u32,
    failed: Vec<Step>,
    not_before: Option<Instant>,
    error: Option<PortError>,
}

/// See the module.
pub(crate) struct Lanes {
    lanes: BTreeMap<Lane, State>,
    engine: Arc<Semaphore>,
    retried: Arc<Semaphore>,
    interfaces: Arc<Semaphore>,
    folders: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            engine: Arc::new(Semaphore::new(CONTAINERS_AT_ONCE)),
            retried: Arc::new(Semaphore::new(RETRIED_AT_ONCE)),
            interfaces: Arc::new(Semaphore::new(INTERFACES_AT_ONCE)),
            folders: Arc::new(Semaphore::new(FOLDERS_AT_ONCE)),
        }
    }
}

/// 0.25 s, doubled up to half a minute; the image's registry gets 30 s to 10 min.
fn backoff(lane: &Lane, failures: u32) -> Duration {
    let (first, most) = match lane {
        Lane::Image => (Duration::from_secs(30), Duration::from_secs(600)),
        _ => (Duration::from_millis(250), Duration::from_secs(30)),
    };
    first
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(most)
}

impl Lanes {
    /// Starts every planned lane that is free. A lane that failed waits, unless
    /// what is wanted of it has changed since. The lanes that were started, and
    /// those that are forgotten because nothing is planned for them any more.
    pub(crate) fn start(
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
            let retried = state.failures > 0;
            state.running = Some(steps.clone());
            state.starts = match steps.as_slice() {
                [Step::StartContainer(slot)] => spec.tenants.get(slot).map(|t| t.name.clone()),
                _ => None,
            };
            let mut work = Work {
                spec: spec.clone(),
                ports: ports.clone(),
                settings: settings.clone(),
                newest: newest.clone(),
            };
            let turn = self.turn(lane, steps, retried);
            let (lane, steps, out) = (lane.clone(), steps.clone(), out.clone());
            tokio::spawn(async move {
                let _turn = match turn {
                    Some(turn) => turn.acquire_owned().await.ok(),
                    None => None::<OwnedSemaphorePermit>,
                };
                let mut result = work.renew(&steps);
                for step in &steps {
                    if result.is_err() {
                        break;
                    }
                    result = guard::guarded(guard::limit(step), work.run(step)).await;
                }
                let _ = out.send(Message::Done(lane, steps, work.spec, result));
            });
        }
        changed
    }

    /// What a lane has to wait for before its turn.
    fn turn(&self, lane: &Lane, steps: &[Step], retried: bool) -> Option<Arc<Semaphore>> {
        match lane {
            Lane::Container(_) | Lane::Stray(_) if retried => Some(self.retried.clone()),
            Lane::Container(_) | Lane::Stray(_) => Some(self.engine.clone()),
            Lane::Folder(_) => Some(self.folders.clone()),
            Lane::Tunnel(_) if matches!(steps, [Step::EnsureInterface(_)]) => {
                Some(self.interfaces.clone())
            }
            Lane::Tunnel(_) | Lane::Firewall | Lane::Dns(_) | Lane::Image => None,
        }
    }

    /// A lane's task has ended.
    pub(crate) fn finish(&mut self, lane: Lane, steps: Vec<Step>, result: PortResult<()>) {
        let state = self.lanes.entry(lane.clone()).or_default();
        (state.running, state.starts) = (None, None);
        match result {
            Ok(()) => *state = State::default(),
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

    /// What is under way.
    pub(crate) fn pending(&self) -> Pending {
        let mut pending = Pending::default();
        for (lane, state) in &self.lanes {
            if let Some(steps) = &state.running {
                pending.running(lane, steps);
                pending.starts.extend(state.starts.clone());
            }
        }
        pending
    }

    /// When the next waiting lane may be tried.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.lanes
            .values()
            .filter(|s| s.running.is_none())
            .filter_map(|s| s.not_before)
            .min()
    }

    pub(crate) fn is_running(&self, lane: &Lane) -> bool {
        self.lanes.get(lane).is_some_and(|s| s.running.is_some())
    }

    /// What went wrong last in a lane that has not succeeded since.
    pub(crate) fn error(&self, lane: &Lane) -> Option<&PortError> {
        self.lanes.get(lane).and_then(|s| s.error.as_ref())
    }

    /// What went wrong where no tenant's status shows it. A cause that many
    /// lanes share (a full disk) is told once.
    pub(crate) fn problems(&self, spec: &NodeSpec) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        for (lane, state) in &self.lanes {
            let shown = match lane {
                Lane::Tunnel(slot) | Lane::Container(slot) => spec.tenants.contains_key(slot),
                Lane::Firewall | Lane::Image | Lane::Dns(_) | Lane::Folder(_) | Lane::Stray(_) => {
                    false
                }
            };
            let Some(error) = state.error.as_ref().filter(|_| !shown) else {
                continue;
            };
            let problem = error.problem();
            if problems.len() < PROBLEMS && !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        problems
    }

    /// Whether the slot's tunnel or its elements are still to be changed.
    pub(crate) fn touches(&self, slot: Slot, plan: &Plan) -> bool {
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

struct Work {
    spec: Arc<NodeSpec>,
    ports: NodePorts,
    settings: Arc<NodeSettings>,
    newest: watch::Receiver<Option<Arc<NodeSpec>>>,
}

impl Work {
    /// After waiting for a turn: goes on with the newest spec. A container is
    /// not started for a tenant who has another's slot by now.
    fn renew(&mut self, steps: &[Step]) -> PortResult<()> {
        for step in steps {
            if let Step::StartContainer(slot) | Step::SetClients(slot) | Step::WriteFolder(slot) =
                step
            {
                self.still(*slot)?;
            }
        }
        let newest = self.newest.borrow().clone();
        self.spec = newest.unwrap_or_else(|| self.spec.clone());
        Ok(())
    }

    /// Whether the slot is still the same tenant's by the newest spec.
    fn still(&self, slot: Slot) -> PortResult<()> {
        let key = |spec: &NodeSpec| {
            let tenant = spec.tenants.get(&slot).filter(|t| !t.suspended);
            tenant.map(|t| (t.name.clone(), t.private_key.public()))
        };
        match self.newest.borrow().as_ref() {
            Some(newest) if key(newest) != key(&self.spec) => {
                let sentence = "The tenant has changed meanwhile.";
                Err(PortError::new(ErrorCode::Busy, sentence))
            }
            _ => Ok(()),
        }
    }

    async fn run(&self, step: &Step) -> PortResult<()> {
        let tenant = |slot: &Slot| {
            self.spec
                .tenants
                .get(slot)
                .ok_or_else(|| PortError::new(ErrorCode::Internal, "The tenant left meanwhile."))
        };
        match step {
            Step::Firewall(change) => self.ports.firewall.apply(change).await,
            Step::DeleteInterface(slot) => self.ports.wireguard.delete(*slot).await,
            Step::ChangePeers(slot, change) => {
                self.ports.wireguard.change_peers(*slot, change).await
            }
            Step::EnsureInterface(spec) => self.ports.wireguard.ensure(spec).await,
            Step::RemoveContainer(id) => self.ports.containers.remove(id).await,
            Step::StartContainer(slot) => {
                let t = tenant(slot)?;
                // The folder above must be closed before AdGuard Home's is made in it.
                self.ports.folders.open(&t.name).await?;
                self.still(*slot)?;
                self.ports
                    .dns
                    .prepare(&t.dns(&self.settings), &t.clients())
                    .await?;
                self.still(*slot)?;
                self.ports
                    .containers
                    .start(&t.container(&self.settings))
                    .await
            }
            Step::SetClients(slot) => {
                let t = tenant(slot)?;
                self.ports
                    .dns
                    .set_clients(&t.dns(&self.settings), &t.clients())
                    .await
            }
            Step::WriteFolder(slot) => self.ports.folders.write(tenant(slot)?).await,
            Step::RemoveFolder(name) => self.ports.folders.remove(name).await,
            Step::FetchImage => self.ports.containers.fetch_image().await,
        }
    }
}
