//! Plans, and what a change of them does to their tenants.

use crate::{
    statistics::sample,
    test_database::{NOW, TestDatabase, new_device, scope, sign_up},
};
use domain::{AddressPlan, AtLimit, ErrorCode, OwnerScope, Plan, QuotaState, TenantScope};
use protocol::{NodeSpec, SpeedLimits, TenantLimits};
use std::collections::BTreeSet;
use store::{DeviceRecord, LOCAL_NODE, Store, StoreError};

pub fn operator() -> OwnerScope {
    OwnerScope::issue("admin")
}

/// Returns the plan of the tenants of these tests.
pub async fn home(store: &Store) -> Plan {
    store.plan("home").await.unwrap().unwrap()
}

/// Creates a tenant with a device.
pub async fn tenant_with_device(store: &Store, name: &str) -> (TenantScope, DeviceRecord) {
    let s = scope(&sign_up(store, name).await);
    let addresses = AddressPlan::default();
    let device = store.add_device(&s, new_device("Phone"), &addresses).await;
    (s, device.unwrap().value)
}

/// Records that the device has so many bytes from the start.
pub async fn record(store: &Store, device: &DeviceRecord, bytes: u64) {
    let batch = [sample(device, bytes, 0)];
    let recorded = store.record_statistics(LOCAL_NODE, &batch, None, NOW).await;
    recorded.unwrap();
}

/// Returns the limits of the spec, in the order of slots.
pub async fn limits(store: &Store) -> Vec<TenantLimits> {
    let spec: NodeSpec = store.load_spec(LOCAL_NODE).await.unwrap();
    spec.tenants.values().map(|t| t.limits).collect()
}

pub fn speed(bps: u64) -> TenantLimits {
    TenantLimits {
        speed: SpeedLimits {
            down_bps: Some(bps),
            up_bps: Some(bps),
        },
        stopped: false,
    }
}

pub async fn plans_are_created_changed_and_deleted(db: &TestDatabase) {
    let store = db.store().await;
    let new = Plan {
        id: "guest".to_owned(),
        name: "Guest".to_owned(),
        devices: 1,
        monthly_bytes: None,
        down_bps: None,
        up_bps: Some(64_000),
        at_limit: AtLimit::Stop,
        slow_bps: 64_000,
        month_day: 31,
        recommended: false,
        visible: false,
        position: 0,
    };
    let created = store.create_plan(&operator(), &new, NOW).await.unwrap();
    let expected = Plan {
        position: 4,
        ..new.clone()
    };
    assert_eq!(created, expected, "behind the others");
    assert_eq!(store.plan("guest").await.unwrap(), Some(expected.clone()));
    let again = store.create_plan(&operator(), &new, NOW).await;
    let e = again.unwrap_err();
    assert!(matches!(e, StoreError::PlanTaken), "{e}");
    assert_eq!(e.failure().code, ErrorCode::PlanTaken);

    let changed = Plan {
        name: "Visitor".to_owned(),
        position: 0,
        down_bps: Some(5_000_000),
        monthly_bytes: Some(1_000_000_000),
        visible: true,
        ..expected
    };
    store.change_plan(&operator(), &changed, NOW).await.unwrap();
    assert_eq!(store.plans().await.unwrap()[0], changed);
    let unknown = Plan {
        id: "gold".to_owned(),
        ..changed.clone()
    };
    let e = store.change_plan(&operator(), &unknown, NOW).await;
    assert!(matches!(e, Err(StoreError::PlanUnknown)));
    store.delete_plan(&operator(), "guest", NOW).await.unwrap();
    let e = store.delete_plan(&operator(), "guest", NOW).await;
    assert!(matches!(e, Err(StoreError::PlanUnknown)));
    assert_eq!(store.plans().await.unwrap().len(), 3);
    let audit = store.audit_recent(9).await.unwrap();
    let lines: Vec<_> = audit
        .iter()
        .map(|a| format!("{} {} {}", a.actor, a.action, a.object))
        .collect();
    assert_eq!(
        lines,
        [
            "operator:admin plan.delete plan guest",
            "operator:admin plan.change plan guest",
            "operator:admin plan.create plan guest",
        ]
    );
}

pub async fn a_plan_with_tenants_is_not_deleted(db: &TestDatabase) {
    let store = db.store().await;
    sign_up(&store, "abcd").await;
    let e = store.delete_plan(&operator(), "home", NOW).await;
    let e = e.unwrap_err();
    assert!(matches!(e, StoreError::PlanInUse { tenants: 1 }), "{e}");
    assert_eq!(e.failure().code, ErrorCode::PlanInUse);
    let uses = store.plan_uses().await.unwrap();
    let counts: Vec<_> = uses
        .iter()
        .map(|u| (u.plan.id.as_str(), u.tenants))
        .collect();
    assert_eq!(counts, [("personal", 0), ("home", 1), ("studio", 0)]);
}

pub async fn a_changed_plan_is_one_change_for_all_its_tenants(db: &TestDatabase) {
    let store = db.store().await;
    for name in ["aaaa", "bbbb", "cccc"] {
        sign_up(&store, name).await;
    }
    let other = scope(&sign_up(&store, "dddd").await);
    store.set_plan(&other, "studio", NOW).await.unwrap();
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let (plan, slots) = (home(&store).await, BTreeSet::new());
    assert_eq!(limits(&store).await[..3], [speed(200_000_000); 3]);
    assert_eq!(limits(&store).await[3], TenantLimits::default());

    let slower = Plan {
        down_bps: Some(10_000_000),
        up_bps: None,
        ..plan
    };
    let changed = store.change_plan(&operator(), &slower, NOW).await.unwrap();
    assert_eq!(changed.nodes, [LOCAL_NODE]);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation + 1);
    let changes = store.spec_changes(LOCAL_NODE, generation, &slots).await;
    let names = changes.unwrap().changed;
    let names: Vec<_> = names.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["aaaa", "bbbb", "cccc"]);
    let expected = TenantLimits {
        speed: SpeedLimits {
            down_bps: Some(10_000_000),
            up_bps: None,
        },
        stopped: false,
    };
    assert_eq!(limits(&store).await[..3], [expected; 3]);

    // What a node does not know is no change of its spec.
    let renamed = Plan {
        name: "House".to_owned(),
        devices: 3,
        visible: false,
        ..slower
    };
    let changed = store.change_plan(&operator(), &renamed, NOW).await.unwrap();
    assert!(changed.nodes.is_empty());
    let same = store.change_plan(&operator(), &renamed, NOW).await.unwrap();
    assert!(same.nodes.is_empty());
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation + 1);
}

pub async fn a_preview_names_whom_a_change_touches(db: &TestDatabase) {
    let store = db.store().await;
    let mut devices = Vec::new();
    for n in 0..12 {
        let (s, phone) = tenant_with_device(&store, &format!("user{n:02}")).await;
        store
            .add_device(&s, new_device("Tablet"), &AddressPlan::default())
            .await
            .unwrap();
        devices.push(phone);
    }
    let (_, full) = tenant_with_device(&store, "zoey").await;
    record(&store, &devices[3], 2_000_000).await;
    record(&store, &full, 500_000_000_000).await;
    let due = store.quotas(LOCAL_NODE, NOW).await.unwrap();
    let due: Vec<_> = due
        .iter()
        .filter(|q| q.is_due())
        .map(|q| q.tenant)
        .collect();
    store.settle_quotas(LOCAL_NODE, &due, NOW).await.unwrap();

    let plan = home(&store).await;
    let nothing = store.plan_impact(&plan, NOW).await.unwrap();
    assert_eq!((nothing.tenants, nothing.over_devices.count), (13, 0));
    assert_eq!((nothing.over_data.count, nothing.reopened.count), (0, 0));
    let smaller = Plan {
        devices: 1,
        monthly_bytes: Some(1_500_000),
        ..plan.clone()
    };
    let impact = store.plan_impact(&smaller, NOW).await.unwrap();
    assert_eq!(impact.over_devices.count, 12);
    assert_eq!(impact.over_devices.first.len(), 10);
    assert_eq!(impact.over_devices.first[0], "user00");
    assert_eq!(impact.over_data.first, ["user03"]);
    let larger = Plan {
        monthly_bytes: None,
        ..plan
    };
    let impact = store.plan_impact(&larger, NOW).await.unwrap();
    assert_eq!(impact.reopened.first, ["zoey"]);
    assert_eq!(impact.over_data.count, 0);
}

pub async fn another_plan_is_in_force_at_once(db: &TestDatabase) {
    let store = db.store().await;
    let (s, phone) = tenant_with_device(&store, "abcd").await;
    store
        .add_device(&s, new_device("Tablet"), &AddressPlan::default())
        .await
        .unwrap();
    record(&store, &phone, 200_000_000_000).await;
    let changed = store.set_plan(&s, "personal", NOW).await.unwrap();
    assert_eq!(changed.value[0].after, QuotaState::Slowed);
    assert_eq!(limits(&store).await, [speed(1_000_000)]);
    let one = Plan {
        devices: 1,
        at_limit: AtLimit::Stop,
        ..store.plan("personal").await.unwrap().unwrap()
    };
    let changed = store.change_plan(&operator(), &one, NOW).await.unwrap();
    assert_eq!(changed.quotas[0].after, QuotaState::Stopped);
    assert!(limits(&store).await[0].stopped);
    // Devices stay, and there is room for no other.
    assert_eq!(store.devices(&s).await.unwrap().len(), 2);
    let addresses = AddressPlan::default();
    let more = store.add_device(&s, new_device("Third"), &addresses).await;
    assert!(matches!(more, Err(StoreError::DeviceLimit { allowed: 1 })));
    let raised = store.set_plan(&s, "home", NOW).await.unwrap();
    assert_eq!(raised.value[0].after, QuotaState::Open);
    assert_eq!(limits(&store).await, [speed(200_000_000)]);
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    assert_eq!(raised.generation, generation);
    let same = store.set_plan(&s, "home", NOW).await.unwrap();
    assert_eq!(same.generation, generation);
    let unknown = store.set_plan(&s, "gold", NOW).await;
    assert!(matches!(unknown, Err(StoreError::PlanUnknown)));
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);
}
