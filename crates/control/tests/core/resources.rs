//! Who uses how much, and what a nearly full disk means for sign-ups.

use crate::rig::{FROM, Options, Rig, code, form};
use agent::{ContainerUse, DiskLimits, DiskUse, FileSystem, Resources};
use async_trait::async_trait;
use domain::{ErrorCode, Message, OwnerScope, Slot, TenantName, view::ResourcesView};
use provisioning::{ports::PortResult, spec::DnsInstance};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use store::LOCAL_NODE;

const MIB: u64 = 1 << 20;

/// A machine with this many percent of its disk free.
struct Machine {
    free_percent: AtomicU64,
}

#[async_trait]
impl Resources for Machine {
    async fn disk(&self, name: &TenantName) -> PortResult<DiskUse> {
        let bytes = if name.as_str() == "lina" { 48 * MIB } else { 0 };
        Ok(DiskUse { bytes, entries: 3 })
    }

    async fn file_system(&self) -> PortResult<FileSystem> {
        let percent = self.free_percent.load(Ordering::SeqCst);
        Ok(FileSystem {
            total: 100 * MIB,
            available: percent * MIB,
        })
    }

    async fn trim(&self, _dns: &DnsInstance) -> PortResult<u64> {
        Ok(0)
    }

    async fn clear(&self, _dns: &DnsInstance) -> PortResult<u64> {
        Ok(0)
    }

    async fn drop_lists(&self, _dns: &DnsInstance) -> PortResult<u64> {
        Ok(0)
    }

    async fn containers(&self) -> PortResult<Vec<ContainerUse>> {
        Ok(vec![ContainerUse {
            slot: Slot::FIRST,
            tenant: "lina".to_owned(),
            id: "a".to_owned(),
            memory_bytes: 30 * MIB,
            cpu: None,
        }])
    }

    async fn connections(&self) -> PortResult<BTreeMap<Slot, u64>> {
        Ok([(Slot::FIRST, 17)].into())
    }
}

async fn rig() -> (Rig, Arc<Machine>) {
    let machine = Arc::new(Machine {
        free_percent: AtomicU64::new(50),
    });
    let options = Options {
        resources: Some((machine.clone(), DiskLimits::default())),
        ..Options::default()
    };
    (Rig::with(options).await, machine)
}

/// Waits until the operator's table satisfies the condition, and returns it.
async fn wait_until(rig: &Rig, condition: impl Fn(&ResourcesView) -> bool) -> ResourcesView {
    let operator = OwnerScope::issue("admin");
    for _ in 0..1_000 {
        let view = rig.control.operators().resources(&operator).await.unwrap();
        if condition(&view) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the table never becomes so");
}

#[tokio::test]
async fn the_operator_sees_what_each_tenant_uses() {
    let (rig, _machine) = rig().await;
    let lina = rig.tenant("lina").await;
    rig.tenant("omar").await;
    rig.wait_until_ready(&lina).await;
    let is_measured = |v: &ResourcesView| {
        let measured = v.rows.iter().filter(|r| r.disk_bytes.is_some());
        measured.count() == 2 && v.rows[0].connections.is_some()
    };
    let view = wait_until(&rig, is_measured).await;
    let [first, second] = &view.rows[..] else {
        panic!("{view:?}");
    };
    assert_eq!((first.name.as_str(), first.slot), ("lina", 1));
    assert_eq!(first.disk_bytes, Some(48 * MIB));
    assert_eq!(first.memory_bytes, Some(30 * MIB));
    assert_eq!((first.connections, first.cpu_percent), (Some(17), None));
    let limits = first.limits;
    assert_eq!(limits.disk_bytes, Some(DiskLimits::default().hard_bytes));
    assert_eq!(limits.connections, Some(16_000));
    assert!(limits.memory_bytes.is_some() && limits.cpu_percent.is_some());
    assert_eq!(
        (second.name.as_str(), second.memory_bytes),
        ("omar", Some(0))
    );
    assert_eq!(second.connections, Some(0));
    let [node] = &view.nodes[..] else {
        panic!("{view:?}");
    };
    let disk = node.disk.unwrap();
    assert_eq!(
        (disk.total_bytes, disk.free_bytes, disk.low),
        (100 * MIB, 50 * MIB, false)
    );
    assert_eq!((&node.node, &node.problem), (&None, &None));
}

#[tokio::test]
async fn a_node_that_measures_nothing_leaves_the_figures_out() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    rig.wait_until_ready(&lina).await;
    let view = wait_until(&rig, |v| v.rows.len() == 1).await;
    assert_eq!((view.nodes[0].disk, view.rows[0].disk_bytes), (None, None));
}

#[tokio::test]
async fn a_nearly_full_disk_refuses_sign_ups() {
    let (rig, machine) = rig().await;
    let lina = rig.tenant("lina").await;
    rig.wait_until_ready(&lina).await;
    machine.free_percent.store(4, Ordering::SeqCst);
    wait_until(&rig, |v| v.nodes[0].disk.is_some_and(|d| d.low)).await;
    assert!(rig.control.nodes().is_full().await.unwrap());
    let generation = rig.store.generation(LOCAL_NODE).await.unwrap();
    let refused = rig.control.tenants().sign_up(form("omar"), FROM).await;
    assert_eq!(code(refused), ErrorCode::NodeFull);
    assert_eq!(rig.store.generation(LOCAL_NODE).await.unwrap(), generation);
    let problems = rig.operator_view().await.problems;
    let of = |code| problems.iter().find(|p| p.problem.code == code);
    assert_eq!(
        of(ErrorCode::NodeFull).unwrap().problem.message,
        Message::NodeFullDisk
    );
    let low = Message::DiskLow { percent: 5 };
    assert_eq!(of(ErrorCode::DiskLow).unwrap().problem.message, low);
    // Who is there stays, and there is room again at 7 %.
    machine.free_percent.store(6, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(rig.control.nodes().is_full().await.unwrap());
    machine.free_percent.store(7, Ordering::SeqCst);
    wait_until(&rig, |v| v.nodes[0].disk.is_some_and(|d| !d.low)).await;
    rig.tenant("omar").await;
    assert!(rig.operator_view().await.problems.is_empty());
}
