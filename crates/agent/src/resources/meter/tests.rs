//! Tests of the meter, over a machine whose figures the tests set.

use super::*;
use crate::resources::source::{DiskUse, FileSystem};
use async_trait::async_trait;
use domain::{Part, ResourceLimits};
use provisioning::{Node, NodePorts, node::TICK, spec::DnsInstance};
use testkit::{
    fakes::{FakeMachine, FakeSpecs},
    samples,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const LIMITS: DiskLimits = DiskLimits {
    soft_bytes: 100 * MIB,
    hard_bytes: 200 * MIB,
    min_free_percent: 5,
};

/// What of a tenant's files nothing removes.
const KEPT: u64 = 170 * MIB;

/// What the machine is, and what was asked of it.
#[derive(Default)]
struct State {
    /// Bytes of the query log and of everything else, by tenant.
    disk: BTreeMap<String, (u64, u64)>,
    available: u64,
    entries: u64,
    containers: Option<Vec<ContainerUse>>,
    connections: BTreeMap<Slot, u64>,
    fails: bool,
    hangs_for: Option<String>,
    /// Readings of files, with their time.
    readings: Vec<(Instant, String)>,
    trims: usize,
    clears: Vec<Slot>,
    /// Calls of any kind.
    calls: usize,
}

#[derive(Clone, Default)]
struct FakeResources(Arc<Mutex<State>>);

impl FakeResources {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn fail_on_demand(&self) -> PortResult<()> {
        let mut state = self.state();
        state.calls += 1;
        let message = Message::FileSystemUnread {
            path: "/".to_owned(),
        };
        match state.fails {
            true => Err(PortError::new(ErrorCode::DiskUnavailable, message)),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Resources for FakeResources {
    async fn disk(&self, name: &TenantName) -> PortResult<DiskUse> {
        self.fail_on_demand()?;
        let hangs = self.state().hangs_for.as_deref() == Some(name.as_str());
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        state.readings.push((Instant::now(), name.to_string()));
        let (log, rest) = state.disk.get(name.as_str()).copied().unwrap_or_default();
        Ok(DiskUse {
            bytes: log + rest,
            entries: state.entries,
        })
    }

    async fn file_system(&self) -> PortResult<FileSystem> {
        self.fail_on_demand()?;
        Ok(FileSystem {
            total: 100 * GIB,
            available: self.state().available,
        })
    }

    async fn trim(&self, dns: &DnsInstance) -> PortResult<u64> {
        self.fail_on_demand()?;
        let mut state = self.state();
        state.trims += 1;
        let disk = state.disk.get_mut(&format!("tenant{}", dns.slot)).unwrap();
        let freed = disk.0 / 2;
        disk.0 -= freed;
        Ok(freed)
    }

    async fn clear(&self, dns: &DnsInstance) -> PortResult<u64> {
        self.fail_on_demand()?;
        let mut state = self.state();
        state.clears.push(dns.slot);
        let disk = state.disk.get_mut(&format!("tenant{}", dns.slot)).unwrap();
        Ok(std::mem::take(&mut disk.0))
    }

    async fn drop_lists(&self, dns: &DnsInstance) -> PortResult<u64> {
        self.fail_on_demand()?;
        let mut state = self.state();
        let disk = state.disk.get_mut(&format!("tenant{}", dns.slot)).unwrap();
        let lists = disk.1.saturating_sub(KEPT);
        disk.1 -= lists;
        Ok(lists)
    }

    async fn containers(&self) -> PortResult<Vec<ContainerUse>> {
        self.fail_on_demand()?;
        let message = Message::ContainerMemoryUnknown;
        let unknown = PortError::new(ErrorCode::MemoryUnknown, message);
        self.state().containers.clone().ok_or(unknown)
    }

    async fn connections(&self) -> PortResult<BTreeMap<Slot, u64>> {
        self.fail_on_demand()?;
        Ok(self.state().connections.clone())
    }
}

struct Rig {
    meter: Arc<ResourceMeter>,
    resources: FakeResources,
    machine: FakeMachine,
    engine: NodeHandle,
    events: broadcast::Receiver<EventKind>,
    _root: tempfile::TempDir,
}

impl Rig {
    /// Starts a node with tenants in the slots from 1, and the meter.
    async fn new(tenants: u16) -> Self {
        let root = tempfile::tempdir().unwrap();
        let specs = FakeSpecs::default();
        let settings = samples::settings(root.path());
        specs.change(|spec| {
            for n in 1..=tenants {
                let t = samples::tenant(&settings, n, 1);
                spec.tenants.insert(t.slot, t.into());
            }
        });
        let machine = FakeMachine::new();
        let all = Arc::new(machine.clone());
        let ports = NodePorts {
            wireguard: all.clone(),
            firewall: all.clone(),
            shaping: all.clone(),
            connections: all.clone(),
            containers: all.clone(),
            dns: all.clone(),
            folders: all,
            specs: Arc::new(specs),
        };
        let (node, engine) = Node::new(ports, settings);
        tokio::spawn(node.run(std::future::pending()));
        let resources = FakeResources::default();
        resources.state().available = 50 * GIB;
        let read: Arc<dyn Resources> = Arc::new(resources.clone());
        let meter = Arc::new(ResourceMeter::new(
            Some(read),
            LIMITS,
            ResourceLimits::default(),
            engine.clone(),
        ));
        let events = meter.events();
        let background = meter.clone();
        tokio::spawn(async move { background.run().await });
        tokio::time::sleep(TICK * 3).await;
        Self {
            meter,
            resources,
            machine,
            engine,
            events,
            _root: root,
        }
    }

    fn write(&self, n: u16, log: u64, rest: u64) {
        let sizes = (log * MIB, rest * MIB);
        self.resources
            .state()
            .disk
            .insert(format!("tenant{n}"), sizes);
    }

    /// Makes the containers that the engine has started visible to the meter.
    fn mirror_containers(&self) {
        let ours = self.machine.state().containers.ours.clone();
        let usage = ours.into_iter().filter_map(|c| {
            let slot = c.slot?;
            Some(ContainerUse {
                slot,
                tenant: format!("tenant{slot}"),
                id: c.id,
                memory_bytes: 30 * MIB,
                cpu: None,
            })
        });
        self.resources.state().containers = Some(usage.collect());
    }

    fn has_container(&self, n: u16) -> bool {
        let machine = self.machine.state();
        machine
            .containers
            .ours
            .iter()
            .any(|c| c.slot == Slot::new(n))
    }

    fn dns(&self, n: u16) -> Part {
        self.engine.tenant(slot(n)).unwrap().status.dns
    }

    fn codes(&mut self) -> Vec<String> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        events
            .map(|e| format!("{} {}", e.code(), e.tenant().unwrap().slot))
            .collect()
    }

    fn usage(&self, n: u16) -> ResourceUsage {
        let all = self.meter.report().unwrap();
        all.into_iter().find(|u| u.slot == slot(n)).unwrap()
    }
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_query_log_that_grows_is_trimmed_while_it_runs() {
    let mut rig = Rig::new(2).await;
    rig.write(1, 120, 20);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(rig.codes(), ["disk.trimmed 1"]);
    assert_eq!(rig.usage(1).disk_bytes, Some(80 * MIB));
    assert!(rig.has_container(1) && rig.has_container(2));
    assert_eq!(rig.resources.state().trims, 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_uses_too_much_is_stopped_cleared_and_started_again() {
    let mut rig = Rig::new(2).await;
    rig.mirror_containers();
    rig.write(1, 250, 20);
    tokio::time::sleep(INTERVAL + STEP * 4).await;
    assert_eq!(rig.codes(), ["disk.full 1"]);
    tokio::time::sleep(STEP * 4).await;
    assert!(!rig.has_container(1) && rig.has_container(2));
    assert!(
        matches!(rig.dns(1), Part::Problem(p) if p.message == Message::DnsDiskFull),
        "the tenant is told why"
    );
    // As long as the meter may think that it runs, nothing of it is removed.
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(rig.resources.state().clears, []);
    rig.mirror_containers();
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(rig.resources.state().clears, [slot(1)]);
    assert_eq!(rig.codes(), ["disk.back 1"]);
    tokio::time::sleep(TICK).await;
    assert!(rig.has_container(1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_cleared_stays_stopped() {
    let mut rig = Rig::new(1).await;
    rig.write(1, 10, 250);
    tokio::time::sleep(INTERVAL * 2).await;
    rig.mirror_containers();
    tokio::time::sleep(INTERVAL * 20).await;
    assert_eq!(rig.codes(), ["disk.full 1", "disk.lists 1"]);
    assert!(!rig.has_container(1));
    assert!(rig.resources.state().clears.len() >= 2, "it is tried again");
    // The operator made room.
    rig.write(1, 0, 20);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(rig.codes(), ["disk.back 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_nearly_full_disk_is_a_problem_of_the_node() {
    let mut rig = Rig::new(3).await;
    rig.write(1, 0, 20);
    rig.write(2, 0, 20);
    tokio::time::sleep(INTERVAL * 2).await;
    let mut changes = rig.meter.problem_changes();
    assert_eq!(
        (rig.meter.problem(), changes.has_changed().unwrap()),
        (None, false)
    );
    rig.resources.state().available = 4 * GIB;
    tokio::time::sleep(STEP * 4).await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(rig.meter.problem().unwrap().code, ErrorCode::DiskLow);
    assert!(rig.meter.space().unwrap().low);
    assert!(rig.codes().is_empty() && rig.has_container(1));
    // A tenant that writes is stopped, the others are not.
    rig.write(2, 0, 40);
    tokio::time::sleep(INTERVAL * 2).await;
    assert_eq!(rig.codes(), ["disk.held 2"]);
    assert!(rig.has_container(1) && !rig.has_container(2));
    let problem = |rig: &Rig, n| match rig.dns(n) {
        Part::Problem(p) => Some((p.code, p.message)),
        _ => None,
    };
    let held = Some((ErrorCode::DiskLow, Message::DnsDiskHeld));
    assert_eq!((problem(&rig, 2), problem(&rig, 1)), (held, None));
    rig.resources.state().available = GIB;
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(rig.codes(), ["disk.held 1", "disk.held 3"]);
    assert!((1..=3).all(|n| !rig.has_container(n)));
    rig.resources.state().available = 20 * GIB;
    tokio::time::sleep(TICK * 2).await;
    assert_eq!(rig.codes(), ["disk.back 1", "disk.back 2", "disk.back 3"]);
    assert!((1..=3).all(|n| rig.has_container(n)));
    assert_eq!(rig.meter.problem(), None);
    changes.mark_unchanged();
    tokio::time::sleep(INTERVAL).await;
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_changes_nothing() {
    let mut rig = Rig::new(2).await;
    rig.mirror_containers();
    rig.write(1, 250, 0);
    rig.resources.state().connections = [(slot(1), 7)].into();
    tokio::time::sleep(INTERVAL * 2).await;
    rig.resources.state().available = 4 * GIB;
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(rig.codes(), ["disk.full 1"]);
    assert!(rig.usage(2).memory_bytes.is_some());
    rig.resources.state().fails = true;
    tokio::time::sleep(INTERVAL * 3).await;
    assert!(!rig.has_container(1) && rig.has_container(2));
    assert_eq!(
        rig.usage(1).connections,
        Some(7),
        "for a while it is still reported"
    );
    tokio::time::sleep(MAX_AGE).await;
    let unknown = ResourceUsage {
        slot: slot(1),
        name: TenantName::parse("tenant1").unwrap(),
        disk_bytes: None,
        memory_bytes: None,
        cpu_percent: None,
        connections: None,
        limits: ResourceLimits::default(),
    };
    assert_eq!(rig.usage(1), unknown);
    assert_eq!(rig.meter.space(), None);
    assert!(
        rig.meter.problem().is_some(),
        "it was low, and may still be"
    );
    assert_eq!(
        (rig.codes(), rig.resources.state().clears.len()),
        (vec![], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_files_hang_delays_the_others_for_a_while_only() {
    let rig = Rig::new(3).await;
    rig.resources.state().hangs_for = Some("tenant1".to_owned());
    rig.write(3, 0, 50);
    tokio::time::sleep(TIMEOUT + INTERVAL * 2).await;
    assert_eq!(rig.usage(3).disk_bytes, Some(50 * MIB));
    assert!(rig.usage(2).disk_bytes.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_tenants_are_measured_a_few_at_a_time() {
    let rig = Rig::new(1000).await;
    rig.resources.state().readings.clear();
    let begin = Instant::now();
    tokio::time::sleep(INTERVAL * 6).await;
    let readings = std::mem::take(&mut rig.resources.state().readings);
    let mut by_second = BTreeMap::<u64, usize>::new();
    let mut by_tenant = BTreeMap::<String, usize>::new();
    for (at, name) in readings {
        *by_second.entry((at - begin).as_secs()).or_default() += 1;
        *by_tenant.entry(name).or_default() += 1;
    }
    assert_eq!(by_tenant.len(), 1000);
    assert!(
        by_tenant.values().all(|n| (5..=7).contains(n)),
        "{by_tenant:?}"
    );
    let most = by_second.values().max().unwrap();
    assert!(*most <= 200, "{by_second:?}");
    // With many files each, they wait instead.
    rig.resources.state().entries = ENTRIES_PER_STEP;
    tokio::time::sleep(INTERVAL).await;
    let slow = rig.resources.state().readings.len();
    assert!(slow <= 45, "{slow} in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_report_reads_nothing() {
    let rig = Rig::new(2).await;
    rig.resources.state().connections = [(slot(2), 3)].into();
    let container = |cpu| ContainerUse {
        slot: slot(1),
        tenant: "tenant1".to_owned(),
        id: "a".to_owned(),
        memory_bytes: 30 * MIB,
        cpu: Some(Duration::from_secs(cpu)),
    };
    rig.write(1, 1, 2);
    for cpu in [10, 15] {
        rig.resources.state().containers = Some(vec![container(cpu)]);
        tokio::time::sleep(INTERVAL).await;
    }
    let calls = rig.resources.state().calls;
    for _ in 0..1000 {
        let first = rig.usage(1);
        assert_eq!(first.disk_bytes, Some(3 * MIB));
        assert_eq!(first.memory_bytes, Some(30 * MIB));
        assert_eq!(
            (first.cpu_percent, first.connections),
            (Some(50.0), Some(0))
        );
        let second = rig.usage(2);
        assert_eq!(
            (second.memory_bytes, second.cpu_percent),
            (Some(0), Some(0.0))
        );
        assert_eq!(second.connections, Some(3));
    }
    assert_eq!(rig.resources.state().calls, calls);
    // The container of the slot's former tenant is not the present one's.
    rig.resources.state().containers = Some(vec![ContainerUse {
        tenant: "stranger".to_owned(),
        ..container(20)
    }]);
    tokio::time::sleep(INTERVAL).await;
    assert_eq!(rig.usage(1).memory_bytes, Some(0));
}
