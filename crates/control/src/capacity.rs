//! How many more tenants fit. The memory is read in the background; whoever
//! asks reads a number. The number is of tenants in all, and the store compares
//! it with its rows in the transaction that makes one: a hundred sign-ups at
//! once cannot all have the same room.

use domain::{ErrorCode, Problem, Slot, view::CapacityView};
use provisioning::{
    NodeHandle, PortError,
    capacity::{ContainerMemory, Memory, MemoryReading, Room, room},
    ports::PortResult,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Between two readings.
const EVERY: Duration = Duration::from_secs(20);
/// Longest wait for one.
const LONGEST: Duration = Duration::from_secs(45);
/// While the node has no spec, or a reading failed.
const AGAIN: Duration = Duration::from_secs(2);
/// How long the last reading holds once others fail: Docker may be restarted.
const GOOD: Duration = Duration::from_secs(120);

/// How many tenants a node may hold, and who measures it.
#[derive(Clone, Default)]
pub struct CapacitySettings {
    /// Where the machine's memory is read; without, slots alone decide.
    pub memory: Option<Arc<dyn Memory>>,
    /// Bytes to keep free; `None` is [`provisioning::capacity::usual_reserve`].
    pub reserve: Option<u64>,
    /// Tenants in all; `None` is as many as fit.
    pub most: Option<u32>,
}

impl std::fmt::Debug for CapacitySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CapacitySettings")
            .field("memory", &self.memory.is_some())
            .field("reserve", &self.reserve)
            .field("most", &self.most)
            .finish()
    }
}

#[derive(Debug, Default)]
struct Last {
    room: Option<(Instant, Room)>,
    /// Why the last reading failed.
    trouble: Option<Problem>,
}

pub(crate) struct Capacity {
    settings: CapacitySettings,
    node: NodeHandle,
    last: Mutex<Last>,
}

impl Capacity {
    pub(crate) fn new(settings: CapacitySettings, node: NodeHandle) -> Self {
        Self {
            settings,
            node,
            last: Mutex::default(),
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads for ever.
    pub(crate) async fn run(&self) {
        let Some(memory) = &self.settings.memory else {
            return;
        };
        loop {
            let Some(holders) = self.node.holders() else {
                // Whose containers they are is not known yet.
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let serves = |c: &ContainerMemory| {
                let holder = c.slot.and_then(|slot| holders.get(&slot));
                holder.is_some_and(|name| name.as_str() == c.tenant)
            };
            let wait = match read(memory.as_ref()).await {
                Ok(reading) => {
                    let room = room(&reading, self.settings.reserve, serves);
                    let mut last = self.last();
                    last.room = Some((Instant::now(), room));
                    if last.trouble.take().is_some() {
                        tracing::info!("the memory can be read again");
                    }
                    EVERY
                }
                Err(e) => {
                    let mut last = self.last();
                    if last.trouble.as_ref() != Some(&e.problem()) {
                        tracing::warn!(code = %e.code, error = %e, cause = ?e.cause, "what tenants cost could not be measured");
                    }
                    last.trouble = Some(e.problem());
                    AGAIN
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// What the memory has room for; `None` where it is not known.
    fn room(&self) -> Option<Room> {
        let (at, room) = self.last().room?;
        (at.elapsed() < GOOD).then_some(room)
    }

    /// Tenants the node may hold in all; `None` is as many as it has slots.
    pub(crate) fn most(&self) -> Option<u32> {
        let memory = self.room().map(|r| r.most);
        memory.into_iter().chain(self.settings.most).min()
    }

    /// What there is room for beside those who hold these slots. `unusable`
    /// are slots that are not given away; somebody may hold one all the same.
    pub(crate) fn view(&self, held: &BTreeSet<Slot>, unusable: &BTreeSet<Slot>) -> CapacityView {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let taken = count(held.union(unusable).count());
        let slots_free = u32::from(Slot::LAST.get()).saturating_sub(taken);
        let held = count(held.len());
        let by_most = self.most().map_or(u32::MAX, |m| m.saturating_sub(held));
        CapacityView {
            more: slots_free.min(by_most),
            slots_free,
            memory: self.room().map(|r| r.view()),
            limit: self.settings.most,
        }
    }

    /// Whether the node's last spec says that nobody fits any more. For saying
    /// so before somebody types or work is done; the store decides.
    pub(crate) fn is_full(&self, unusable: &BTreeSet<Slot>) -> bool {
        self.view(&self.node.held_slots(), unusable).more == 0
    }

    /// What the operator should know: that it cannot be measured, and that the
    /// node is full and why.
    pub(crate) fn problems(&self, now: &CapacityView) -> Vec<Problem> {
        let trouble = self.last().trouble.clone();
        let unknown = trouble.filter(|_| now.memory.is_none()).map(|t| Problem {
            code: ErrorCode::MemoryUnknown,
            sentence: format!(
                "What tenants cost cannot be measured, so free slots alone decide on sign-ups. {}",
                t.sentence
            ),
        });
        unknown.into_iter().chain(self.full(now)).collect()
    }

    fn full(&self, now: &CapacityView) -> Option<Problem> {
        if now.more > 0 {
            return None;
        }
        let why = if now.slots_free == 0 {
            "every slot is held"
        } else if self.settings.most.is_some() && self.settings.most == self.most() {
            "max_tenants is reached"
        } else {
            "its memory is taken; add memory, or set a smaller memory_reserve_mb"
        };
        Some(Problem {
            code: ErrorCode::NodeFull,
            sentence: format!("Sign-ups are refused, because this node is full: {why}."),
        })
    }
}

async fn read(memory: &dyn Memory) -> PortResult<MemoryReading> {
    match tokio::time::timeout(LONGEST, memory.read()).await {
        Ok(read) => read,
        Err(_) => Err(PortError::new(
            ErrorCode::MemoryUnknown,
            format!("Reading it has taken {} s.", LONGEST.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TenantName;
    use provisioning::{Node, NodePorts, capacity::USUAL_COST};
    use testkit::{
        fakes::{FakeMachine, FakeSpecs},
        memory::FakeMemory,
        samples,
    };

    const GIB: u64 = 1 << 30;
    const EACH: u64 = USUAL_COST / 10 * 11;

    struct Bed {
        capacity: Arc<Capacity>,
        memory: FakeMemory,
        specs: FakeSpecs,
    }

    impl Bed {
        /// A node that holds tenants in the slots from 1, none of them running,
        /// and whose memory has room for so many.
        async fn new(held: u16, room: u64) -> Self {
            let (machine, specs) = (Arc::new(FakeMachine::new()), FakeSpecs::default());
            let settings = samples::settings(std::path::Path::new("/nowhere"));
            specs.change(|spec| {
                for n in 1..=held {
                    let t = samples::tenant(&settings, n, 0);
                    spec.tenants.insert(t.slot, t.into());
                }
            });
            let ports = NodePorts {
                wireguard: machine.clone(),
                firewall: machine.clone(),
                containers: machine.clone(),
                dns: machine.clone(),
                folders: machine,
                specs: Arc::new(specs.clone()),
            };
            let (node, handle) = Node::new(ports, settings);
            tokio::spawn(node.run(std::future::pending()));
            let memory = FakeMemory::with(8 * GIB, GIB + room * EACH + EACH / 2);
            let settings = CapacitySettings {
                memory: Some(Arc::new(memory.clone())),
                reserve: Some(GIB),
                most: None,
            };
            let capacity = Arc::new(Capacity::new(settings, handle));
            let background = capacity.clone();
            tokio::spawn(async move { background.run().await });
            tokio::time::sleep(AGAIN * 2).await;
            Self {
                capacity,
                memory,
                specs,
            }
        }

        fn view(&self) -> CapacityView {
            let held = self.capacity.node.held_slots();
            self.capacity.view(&held, &BTreeSet::new())
        }

        fn problems(&self) -> Vec<ErrorCode> {
            let problems = self.capacity.problems(&self.view());
            problems.into_iter().map(|p| p.code).collect()
        }
    }

    fn slot(n: u16) -> Slot {
        Slot::new(n).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_admitted_and_does_not_run_yet_is_counted() {
        let bed = Bed::new(4, 10).await;
        assert_eq!((bed.view().more, bed.capacity.most()), (6, Some(10)));
        assert_eq!(bed.view().slots_free, 996);
    }

    #[tokio::test(start_paused = true)]
    async fn what_tenants_really_cost_moves_the_number() {
        let bed = Bed::new(5, 10).await;
        for n in 1..=5 {
            let name = TenantName::parse(&format!("tenant{n}")).unwrap();
            bed.memory.run(slot(n), &name, 10 << 20);
        }
        tokio::time::sleep(EVERY * 2).await;
        let measured = bed.view();
        let memory = measured.memory.unwrap();
        assert_eq!(memory.measured, 5);
        assert!(
            memory.each_bytes < EACH && measured.more > 5,
            "{measured:?}"
        );
        // Containers of nobody, or of who had the slot before, take memory and
        // hold no place.
        let stranger = TenantName::parse("stranger").unwrap();
        for n in [1, 900] {
            bed.memory.run(slot(n), &stranger, GIB);
        }
        tokio::time::sleep(EVERY * 2).await;
        let full = bed.view();
        assert_eq!((full.more, full.memory.unwrap().measured), (0, 5));
        assert_eq!(bed.problems(), [ErrorCode::NodeFull]);
        assert!(bed.capacity.is_full(&BTreeSet::new()));
        // Who leaves makes room at once.
        bed.specs.change(|spec| drop(spec.tenants.pop_last()));
        tokio::time::sleep(provisioning::node::TICK * 2).await;
        assert_eq!(bed.capacity.node.held_slots().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_holds_for_a_while_and_then_nothing_is_known() {
        let bed = Bed::new(0, 0).await;
        assert_eq!(bed.view().more, 0);
        bed.memory.state().reading = None;
        tokio::time::sleep(GOOD - EVERY).await;
        assert_eq!(bed.view().more, 0, "Docker may only be restarted");
        tokio::time::sleep(EVERY * 2).await;
        assert_eq!((bed.view().more, bed.view().memory), (1_000, None));
        assert_eq!(bed.problems(), [ErrorCode::MemoryUnknown]);
        assert_eq!(bed.capacity.most(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_never_comes_back_is_given_up() {
        let bed = Bed::new(0, 3).await;
        bed.memory.state().hangs = true;
        tokio::time::sleep(GOOD + LONGEST).await;
        assert_eq!(bed.problems(), [ErrorCode::MemoryUnknown]);
        bed.memory.state().hangs = false;
        tokio::time::sleep(LONGEST + AGAIN).await;
        assert_eq!((bed.view().more, bed.problems()), (3, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn asking_reads_a_number_and_no_machine() {
        let bed = Bed::new(3, 10).await;
        let before = bed.memory.state().reads;
        for _ in 0..10_000 {
            assert!(!bed.capacity.is_full(&BTreeSet::new()));
            assert_eq!((bed.view().more, bed.capacity.most()), (7, Some(10)));
        }
        assert_eq!(bed.memory.state().reads, before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_that_is_held_and_excluded_is_one() {
        let bed = Bed::new(3, 2_000).await;
        let unusable: BTreeSet<Slot> = (3..=10).map(slot).collect();
        let view = bed
            .capacity
            .view(&bed.capacity.node.held_slots(), &unusable);
        assert_eq!((view.slots_free, view.more), (990, 990));
    }
}
