//! Plans and tenants.

use crate::test_database::{
    NOW, TestDatabase, name, new_device, new_tenant, scope, sign_up, sign_up_at,
};
use domain::{AddressPlan, ErrorCode, Field, Slot, Timestamp};
use std::collections::BTreeSet;
use store::{LOCAL_NODE, StatSample, StoreError, TenantState};

pub async fn seeded_plans_match_the_landing_page(db: &TestDatabase) {
    let store = db.store().await;
    let plans = store.plans().await.unwrap();
    let short: Vec<_> = plans
        .iter()
        .map(|p| (p.id.as_str(), p.name.as_str(), p.devices, p.recommended))
        .collect();
    let expected = [
        ("personal", "Personal", 5, false),
        ("home", "Home", 10, true),
        ("studio", "Studio", 50, false),
    ];
    assert_eq!(short, expected);
    assert_eq!(plans[0].monthly_bytes, Some(100_000_000_000));
    assert_eq!(plans[2].monthly_bytes, Some(2_000_000_000_000));
    assert_eq!(plans[1].down_bps, Some(200_000_000));
    assert_eq!(plans[1].up_bps, Some(200_000_000));
    assert_eq!((plans[2].down_bps, plans[2].up_bps), (None, None));
    assert_eq!(store.plan("home").await.unwrap().as_ref(), Some(&plans[1]));
    assert_eq!(store.plan("nope").await.unwrap(), None);
}

pub async fn slots_are_given_in_a_circle(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    assert!(!store.name_taken(&name("abcd")).await.unwrap());
    let a = sign_up(&store, "abcd").await;
    assert_eq!(
        (a.slot.get(), a.node, a.state),
        (1, LOCAL_NODE, TenantState::Active)
    );
    assert!(store.name_taken(&name("abcd")).await.unwrap());
    assert_eq!(
        store.tenant_by_name(&name("abcd")).await.unwrap().as_ref(),
        Some(&a)
    );
    assert_eq!(store.tenant(&scope(&a)).await.unwrap(), a);
    assert_eq!(
        store.dns_password(&scope(&a)).await.unwrap().expose(),
        "dns-password-of-abcd"
    );
    assert_eq!(store.tenant_by_name(&name("nobody")).await.unwrap(), None);

    let excluded: BTreeSet<_> = [2, 3].into_iter().filter_map(Slot::new).collect();
    let b = store
        .create_tenant(new_tenant("befg"), &plan, &excluded)
        .await
        .unwrap()
        .value;
    assert_eq!(b.slot.get(), 4);
    assert_eq!(sign_up(&store, "cijk").await.slot.get(), 5);
    store.delete_tenant(&scope(&a), NOW).await.unwrap();
    let again = sign_up(&store, "abcd").await;
    assert_eq!(again.slot.get(), 6, "what was freed is not given at once");
    assert!(again.id > a.id, "an id is never reused");
    let all_but_last: BTreeSet<_> = Slot::all().filter(|s| *s != Slot::LAST).collect();
    let last = store.create_tenant(new_tenant("last"), &plan, &all_but_last);
    assert_eq!(last.await.unwrap().value.slot, Slot::LAST);
    let freed = sign_up(&store, "next").await;
    assert_eq!(freed.slot.get(), 1, "after the last one the first is next");
    assert_eq!(sign_up(&store, "more").await.slot.get(), 2);
    assert_eq!(sign_up(&store, "then").await.slot.get(), 3);
    assert_eq!(sign_up(&store, "skip").await.slot.get(), 7);
    assert!(matches!(
        store.tenant(&scope(&a)).await,
        Err(StoreError::NotFound)
    ));
}

pub async fn a_taken_name_or_unknown_plan_is_refused(db: &TestDatabase) {
    let (store, plan, none) = (db.store().await, AddressPlan::default(), BTreeSet::new());
    sign_up(&store, "abcd").await;
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let e = store
        .create_tenant(new_tenant("abcd"), &plan, &none)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::NameTaken), "{e}");
    assert_eq!(
        (e.failure().code, e.failure().field),
        (ErrorCode::NameTaken, Some(Field::Name))
    );
    let mut new = new_tenant("befg");
    new.plan = "gold".to_owned();
    let e = store.create_tenant(new, &plan, &none).await.unwrap_err();
    assert!(matches!(e, StoreError::PlanUnknown), "{e}");
    assert_eq!(e.failure().field, Some(Field::Plan));
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);
    assert_eq!(store.audit_recent(9).await.unwrap().len(), 1);
}

pub async fn a_full_node_refuses_and_changes_nothing(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    // Other programs on the host use all but two slots.
    let excluded: BTreeSet<Slot> = Slot::all().skip(2).collect();
    for n in ["aaaa", "bbbb"] {
        store
            .create_tenant(new_tenant(n), &plan, &excluded)
            .await
            .unwrap();
    }
    let before = store.load_spec(LOCAL_NODE).await.unwrap();
    let e = store
        .create_tenant(new_tenant("cccc"), &plan, &excluded)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::NodeFull), "{e}");
    assert!(e.to_string().contains("is full"));
    assert_eq!(e.failure().code, ErrorCode::NodeFull);
    assert_eq!(store.load_spec(LOCAL_NODE).await.unwrap(), before);
    assert!(!store.name_taken(&name("cccc")).await.unwrap());
    assert_eq!(store.audit_recent(9).await.unwrap().len(), 2);
}

pub async fn an_overlapping_subnet_only_skips_its_slot(db: &TestDatabase) {
    let store = db.store().await;
    // The first tenant signed up under other ranges; slot 2 has its subnet now.
    let moved = AddressPlan {
        tunnels: "10.88.0.0/14".parse().unwrap(),
        containers: "10.92.0.0/21".parse().unwrap(),
    };
    let all_but_two: BTreeSet<Slot> = Slot::all().filter(|s| s.get() != 2).collect();
    store
        .create_tenant(new_tenant("aaaa"), &moved, &all_but_two)
        .await
        .unwrap();
    let shifted = AddressPlan {
        tunnels: "10.88.0.0/13".parse().unwrap(),
        ..moved
    };
    assert_eq!(shifted.subnet(Slot::FIRST), moved.subnet(Slot::FIRST));
    let b = store
        .create_tenant(new_tenant("bbbb"), &shifted, &BTreeSet::new())
        .await
        .unwrap()
        .value;
    let c = store
        .create_tenant(new_tenant("cccc"), &shifted, &BTreeSet::new())
        .await
        .unwrap()
        .value;
    assert_eq!((b.slot.get(), c.slot.get()), (3, 4));
    sign_up_at(&store, "last", Slot::LAST).await;
    let around = [
        sign_up(&store, "dddd").await.slot.get(),
        sign_up(&store, "eeee").await.slot.get(),
    ];
    assert_eq!(around, [1, 5]);
}

pub async fn suspensions_and_deletions_are_counted_and_logged(db: &TestDatabase) {
    let store = db.store().await;
    let a = sign_up(&store, "abcd").await;
    let s = scope(&a);
    let generation = async || store.generation(LOCAL_NODE).await.unwrap();
    let before = generation().await;
    store
        .set_state(&s, TenantState::Suspended, NOW)
        .await
        .unwrap();
    store
        .set_state(&s, TenantState::Suspended, NOW)
        .await
        .unwrap();
    assert_eq!(
        generation().await,
        before + 1,
        "the second call is no change"
    );
    assert_eq!(
        store.tenant(&s).await.unwrap().state,
        TenantState::Suspended
    );
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    assert!(spec.tenants[&a.slot].suspended);
    store.set_state(&s, TenantState::Active, NOW).await.unwrap();
    store
        .add_device(&s, new_device("Phone"), &AddressPlan::default())
        .await
        .unwrap();
    store.delete_tenant(&s, NOW).await.unwrap();
    assert_eq!(generation().await, before + 4);
    assert!(
        store
            .load_spec(LOCAL_NODE)
            .await
            .unwrap()
            .tenants
            .is_empty()
    );
    for gone in [
        store.delete_tenant(&s, NOW).await,
        store.set_state(&s, TenantState::Active, NOW).await,
    ] {
        assert!(matches!(gone, Err(StoreError::NotFound)));
    }
    assert_eq!(
        generation().await,
        before + 4,
        "a refused call is no change"
    );
    let actions: Vec<_> = store
        .audit_recent(20)
        .await
        .unwrap()
        .into_iter()
        .map(|r| r.action)
        .collect();
    let expected = [
        "tenant.delete",
        "device.add",
        "tenant.resume",
        "tenant.suspend",
        "tenant.create",
    ];
    assert_eq!(actions, expected);
}

pub async fn the_tenant_list_counts_online_devices(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let (a, b) = (sign_up(&store, "aaaa").await, sign_up(&store, "bbbb").await);
    let mut samples = Vec::new();
    for (n, handshake) in [
        (1, Some(NOW)),
        (2, Some(NOW.plus_millis(-200_000))),
        (3, None),
    ] {
        let d = new_device(&format!("Device {n}"));
        samples.push(StatSample {
            public_key: d.public_key,
            rx_bytes: 0,
            tx_bytes: 0,
            last_handshake: handshake,
            endpoint: None,
        });
        store.add_device(&scope(&a), d, &plan).await.unwrap();
    }
    store
        .record_statistics(LOCAL_NODE, &samples, None, NOW)
        .await
        .unwrap();
    let list = store.tenants(NOW.plus_millis(-180_000), NOW).await.unwrap();
    assert_eq!(
        (&list[0].tenant, list[0].devices, list[0].online),
        (&a, 3, 1)
    );
    assert_eq!(
        (&list[1].tenant, list[1].devices, list[1].online),
        (&b, 0, 0)
    );
    assert_eq!(list.len(), 2);
}

pub async fn devices_that_have_never_connected_are_listed(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let a = sign_up(&store, "aaaa").await;
    let mut keys = Vec::new();
    for n in 1..=3 {
        let d = new_device(&format!("Device {n}"));
        keys.push(d.public_key);
        store.add_device(&scope(&a), d, &plan).await.unwrap();
    }
    let waiting = async |from, to| {
        let found = store.first_handshakes(from, to).await.unwrap();
        let labels = found.waiting.into_iter().map(|d| (d.tenant, d.label));
        (found.connected, labels.collect::<Vec<_>>())
    };
    let named = |labels: &[&str]| {
        let named = labels.iter().map(|l| ("aaaa".to_owned(), (*l).to_owned()));
        named.collect::<Vec<_>>()
    };
    let long_ago = Timestamp(0);
    let (none, all) = waiting(long_ago, NOW).await;
    assert_eq!(
        (none, all),
        (0, named(&["Device 1", "Device 2", "Device 3"]))
    );
    let sample = |n: usize, last_handshake| StatSample {
        public_key: keys[n],
        rx_bytes: 0,
        tx_bytes: 0,
        last_handshake,
        endpoint: None,
    };
    let samples = [sample(0, Some(NOW)), sample(1, None)];
    store
        .record_statistics(LOCAL_NODE, &samples, None, NOW)
        .await
        .unwrap();
    let rest = named(&["Device 2", "Device 3"]);
    assert_eq!(waiting(long_ago, NOW).await, (1, rest));
    // Too new, and too old.
    assert_eq!(waiting(long_ago, NOW.plus_millis(-1)).await, (1, vec![]));
    assert_eq!(waiting(NOW, NOW).await, (1, vec![]));
    let suspended = TenantState::Suspended;
    store.set_state(&scope(&a), suspended, NOW).await.unwrap();
    assert_eq!(waiting(long_ago, NOW).await, (1, vec![]));
}
