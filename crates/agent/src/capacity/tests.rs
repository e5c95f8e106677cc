//! Tests of the measurement, over a memory that tests set.

use super::*;
use domain::{Slot, TenantName};
use provisioning::{Node, NodePorts, capacity::DEFAULT_COST};
use testkit::{
    fakes::{FakeMachine, FakeMemory, FakeSpecs},
    samples,
};

const GIB: u64 = 1 << 30;
/// The assumed cost of a tenant before any was measured.
const PER_TENANT: u64 = DEFAULT_COST / 10 * 11;

struct Rig {
    meter: Arc<CapacityMeter>,
    memory: FakeMemory,
    engine: NodeHandle,
    specs: FakeSpecs,
}

impl Rig {
    /// Builds a node that holds tenants in the slots from 1, none of them
    /// running, and whose memory suffices for that many.
    async fn new(held: u16, max_tenants: u64) -> Self {
        let specs = FakeSpecs::default();
        let settings = samples::settings(std::path::Path::new("/nowhere"));
        specs.change(|spec| {
            for n in 1..=held {
                let t = samples::tenant(&settings, n, 0);
                spec.tenants.insert(t.slot, t.into());
            }
        });
        let all = Arc::new(FakeMachine::new());
        let ports = NodePorts {
            wireguard: all.clone(),
            firewall: all.clone(),
            shaping: all.clone(),
            connections: all.clone(),
            containers: all.clone(),
            dns: all.clone(),
            folders: all,
            specs: Arc::new(specs.clone()),
        };
        let (node, engine) = Node::new(ports, settings);
        tokio::spawn(node.run(std::future::pending()));
        let memory = FakeMemory::with(8 * GIB, GIB + max_tenants * PER_TENANT + PER_TENANT / 2);
        let read = Some(Arc::new(memory.clone()) as Arc<dyn Memory>);
        let meter = Arc::new(CapacityMeter::new(read, Some(GIB), engine.clone()));
        let background = meter.clone();
        tokio::spawn(async move { background.run().await });
        tokio::time::sleep(RETRY_INTERVAL * 2).await;
        Self {
            meter,
            memory,
            engine,
            specs,
        }
    }

    fn estimate(&self) -> CapacityEstimate {
        self.meter.last().0.unwrap()
    }

    fn problem(&self) -> Option<ErrorCode> {
        self.meter.last().1.map(|p| p.code)
    }
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_estimate_counts_all_tenants_before_they_run() {
    let rig = Rig::new(4, 10).await;
    let estimate = rig.estimate();
    assert_eq!((estimate.max_tenants, estimate.measured), (10, 0));
    assert_eq!((estimate.reserve, rig.problem()), (GIB, None));
}

#[tokio::test(start_paused = true)]
async fn the_measured_cost_of_tenants_changes_the_number() {
    let rig = Rig::new(5, 10).await;
    for n in 1..=5 {
        let name = TenantName::parse(&format!("tenant{n}")).unwrap();
        rig.memory.run(slot(n), &name, 10 << 20);
    }
    tokio::time::sleep(INTERVAL * 2).await;
    let measured = rig.estimate();
    assert_eq!(measured.measured, 5);
    assert!(
        measured.per_tenant < PER_TENANT && measured.max_tenants > 10,
        "{measured:?}"
    );
    // A container of no tenant, or of the slot's previous tenant, takes memory
    // and does not count as a tenant.
    let stranger = TenantName::parse("stranger").unwrap();
    for n in [1, 900] {
        rig.memory.run(slot(n), &stranger, GIB);
    }
    tokio::time::sleep(INTERVAL * 2).await;
    let full = rig.estimate();
    assert_eq!((full.max_tenants, full.measured), (5, 5));
    // A deleted tenant makes room at once.
    rig.specs.change(|spec| drop(spec.tenants.pop_last()));
    tokio::time::sleep(provisioning::node::TICK * 2).await;
    assert_eq!(rig.engine.used_slots().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_reading_is_used_for_a_while() {
    let rig = Rig::new(0, 0).await;
    assert_eq!(rig.estimate().max_tenants, 0);
    rig.memory.state().reading = None;
    tokio::time::sleep(MAX_AGE - INTERVAL).await;
    let estimate = rig.estimate();
    assert_eq!(estimate.max_tenants, 0, "Docker may only be restarting");
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(rig.meter.last().0, None);
    assert_eq!(rig.problem(), Some(ErrorCode::MemoryUnknown));
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_hangs_is_given_up() {
    let rig = Rig::new(0, 3).await;
    rig.memory.state().hangs = true;
    tokio::time::sleep(MAX_AGE + READ_TIMEOUT).await;
    assert_eq!(rig.problem(), Some(ErrorCode::MemoryUnknown));
    rig.memory.state().hangs = false;
    tokio::time::sleep(READ_TIMEOUT + RETRY_INTERVAL).await;
    assert_eq!((rig.estimate().max_tenants, rig.problem()), (3, None));
}

#[tokio::test(start_paused = true)]
async fn a_report_does_not_read_the_machine() {
    let rig = Rig::new(3, 10).await;
    let before = rig.memory.state().reads;
    for _ in 0..10_000 {
        assert_eq!(rig.estimate().max_tenants, 10);
    }
    assert_eq!(rig.memory.state().reads, before);
}
