//! Admission by memory: the measured capacity decides how many tenants there may
//! be, however many sign up at the same time, and a sign-up that does not fit is
//! refused before anything is created.

use crate::rig::{FROM, Options, Rig, code, form};
use control::Control;
use domain::OwnerScope;
use domain::{
    ErrorCode, Failure, Message,
    view::{CapacityView, OperatorView},
};
use provisioning::capacity::DEFAULT_COST;
use std::{sync::Arc, time::Duration};
use store::LOCAL_NODE;
use testkit::fakes::FakeMemory;

/// The assumed cost of a tenant before any was measured.
const PER_TENANT: u64 = DEFAULT_COST / 10 * 11;
const GIB: u64 = 1 << 30;

async fn rig_with(memory: &FakeMemory, reserve: Option<u64>) -> Rig {
    Rig::with(Options {
        memory: Some((Arc::new(memory.clone()), reserve)),
        ..Options::default()
    })
    .await
}

/// Builds a node whose memory suffices for that many tenants.
async fn rig_with_memory_for(tenants: u64) -> Rig {
    let memory = FakeMemory::with(8 * GIB, GIB + tenants * PER_TENANT + PER_TENANT / 2);
    let rig = rig_with(&memory, Some(GIB)).await;
    wait_until(&rig, |v| v.capacity.memory.is_some()).await;
    rig
}

/// Waits until the operator's page satisfies the condition, and returns it.
async fn wait_until(rig: &Rig, condition: impl Fn(&OperatorView) -> bool) -> CapacityView {
    for _ in 0..1_000 {
        let view = rig.operator_view().await;
        if condition(&view) {
            return view.capacity;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it stays at {:?}", rig.operator_view().await.capacity);
}

fn has_problem(view: &OperatorView, code: ErrorCode) -> bool {
    view.problems.iter().any(|p| p.problem.code == code)
}

async fn sign_up(control: &Control, name: &str) -> Result<(), Failure> {
    loop {
        match control.tenants().sign_up(form(name), FROM).await {
            // The queue of the hasher is shorter than the crowd.
            Err(f) if f.code == ErrorCode::Busy => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result.map(|_| ()),
        }
    }
}

/// Returns everything that a sign-up could have created.
async fn created(rig: &Rig) -> (u64, i64, i64, Vec<String>) {
    let counts = rig.store.row_counts().await.unwrap();
    let generation = rig.store.generation(LOCAL_NODE).await.unwrap();
    let machine = rig.machine.state();
    let mut created: Vec<String> = machine.folders.keys().cloned().collect();
    created.extend(machine.containers.ours.iter().map(|c| c.name.clone()));
    created.extend(machine.interfaces.keys().map(|s| s.interface()));
    (generation, counts.tenants, counts.audit, created)
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sign_ups_do_not_exceed_the_memory() {
    let rig = rig_with_memory_for(7).await;
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let control = rig.control.clone();
            tokio::spawn(async move { sign_up(&control, &format!("crowd{n}")).await })
        })
        .collect();
    let mut succeeded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => succeeded += 1,
            Err(f) => {
                assert_eq!(f.code, ErrorCode::NodeFull);
                assert_eq!(f.message, Message::SignUpsFull);
            }
        }
    }
    assert_eq!(succeeded, 7);
    assert_eq!(rig.store.row_counts().await.unwrap().tenants, 7);
    let view = rig.operator_view().await;
    assert_eq!((view.capacity.more, view.capacity.slots_free), (0, 993));
    let problem = view
        .problems
        .iter()
        .find(|p| p.problem.code == ErrorCode::NodeFull)
        .unwrap();
    assert_eq!(problem.node, None, "the only node has no need of a name");
    assert_eq!(problem.problem.message, Message::NodeFullMemory);
}

#[tokio::test]
async fn a_refused_sign_up_creates_nothing() {
    let rig = rig_with_memory_for(1).await;
    assert!(!rig.control.nodes().is_full().await.unwrap());
    sign_up(&rig.control, "lina").await.unwrap();
    let lina = rig.scope("lina").await;
    rig.wait_until_ready(&lina).await;
    assert!(rig.control.nodes().is_full().await.unwrap());
    let before = created(&rig).await;
    assert_eq!(before.3.len(), 3, "{before:?}");
    let refused = sign_up(&rig.control, "omar").await;
    assert_eq!(code(refused), ErrorCode::NodeFull);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(created(&rig).await, before);
    assert!(rig.control.tenants().check_name("omar").await.is_ok());

    // A suspended tenant may be resumed, so it still counts.
    rig.control
        .tenants()
        .set_suspended(&OwnerScope::issue("admin"), &lina, true)
        .await
        .unwrap();
    let refused = sign_up(&rig.control, "omar").await;
    assert_eq!(code(refused), ErrorCode::NodeFull);
    rig.control.tenants().delete(&lina).await.unwrap();
    sign_up(&rig.control, "omar").await.unwrap();
}

#[tokio::test]
async fn slots_decide_while_the_memory_is_unreadable() {
    let memory = FakeMemory::default();
    let rig = rig_with(&memory, None).await;
    wait_until(&rig, |v| has_problem(v, ErrorCode::MemoryUnknown)).await;
    let view = rig.operator_view().await;
    assert_eq!((view.capacity.more, view.capacity.memory), (1_000, None));
    let path = "/proc/meminfo".to_owned();
    let reason = Box::new(Message::MeminfoUnreadable { path });
    assert_eq!(
        view.problems[0].problem.message,
        Message::MemoryUnmeasured { reason }
    );
    sign_up(&rig.control, "lina").await.unwrap();
    // As soon as the memory can be read, it counts.
    *memory.state() = std::mem::take(&mut *FakeMemory::with(8 * GIB, GIB / 2).state());
    wait_until(&rig, |v| v.capacity.more == 0).await;
    assert!(!has_problem(
        &rig.operator_view().await,
        ErrorCode::MemoryUnknown
    ));
}

#[tokio::test]
async fn the_operators_limit_holds_without_a_measurement() {
    let rig = Rig::with(Options {
        max_tenants: Some(2),
        ..Options::default()
    })
    .await;
    sign_up(&rig.control, "one-1").await.unwrap();
    sign_up(&rig.control, "two-2").await.unwrap();
    let refused = sign_up(&rig.control, "three").await;
    assert_eq!(code(refused), ErrorCode::NodeFull);
    let view = rig.operator_view().await.capacity;
    assert_eq!((view.more, view.limit, view.memory), (0, Some(2), None));
}
