//! The event log from end to end: another hand at the machine, and what is
//! read of it. The node looks every seven seconds, in real time.
#![allow(clippy::unwrap_used)]

use control::{
    Audience, CapacitySettings, Control, ControlParts, ControlSettings, DeviceChange, Entropy,
    NewDevice, SignUp, StoreSpecs,
};
use domain::{
    AddressPlan, FilterPolicy, OperatorScope, Routing, Secret, Slot, TenantScope,
    view::{EventRow, EventSort},
};
use provisioning::{Node, NodePorts, SystemClock};
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};
use store::{LOCAL_NODE, Store};
use testkit::{fakes::FakeMachine, samples};

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

struct Bed {
    control: Control,
    machine: FakeMachine,
    _root: tempfile::TempDir,
}

impl Bed {
    async fn new() -> Self {
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
            store,
            node: handle,
            clock: Arc::new(SystemClock),
            entropy: Entropy::system(),
            settings: ControlSettings {
                addresses: AddressPlan::default(),
                public_host: "vpn.example.org".to_owned(),
                node: LOCAL_NODE,
                excluded_slots: BTreeSet::new(),
                sign_ups_per_hour: 0,
            },
            capacity: CapacitySettings::default(),
        });
        let background = control.clone();
        tokio::spawn(async move { background.run().await });
        Self {
            control,
            machine,
            _root: root,
        }
    }

    async fn tenant(&self, name: &str) -> TenantScope {
        let form = SignUp {
            name: name.to_owned(),
            password: Secret::new("correct horse battery staple"),
            plan: "personal".to_owned(),
        };
        let arrival = self.control.sign_up(form, FROM).await.unwrap();
        let (name, ticket) = (&arrival.name, arrival.ticket.expose());
        let redeemed = self
            .control
            .redeem_tenant(Audience::Dashboard, name, ticket);
        let scope = redeemed.await.unwrap().scope;
        self.ready(&scope).await;
        scope
    }

    async fn ready(&self, scope: &TenantScope) {
        for _ in 0..400 {
            if self.control.events(scope).await.unwrap().status.is_ready() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} is not ready", scope.name());
    }

    async fn events(&self, scope: &TenantScope) -> Vec<EventRow> {
        self.control.events(scope).await.unwrap().rows
    }

    async fn operators(&self) -> Vec<EventRow> {
        let operator = OperatorScope::issue("admin");
        self.control.operator_view(&operator).await.unwrap().events
    }
}

#[tokio::test]
async fn what_another_hand_did_is_told_to_its_tenant_and_to_the_operator_only() {
    let bed = Bed::new().await;
    let (lina, omar) = (bed.tenant("lina").await, bed.tenant("omar").await);
    let device = |label: &str| NewDevice {
        label: label.to_owned(),
        routing: Routing::Everything,
        policy: FilterPolicy::Standard,
        mesh: true,
    };
    // All that we change ourselves, with the node looking in between.
    let phone = bed
        .control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    let laptop = bed
        .control
        .add_device(&lina, device("Laptop"))
        .await
        .unwrap();
    bed.control
        .add_device(&omar, device("Phone"))
        .await
        .unwrap();
    let apart = DeviceChange {
        mesh: Some(false),
        policy: Some(FilterPolicy::Strict),
        ..DeviceChange::default()
    };
    let (control, id) = (&bed.control, phone.id);
    control.change_device(&lina, id, apart).await.unwrap();
    control.delete_device(&lina, laptop.id).await.unwrap();
    let brief = bed.tenant("brief").await;
    bed.control.set_suspended(&brief, true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    bed.control.set_suspended(&brief, false).await.unwrap();
    bed.ready(&brief).await;
    bed.control.delete_tenant(&brief).await.unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(bed.operators().await, [], "our own changes are no events");

    let slot = Slot::FIRST;
    bed.machine.state().interfaces.remove(&slot).unwrap();
    let mut rows = Vec::new();
    for _ in 0..400 {
        rows = bed.events(&lina).await;
        if !rows.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sentence = "Your tunnel was gone from the server; it is made again.";
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].sort, rows[0].sentence.as_str()),
        (EventSort::Found, sentence)
    );
    bed.ready(&lina).await;
    assert!(bed.machine.state().interfaces.contains_key(&slot));
    // Until the next look, too.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(bed.events(&lina).await, rows);
    assert_eq!(bed.events(&omar).await, []);
    let all = bed.operators().await;
    assert_eq!(all.len(), 1);
    assert_eq!(
        all[0].sentence,
        "lina's interface wg1 was gone; it is made again."
    );
}
