//! Devices and the specification.

use crate::test_database::{
    NOW, TestDatabase, label, new_device, new_tenant, scope, sign_up, sign_up_at,
};
use domain::{
    AddressPlan, DeviceId, ErrorCode, Failure, Field, FilterPolicy, Message, NodeId, Routing,
    TunnelOptions,
};
use protocol::NodeSpec;
use std::{collections::BTreeSet, sync::Arc};
use store::{DeviceChange, LOCAL_NODE, StoreError};

pub async fn addresses_are_given_in_a_circle(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let mut new = new_device("Phone");
    new.routing = Routing::Dns;
    new.policy = FilterPolicy::Family;
    new.mesh = true;
    let secret = (new.private_key.clone(), new.preshared_key.clone());
    let phone = store.add_device(&s, new, &plan).await.unwrap().value;
    assert_eq!(phone.address.to_string(), "10.88.1.2");
    let tablet = store
        .add_device(&s, new_device("Tablet"), &plan)
        .await
        .unwrap()
        .value;
    assert_eq!(tablet.address.to_string(), "10.88.1.3");
    assert_eq!(
        store.devices(&s).await.unwrap(),
        [phone.clone(), tablet.clone()]
    );
    assert_eq!(store.device(&s, phone.id).await.unwrap(), phone);
    let stored = store.device_secret(&s, phone.id).await.unwrap();
    assert_eq!((stored.private_key, stored.preshared_key), secret);

    assert_eq!(
        store.delete_device(&s, phone.id, NOW).await.unwrap().value,
        phone
    );
    let laptop = store
        .add_device(&s, new_device("Laptop"), &plan)
        .await
        .unwrap()
        .value;
    assert_eq!(
        laptop.address.to_string(),
        "10.88.1.4",
        "what was freed is not given at once"
    );
    assert!(laptop.id > tablet.id, "an id is never reused");
    let mut given = laptop;
    for host in 5..=254 {
        store.delete_device(&s, given.id, NOW).await.unwrap();
        let next = store.add_device(&s, new_device("Next"), &plan).await;
        given = next.unwrap().value;
        assert_eq!(given.address.octets()[3], host);
    }
    for expected in ["10.88.1.2", "10.88.1.4"] {
        let name = format!("Around {expected}");
        let around = store.add_device(&s, new_device(&name), &plan).await;
        assert_eq!(around.unwrap().value.address.to_string(), expected);
    }
}

pub async fn labels_keys_and_client_ids_are_unique(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let other = scope(&sign_up(&store, "efgh").await);
    let first = new_device("My phone");
    let made = store
        .add_device(&s, first.clone(), &plan)
        .await
        .unwrap()
        .value;
    let generation = store.generation(LOCAL_NODE).await.unwrap();

    let e = store
        .add_device(&s, new_device("MY  Phone"), &plan)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::LabelTaken), "{e}");
    assert_eq!(
        (e.failure().code, e.failure().field),
        (ErrorCode::LabelTaken, Some(Field::Label))
    );
    let mut copy = first.clone();
    copy.label = label("Another");
    let e = store
        .add_device(&other, copy.clone(), &plan)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::KeyTaken), "{e}");
    copy.public_key = new_device("x").public_key;
    let e = store.add_device(&s, copy, &plan).await.unwrap_err();
    assert!(matches!(e, StoreError::ClientIdTaken), "{e}");
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);

    store
        .add_device(&other, new_device("My phone"), &plan)
        .await
        .unwrap();
    let tablet = store
        .add_device(&s, new_device("Tablet"), &plan)
        .await
        .unwrap()
        .value;
    let rename = |to: &str| DeviceChange {
        label: Some(label(to)),
        ..DeviceChange::default()
    };
    let e = store
        .update_device(&s, tablet.id, rename("my phone"), NOW)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::LabelTaken), "{e}");
    let case = store
        .update_device(&s, made.id, rename("MY PHONE"), NOW)
        .await
        .unwrap()
        .value;
    assert_eq!(
        case.label.as_str(),
        "MY PHONE",
        "its own label in capitals is no conflict"
    );
}

pub async fn the_plan_limits_the_number_of_devices(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let mut new = new_tenant("abcd");
    new.plan = "personal".to_owned();
    let t = store
        .create_tenant(new, &plan, &BTreeSet::new())
        .await
        .unwrap()
        .value;
    let s = scope(&t);
    let mut last = None;
    for n in 0..5 {
        let d = store
            .add_device(&s, new_device(&format!("Device {n}")), &plan)
            .await
            .unwrap()
            .value;
        last = Some(d.id);
    }
    let e = store
        .add_device(&s, new_device("One more"), &plan)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::DeviceLimit { allowed: 5 }), "{e}");
    assert_eq!(e.failure().message, Message::DeviceLimit { allowed: 5 });
    assert_eq!(store.devices(&s).await.unwrap().len(), 5);
    store.delete_device(&s, last.unwrap(), NOW).await.unwrap();
    store
        .add_device(&s, new_device("One more"), &plan)
        .await
        .unwrap();
}

pub async fn another_tenants_device_is_not_found(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let owner = scope(&sign_up(&store, "abcd").await);
    let other = scope(&sign_up(&store, "efgh").await);
    let d = store
        .add_device(&owner, new_device("Phone"), &plan)
        .await
        .unwrap()
        .value;
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let change = || DeviceChange {
        mesh: Some(true),
        ..DeviceChange::default()
    };
    for (scope, id) in [(&other, d.id), (&owner, DeviceId(d.id.0 + 1000))] {
        let all = [
            store.device(scope, id).await.map(drop),
            store.device_secret(scope, id).await.map(drop),
            store
                .update_device(scope, id, change(), NOW)
                .await
                .map(drop),
            store.delete_device(scope, id, NOW).await.map(drop),
        ];
        for r in all {
            let e = r.unwrap_err();
            assert!(matches!(e, StoreError::NotFound), "{e}");
            assert_eq!(e.failure(), Failure::not_found());
        }
    }
    assert!(store.devices(&other).await.unwrap().is_empty());
    assert_eq!(store.device(&owner, d.id).await.unwrap(), d);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);
}

pub async fn an_equal_change_does_not_raise_the_generation(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let d = store
        .add_device(&s, new_device("Phone"), &plan)
        .await
        .unwrap()
        .value;
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let same = DeviceChange {
        label: Some(label("Phone")),
        policy: Some(FilterPolicy::Standard),
        mesh: Some(false),
        routing: Some(Routing::Everything),
        small_packets: Some(false),
        ipv4_only: Some(false),
    };
    assert_eq!(
        store
            .update_device(&s, d.id, same, NOW)
            .await
            .unwrap()
            .value,
        d
    );
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);
    let change = DeviceChange {
        label: Some(label("Telefon")),
        policy: Some(FilterPolicy::Off),
        mesh: Some(true),
        ..DeviceChange::default()
    };
    let after = store
        .update_device(&s, d.id, change, NOW)
        .await
        .unwrap()
        .value;
    assert_eq!(
        (after.label.as_str(), after.policy, after.mesh),
        ("Telefon", FilterPolicy::Off, true)
    );
    assert_eq!(store.device(&s, d.id).await.unwrap(), after);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation + 1);
    let log = &store.audit_recent(1).await.unwrap()[0];
    assert_eq!(
        (log.action.as_str(), log.object.as_str()),
        ("device.change", "abcd/Phone")
    );
}

pub async fn what_a_configuration_says_can_be_changed(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let mut new = new_device("Phone");
    new.routing = Routing::Internet;
    new.options.ipv4_only = true;
    let d = store.add_device(&s, new, &plan).await.unwrap().value;
    assert_eq!(store.device(&s, d.id).await.unwrap(), d);
    let read = d.settings();
    let change = DeviceChange {
        routing: Some(Routing::Network),
        small_packets: Some(true),
        ..DeviceChange::default()
    };
    let changed = store.update_device_if(&s, d.id, change.clone(), Some(&read), NOW);
    let changed = changed.await.unwrap().value;
    let both = TunnelOptions {
        small_packets: true,
        ipv4_only: true,
    };
    assert_eq!((changed.routing, changed.options), (Routing::Network, both));
    assert_eq!(changed.public_key, d.public_key, "it keeps its key");
    assert_eq!(store.device(&s, d.id).await.unwrap(), changed);
    let log = store.audit_recent(1).await.unwrap();
    let (before, after) = (log[0].before.as_str(), log[0].after.as_str());
    assert_eq!(before, "routing internet, small packets off");
    assert_eq!(after, "routing network, small packets on");
    // What was read before is not what there is now.
    let refused = store.update_device_if(&s, d.id, change, Some(&read), NOW);
    assert!(matches!(refused.await, Err(StoreError::Changed)));
}

pub async fn a_release_before_reads_a_routing_that_it_knows(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    for routing in Routing::ALL {
        let mut new = new_device(routing.as_str());
        new.routing = routing;
        let d = store.add_device(&s, new, &plan).await.unwrap().value;
        assert_eq!(store.device(&s, d.id).await.unwrap().routing, routing);
    }
    let words = db.texts("SELECT routing FROM peers ORDER BY id").await;
    assert_eq!(words, ["everything", "everything", "network", "dns"]);
}

pub async fn a_browser_generated_key_is_not_stored(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let mut new = new_device("Phone");
    new.private_key = None;
    let d = store.add_device(&s, new, &plan).await.unwrap().value;
    assert!(!d.has_private_key);
    assert_eq!(store.device(&s, d.id).await.unwrap(), d);
    assert_eq!(
        store.device_secret(&s, d.id).await.unwrap().private_key,
        None
    );
}

pub async fn the_spec_contains_opened_secrets(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let empty = store.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!((empty.generation, empty.tenants.len()), (0, 0));
    let (first, second) = (new_tenant("abcd"), new_tenant("efgh"));
    let key = first.private_key.clone();
    let a = store
        .create_tenant(first, &plan, &BTreeSet::new())
        .await
        .unwrap()
        .value;
    let b = store
        .create_tenant(second, &plan, &BTreeSet::new())
        .await
        .unwrap()
        .value;
    let mut expected = Vec::new();
    // They are added alternately, so that ids are not ordered by slot.
    for (t, text) in [(&b, "One"), (&a, "Two"), (&b, "Three"), (&a, "Four")] {
        let new = new_device(text);
        expected.push((
            t.slot,
            new.public_key,
            new.preshared_key.clone(),
            new.client_id.clone(),
        ));
        store.add_device(&scope(t), new, &plan).await.unwrap();
    }
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!(spec.generation, store.generation(LOCAL_NODE).await.unwrap());
    assert_eq!(spec.generation, 6);
    assert_eq!(spec.tenants.len(), 2);
    let (x, y) = (&spec.tenants[&a.slot], &spec.tenants[&b.slot]);
    assert_eq!((x.slot, &x.name, x.suspended), (a.slot, &a.name, false));
    assert_eq!((y.slot, &y.name), (b.slot, &b.name));
    assert_eq!(
        (&x.private_key, x.private_key.public()),
        (&key, a.public_key)
    );
    assert_eq!(x.dns_password.expose(), "dns-password-of-abcd");
    assert_eq!(x.dns_password_hash, "$2y$hash");
    assert_eq!((x.devices.len(), y.devices.len()), (2, 2));
    for (slot, public_key, preshared_key, client_id) in expected {
        let mut devices = spec.tenants[&slot].devices.values();
        let d = devices.find(|d| d.public_key == public_key).unwrap();
        assert_eq!(
            (&d.preshared_key, &d.client_id),
            (&preshared_key, &client_id)
        );
    }
    let [one, three] = y.devices.values().collect::<Vec<_>>()[..] else {
        panic!("{y:?}")
    };
    assert_eq!(one.label.as_str(), "One");
    assert_eq!(three.address.to_string(), "10.88.2.3");
    let unknown = store.load_spec(NodeId(9)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
    assert!(matches!(
        store.generation(NodeId(9)).await,
        Err(StoreError::NotFound)
    ));
}

/// Applies changes to a snapshot as a node does.
pub async fn a_snapshot_with_changes_equals_the_spec(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let mut known = NodeSpec::default();
    let a = sign_up(&store, "abcd").await;
    let mut expect = async |changed: usize, removed: usize, what: &str| {
        let before = known.clone();
        let slots = known.tenants.keys().copied().collect();
        let c = store.spec_changes(LOCAL_NODE, known.generation, &slots);
        let c = c.await.unwrap();
        assert_eq!(
            (c.changed.len(), c.removed.len()),
            (changed, removed),
            "{what}"
        );
        c.apply(&mut known);
        let complete = store.load_spec(LOCAL_NODE).await.unwrap();
        assert_eq!(complete, known, "{what}");
        // A tenant that has not changed is not even copied.
        let is_same = |(slot, t)| before.tenants.get(slot).is_some_and(|b| Arc::ptr_eq(b, t));
        let same = known.tenants.iter().filter(|t| is_same(*t)).count();
        assert_eq!(same, known.tenants.len() - changed, "{what}");
    };
    expect(1, 0, "the first sign-up").await;
    expect(0, 0, "nothing").await;
    let (b, c) = (sign_up(&store, "efgh").await, sign_up(&store, "ijkl").await);
    expect(2, 0, "two sign-ups").await;
    let (sa, sb, sc) = (scope(&a), scope(&b), scope(&c));
    let d = store.add_device(&sb, new_device("One"), &plan).await;
    let d = d.unwrap().value;
    expect(1, 0, "a device").await;
    let change = DeviceChange {
        mesh: Some(!d.mesh),
        ..DeviceChange::default()
    };
    store.update_device(&sb, d.id, change, NOW).await.unwrap();
    expect(1, 0, "a device's mesh").await;
    store
        .set_state(&sc, store::TenantState::Suspended, NOW)
        .await
        .unwrap();
    store.delete_device(&sb, d.id, NOW).await.unwrap();
    expect(2, 0, "a suspension and a deleted device").await;
    store.delete_tenant(&sa, NOW).await.unwrap();
    expect(0, 1, "a deletion").await;
    store.delete_tenant(&sb, NOW).await.unwrap();
    let next = sign_up_at(&store, "mnop", a.slot).await;
    assert_eq!(next.slot, a.slot);
    expect(1, 1, "a deletion, and a sign-up in a slot that was free").await;
    store.delete_tenant(&sc, NOW).await.unwrap();
    let next = sign_up_at(&store, "qrst", b.slot).await;
    assert_eq!(next.slot, b.slot);
    let last = sign_up_at(&store, "uvwx", c.slot).await;
    assert_eq!(last.slot, c.slot);
    expect(2, 0, "a slot is reassigned between two reads").await;
    let restored = store
        .spec_changes(LOCAL_NODE, 1_000, &BTreeSet::new())
        .await
        .unwrap();
    assert!(restored.generation < 1_000 && restored.changed.is_empty());
}
