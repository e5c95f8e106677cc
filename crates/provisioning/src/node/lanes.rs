//! Lanes: which steps run, which wait after a failure, and what went wrong.

use super::{Message, NodePorts};
use crate::{
    plan::{Lane, Plan, Step},
    ports::{PortError, PortResult},
    spec::{NodeSettings, NodeSpec},
};
use domain::{ErrorCode, Slot};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedSender},
    time::Instant,
};

/// Containers started or removed at one time: more only makes each slower.
const CONTAINERS_AT_ONCE: usize = 4;

#[derive(Debug, Default)]
struct State {
    running: Option<Vec<Step>>,
    failures: u32,
    failed: Vec<Step>,
    not_before: Option<Instant>,
    error: Option<PortError>,
}

/// See the module.
pub(crate) struct Lanes {
    lanes: BTreeMap<Lane, State>,
    engine: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            engine: Arc::new(Semaphore::new(CONTAINERS_AT_ONCE)),
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
    /// what is wanted of it has changed since.
    pub(crate) fn start(
        &mut self,
        plan: &Plan,
        spec: &Arc<NodeSpec>,
        ports: &NodePorts,
        settings: &Arc<NodeSettings>,
        out: &UnboundedSender<Message>,
    ) {
        let now = Instant::now();
        self.lanes
            .retain(|lane, s| s.running.is_some() || plan.contains_key(lane));
        for (lane, steps) in plan {
            let state = self.lanes.entry(lane.clone()).or_default();
            let waits = state.not_before.is_some_and(|t| t > now) && state.failed == *steps;
            if state.running.is_some() || waits {
                continue;
            }
            state.running = Some(steps.clone());
            let work = Work {
                spec: spec.clone(),
                ports: ports.clone(),
                settings: settings.clone(),
            };
            let (lane, steps, out, engine) = (
                lane.clone(),
                steps.clone(),
                out.clone(),
                self.engine.clone(),
            );
            tokio::spawn(async move {
                let _turn = match lane {
                    Lane::Container(_) | Lane::Stray(_) => engine.acquire_owned().await.ok(),
                    _ => None,
                };
                let mut result = Ok(());
                for step in &steps {
                    result = work.run(step).await;
                    if result.is_err() {
                        break;
                    }
                }
                let _ = out.send(Message::Done(lane, steps, result));
            });
        }
    }

    /// A lane's task has ended.
    pub(crate) fn finish(&mut self, lane: Lane, steps: Vec<Step>, result: PortResult<()>) {
        let state = self.lanes.entry(lane.clone()).or_default();
        state.running = None;
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
}

impl Work {
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
                self.ports
                    .dns
                    .prepare(&t.dns(&self.settings), &t.clients())
                    .await?;
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
