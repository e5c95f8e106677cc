//! Admission by memory: what is measured decides how many tenants there may be,
//! however many ask at once, and whoever does not fit is refused before
//! anything is made.
#![allow(clippy::unwrap_used)]

use control::{
    CapacitySettings, Control, ControlParts, ControlSettings, Entropy, SignUp, StoreSpecs,
};
use domain::{
    AddressPlan, ErrorCode, Failure, OperatorScope, Secret, TenantName, TenantScope, Timestamp,
    view::{CapacityView, OperatorView},
};
use provisioning::{Node, NodePorts, capacity::USUAL_COST};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};
use store::{LOCAL_NODE, Store};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    memory::FakeMemory,
    samples,
};
use tokio::task::JoinHandle;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// What one is taken to cost before any was measured.
const EACH: u64 = USUAL_COST / 10 * 11;
const GIB: u64 = 1 << 30;

struct Bed {
    control: Control,
    store: Store,
    machine: FakeMachine,
    measuring: JoinHandle<()>,
    _root: tempfile::TempDir,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.measuring.abort();
    }
}

impl Bed {
    async fn new(capacity: CapacitySettings) -> Self {
        let root = tempfile::tempdir().unwrap();
        let machine = FakeMachine::new();
        let store = Store::memory().await.unwrap();
        let all = Arc::new(machine.clone());
        let ports = NodePorts {
            wireguard: all.clone(),
            firewall: all.clone(),
            containers: all.clone(),
            dns: all.clone(),
            folders: all,
            specs: Arc::new(StoreSpecs::new(store.clone(), LOCAL_NODE)),
        };
        let (node, handle) = Node::new(ports, samples::settings(root.path()));
        tokio::spawn(node.run(std::future::pending()));
        let control = Control::new(ControlParts {
            store: store.clone(),
            node: handle,
            clock: Arc::new(FakeClock::at(Timestamp::from_secs(1_795_478_400))),
            entropy: Entropy::system(),
            settings: ControlSettings {
                addresses: AddressPlan::default(),
                public_host: "vpn.example.org".to_owned(),
                node: LOCAL_NODE,
                excluded_slots: BTreeSet::new(),
                sign_ups_per_hour: 0,
            },
            capacity,
        });
        let background = control.clone();
        let measuring = tokio::spawn(async move { background.run().await });
        Self {
            control,
            store,
            machine,
            measuring,
            _root: root,
        }
    }

    /// A node whose memory has room for so many tenants.
    async fn carrying(tenants: u64) -> (Self, FakeMemory) {
        let memory = FakeMemory::with(8 * GIB, GIB + tenants * EACH + EACH / 2);
        let bed = Self::new(CapacitySettings {
            memory: Some(Arc::new(memory.clone())),
            reserve: Some(GIB),
            most: None,
        })
        .await;
        bed.until(|v| v.memory.is_some()).await;
        (bed, memory)
    }

    async fn view(&self) -> OperatorView {
        let operator = OperatorScope::issue("admin");
        self.control.operator_view(&operator).await.unwrap()
    }

    async fn until(&self, seen: impl Fn(&CapacityView) -> bool) -> CapacityView {
        for _ in 0..1_000 {
            let view = self.view().await.capacity;
            if seen(&view) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it stays at {:?}", self.view().await.capacity);
    }

    async fn sign_up(&self, name: &str) -> Result<(), Failure> {
        sign_up(&self.control, name).await
    }

    async fn scope(&self, name: &str) -> TenantScope {
        let name = TenantName::parse(name).unwrap();
        let tenant = self.store.tenant_by_name(&name).await.unwrap().unwrap();
        TenantScope::issue(tenant.id, name, "test")
    }

    /// All that a sign-up could have made.
    async fn made(&self) -> (u64, i64, i64, Vec<String>) {
        let counts = self.store.counts().await.unwrap();
        let generation = self.store.generation(LOCAL_NODE).await.unwrap();
        let machine = self.machine.state();
        let mut made: Vec<String> = machine.folders.keys().cloned().collect();
        made.extend(machine.containers.ours.iter().map(|c| c.name.clone()));
        made.extend(machine.interfaces.keys().map(|s| s.interface()));
        (generation, counts.tenants, counts.audit, made)
    }
}

async fn sign_up(control: &Control, name: &str) -> Result<(), Failure> {
    let form = || SignUp {
        name: name.to_owned(),
        password: Secret::new("correct horse battery staple"),
        plan: "personal".to_owned(),
    };
    loop {
        match control.sign_up(form(), FROM).await {
            // The queue of passwords is shorter than the crowd.
            Err(f) if f.code == ErrorCode::Busy => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result.map(|_| ()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_are_as_many_as_the_memory_carries() {
    let (bed, _) = Bed::carrying(7).await;
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let control = bed.control.clone();
            tokio::spawn(async move { sign_up(&control, &format!("crowd{n}")).await })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => made += 1,
            Err(f) => {
                assert_eq!(f.code, ErrorCode::NodeFull);
                assert!(f.sentence.contains("full"), "{f}");
            }
        }
    }
    assert_eq!(made, 7);
    assert_eq!(bed.store.counts().await.unwrap().tenants, 7);
    let view = bed.view().await;
    assert_eq!((view.capacity.more, view.capacity.slots_free), (0, 993));
    let told = view
        .problems
        .iter()
        .find(|p| p.code == ErrorCode::NodeFull)
        .unwrap();
    assert!(told.sentence.contains("memory_reserve_mb"), "{told:?}");
}

#[tokio::test]
async fn who_does_not_fit_is_refused_before_anything_is_made() {
    let (bed, _) = Bed::carrying(1).await;
    assert!(!bed.control.is_full());
    bed.sign_up("lina").await.unwrap();
    let lina = bed.scope("lina").await;
    for _ in 0..500 {
        if bed.control.progress(&lina).await.unwrap().status.is_ready() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(bed.control.is_full());
    let before = bed.made().await;
    assert_eq!(before.3.len(), 3, "{before:?}");
    let refused = bed.sign_up("omar").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NodeFull);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bed.made().await, before);
    assert!(bed.control.check_name("omar").await.is_ok());

    // A suspended tenant comes back some day: the place stays theirs.
    bed.control.set_suspended(&lina, true).await.unwrap();
    assert_eq!(
        bed.sign_up("omar").await.unwrap_err().code,
        ErrorCode::NodeFull
    );
    bed.control.delete_tenant(&lina).await.unwrap();
    bed.sign_up("omar").await.unwrap();
}

#[tokio::test]
async fn where_the_memory_cannot_be_read_slots_decide_and_the_operator_is_told() {
    let memory = FakeMemory::default();
    let bed = Bed::new(CapacitySettings {
        memory: Some(Arc::new(memory.clone())),
        ..CapacitySettings::default()
    })
    .await;
    for _ in 0..500 {
        if bed
            .view()
            .await
            .problems
            .iter()
            .any(|p| p.code == ErrorCode::MemoryUnknown)
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let view = bed.view().await;
    assert_eq!((view.capacity.more, view.capacity.memory), (1_000, None));
    let told = &view.problems[0].sentence;
    assert!(told.contains("free slots alone decide"), "{told}");
    assert!(told.contains("cannot be read here"), "{told}");
    bed.sign_up("lina").await.unwrap();
    // As soon as it can be read, it counts.
    *memory.state() = std::mem::take(&mut *FakeMemory::with(8 * GIB, GIB / 2).state());
    bed.until(|v| v.more == 0).await;
    assert!(
        bed.view()
            .await
            .problems
            .iter()
            .all(|p| p.code != ErrorCode::MemoryUnknown)
    );
}

#[tokio::test]
async fn the_operators_own_limit_holds_without_any_measure() {
    let bed = Bed::new(CapacitySettings {
        most: Some(2),
        ..CapacitySettings::default()
    })
    .await;
    bed.sign_up("one-1").await.unwrap();
    bed.sign_up("two-2").await.unwrap();
    assert_eq!(
        bed.sign_up("three").await.unwrap_err().code,
        ErrorCode::NodeFull
    );
    let view = bed.view().await.capacity;
    assert_eq!((view.more, view.limit, view.memory), (0, Some(2), None));
}
