//! Tests of the capacity of a node, over a memory that tests set.

use super::*;
use crate::test_node;
use domain::TenantName;
use provisioning::capacity::DEFAULT_COST;
use testkit::{
    fakes::{FakeMachine, FakeMemory, FakeSpecs},
    samples,
};

const GIB: u64 = 1 << 30;
/// The assumed cost of a tenant before any was measured.
const PER_TENANT: u64 = DEFAULT_COST / 10 * 11;

struct Rig {
    capacity: Arc<Capacity>,
    memory: FakeMemory,
    specs: FakeSpecs,
}

impl Rig {
    /// Builds a node that holds tenants in the slots from 1, none of them
    /// running, and whose memory suffices for that many.
    async fn new(held: u16, max_tenants: u64) -> Self {
        let specs = FakeSpecs::default();
        let root = std::path::Path::new("/nowhere");
        let settings = samples::settings(root);
        specs.change(|spec| {
            for n in 1..=held {
                let t = samples::tenant(&settings, n, 0);
                spec.tenants.insert(t.slot, t.into());
            }
        });
        let machine = FakeMachine::new();
        let (node, handle) = test_node::node(&machine, Arc::new(specs.clone()), root);
        tokio::spawn(node.run(std::future::pending()));
        let memory = FakeMemory::with(8 * GIB, GIB + max_tenants * PER_TENANT + PER_TENANT / 2);
        let settings = CapacitySettings {
            memory: Some(Arc::new(memory.clone())),
            reserve: Some(GIB),
            max_tenants: None,
        };
        let capacity = Arc::new(Capacity::new(settings, handle));
        let background = capacity.clone();
        tokio::spawn(async move { background.run().await });
        tokio::time::sleep(RETRY_INTERVAL * 2).await;
        Self {
            capacity,
            memory,
            specs,
        }
    }

    fn view(&self) -> CapacityView {
        let held = self.capacity.node.used_slots();
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
async fn an_admitted_tenant_counts_before_it_runs() {
    let rig = Rig::new(4, 10).await;
    assert_eq!((rig.view().more, rig.capacity.max_tenants()), (6, Some(10)));
    assert_eq!(rig.view().slots_free, 996);
}

#[tokio::test(start_paused = true)]
async fn the_measured_cost_of_tenants_changes_the_number() {
    let rig = Rig::new(5, 10).await;
    for n in 1..=5 {
        let name = TenantName::parse(&format!("tenant{n}")).unwrap();
        rig.memory.run(slot(n), &name, 10 << 20);
    }
    tokio::time::sleep(INTERVAL * 2).await;
    let measured = rig.view();
    let memory = measured.memory.unwrap();
    assert_eq!(memory.measured, 5);
    assert!(
        memory.each_bytes < PER_TENANT && measured.more > 5,
        "{measured:?}"
    );
    // A container of no tenant, or of the slot's previous tenant, takes memory
    // and does not count as a tenant.
    let stranger = TenantName::parse("stranger").unwrap();
    for n in [1, 900] {
        rig.memory.run(slot(n), &stranger, GIB);
    }
    tokio::time::sleep(INTERVAL * 2).await;
    let full = rig.view();
    assert_eq!((full.more, full.memory.unwrap().measured), (0, 5));
    assert_eq!(rig.problems(), [ErrorCode::NodeFull]);
    assert!(rig.capacity.is_full(&BTreeSet::new()));
    // A deleted tenant makes room at once.
    rig.specs.change(|spec| drop(spec.tenants.pop_last()));
    tokio::time::sleep(provisioning::node::TICK * 2).await;
    assert_eq!(rig.capacity.node.used_slots().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_reading_is_used_for_a_while() {
    let rig = Rig::new(0, 0).await;
    assert_eq!(rig.view().more, 0);
    rig.memory.state().reading = None;
    tokio::time::sleep(MAX_AGE - INTERVAL).await;
    assert_eq!(rig.view().more, 0, "Docker may only be restarting");
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!((rig.view().more, rig.view().memory), (1_000, None));
    assert_eq!(rig.problems(), [ErrorCode::MemoryUnknown]);
    assert_eq!(rig.capacity.max_tenants(), None);
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_is_given_up() {
    let rig = Rig::new(0, 3).await;
    rig.memory.state().hangs = true;
    tokio::time::sleep(MAX_AGE + READ_TIMEOUT).await;
    assert_eq!(rig.problems(), [ErrorCode::MemoryUnknown]);
    rig.memory.state().hangs = false;
    tokio::time::sleep(READ_TIMEOUT + RETRY_INTERVAL).await;
    assert_eq!((rig.view().more, rig.problems()), (3, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_request_does_not_read_the_machine() {
    let rig = Rig::new(3, 10).await;
    let before = rig.memory.state().reads;
    for _ in 0..10_000 {
        assert!(!rig.capacity.is_full(&BTreeSet::new()));
        assert_eq!((rig.view().more, rig.capacity.max_tenants()), (7, Some(10)));
    }
    assert_eq!(rig.memory.state().reads, before);
}

#[tokio::test(start_paused = true)]
async fn a_held_and_excluded_slot_counts_once() {
    let rig = Rig::new(3, 2_000).await;
    let unusable: BTreeSet<Slot> = (3..=10).map(slot).collect();
    let view = rig
        .capacity
        .view(&rig.capacity.node.used_slots(), &unusable);
    assert_eq!((view.slots_free, view.more), (990, 990));
}
