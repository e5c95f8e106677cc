//! Devices and the spec.

use crate::bed::{Bed, NOW, label, new_device, new_tenant, scope, sign_up};
use domain::{AddressPlan, DeviceId, ErrorCode, Field, FilterPolicy, NodeId, Routing, Slot};
use std::collections::{BTreeMap, BTreeSet};
use store::{DeviceChange, LOCAL_NODE, SpecTenant, StoreError};

pub async fn devices_take_the_lowest_free_address_and_read_back(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let mut new = new_device("Phone");
    new.routing = Routing::Dns;
    new.policy = FilterPolicy::Family;
    new.mesh = true;
    let secret = (new.private_key.clone(), new.preshared_key.clone());
    let phone = store.add_device(&s, new, &plan).await.unwrap();
    assert_eq!(phone.address.to_string(), "10.88.1.2");
    let tablet = store
        .add_device(&s, new_device("Tablet"), &plan)
        .await
        .unwrap();
    assert_eq!(tablet.address.to_string(), "10.88.1.3");
    assert_eq!(
        store.devices(&s).await.unwrap(),
        [phone.clone(), tablet.clone()]
    );
    assert_eq!(store.device(&s, phone.id).await.unwrap(), phone);
    let kept = store.device_secret(&s, phone.id).await.unwrap();
    assert_eq!((kept.private_key, kept.preshared_key), secret);

    assert_eq!(store.delete_device(&s, phone.id, NOW).await.unwrap(), phone);
    let laptop = store
        .add_device(&s, new_device("Laptop"), &plan)
        .await
        .unwrap();
    assert_eq!(laptop.address.to_string(), "10.88.1.2", "the gap is filled");
    assert!(laptop.id > tablet.id, "an id is never given twice");
}

pub async fn labels_keys_and_client_ids_are_unique(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let other = scope(&sign_up(&store, "efgh").await);
    let first = new_device("My phone");
    let made = store.add_device(&s, first.clone(), &plan).await.unwrap();
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
        .unwrap();
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
        .unwrap();
    assert_eq!(
        case.label.as_str(),
        "MY PHONE",
        "its own label in capitals is no clash"
    );
}

pub async fn the_plans_limit_holds(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let mut new = new_tenant("abcd");
    new.plan = "personal".to_owned();
    let t = store
        .create_tenant(new, &plan, &BTreeSet::new())
        .await
        .unwrap();
    let s = scope(&t);
    let mut last = None;
    for n in 0..5 {
        let d = store
            .add_device(&s, new_device(&format!("Device {n}")), &plan)
            .await
            .unwrap();
        last = Some(d.id);
    }
    let e = store
        .add_device(&s, new_device("One more"), &plan)
        .await
        .unwrap_err();
    assert!(matches!(e, StoreError::DeviceLimit { allowed: 5 }), "{e}");
    assert!(e.failure().sentence.contains("5 devices"));
    assert_eq!(store.devices(&s).await.unwrap().len(), 5);
    store.delete_device(&s, last.unwrap(), NOW).await.unwrap();
    store
        .add_device(&s, new_device("One more"), &plan)
        .await
        .unwrap();
}

pub async fn somebody_elses_device_is_not_found(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let owner = scope(&sign_up(&store, "abcd").await);
    let thief = scope(&sign_up(&store, "efgh").await);
    let d = store
        .add_device(&owner, new_device("Phone"), &plan)
        .await
        .unwrap();
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let change = || DeviceChange {
        mesh: Some(true),
        ..DeviceChange::default()
    };
    for (who, id) in [(&thief, d.id), (&owner, DeviceId(d.id.0 + 1000))] {
        let all = [
            store.device(who, id).await.map(drop),
            store.device_secret(who, id).await.map(drop),
            store.update_device(who, id, change(), NOW).await.map(drop),
            store.delete_device(who, id, NOW).await.map(drop),
        ];
        for r in all {
            let e = r.unwrap_err();
            assert!(matches!(e, StoreError::NotFound), "{e}");
            assert_eq!(e.failure().code.status(), 404);
        }
    }
    assert!(store.devices(&thief).await.unwrap().is_empty());
    assert_eq!(store.device(&owner, d.id).await.unwrap(), d);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);
}

pub async fn a_change_that_changes_nothing_wakes_nobody(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let d = store
        .add_device(&s, new_device("Phone"), &plan)
        .await
        .unwrap();
    let generation = store.generation(LOCAL_NODE).await.unwrap();
    let same = DeviceChange {
        label: Some(label("Phone")),
        policy: Some(FilterPolicy::Standard),
        mesh: Some(false),
    };
    assert_eq!(store.update_device(&s, d.id, same, NOW).await.unwrap(), d);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), generation);
    let change = DeviceChange {
        label: Some(label("Telefon")),
        policy: Some(FilterPolicy::Off),
        mesh: Some(true),
    };
    let after = store.update_device(&s, d.id, change, NOW).await.unwrap();
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

pub async fn a_device_whose_key_the_browser_made_has_no_private_key(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let s = scope(&sign_up(&store, "abcd").await);
    let mut new = new_device("Phone");
    new.private_key = None;
    let d = store.add_device(&s, new, &plan).await.unwrap();
    assert!(!d.has_private_key);
    assert_eq!(store.device(&s, d.id).await.unwrap(), d);
    assert_eq!(
        store.device_secret(&s, d.id).await.unwrap().private_key,
        None
    );
}

pub async fn the_spec_holds_everything_unsealed(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let empty = store.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!((empty.generation, empty.tenants.len()), (0, 0));
    let (first, second) = (new_tenant("abcd"), new_tenant("efgh"));
    let key = first.private_key.clone();
    let a = store
        .create_tenant(first, &plan, &BTreeSet::new())
        .await
        .unwrap();
    let b = store
        .create_tenant(second, &plan, &BTreeSet::new())
        .await
        .unwrap();
    let mut expected = Vec::new();
    // Added in turns, so that ids do not run in the order of slots.
    for (t, text) in [(&b, "One"), (&a, "Two"), (&b, "Three"), (&a, "Four")] {
        let new = new_device(text);
        expected.push((
            t.id,
            new.public_key,
            new.preshared_key.clone(),
            new.client_id.clone(),
        ));
        store.add_device(&scope(t), new, &plan).await.unwrap();
    }
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!(spec.generation, store.generation(LOCAL_NODE).await.unwrap());
    assert_eq!(spec.generation, 6);
    let [x, y] = &spec.tenants[..] else {
        panic!("{spec:?}")
    };
    assert_eq!(
        (x.id, x.slot, &x.name, x.suspended),
        (a.id, a.slot, &a.name, false)
    );
    assert_eq!(
        (&x.private_key, x.private_key.public()),
        (&key, a.public_key)
    );
    assert_eq!(x.dns_password.expose(), "dns-password-of-abcd");
    assert_eq!(x.dns_password_hash, "$2y$hash");
    assert_eq!((x.devices.len(), y.devices.len()), (2, 2));
    for (id, public_key, preshared_key, client_id) in expected {
        let t = spec.tenants.iter().find(|t| t.id == id).unwrap();
        let d = t
            .devices
            .iter()
            .find(|d| d.public_key == public_key)
            .unwrap();
        assert_eq!(
            (&d.preshared_key, &d.client_id),
            (&preshared_key, &client_id)
        );
    }
    assert_eq!(y.devices[0].label.as_str(), "One");
    assert_eq!(y.devices[1].address.to_string(), "10.88.2.3");
    let unknown = store.load_spec(NodeId(9)).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
    assert!(matches!(
        store.generation(NodeId(9)).await,
        Err(StoreError::NotFound)
    ));
}

/// What a node does with the changes: the snapshot becomes the whole again.
pub async fn changes_since_a_snapshot_make_it_the_spec_again(bed: &Bed) {
    let (store, plan) = (bed.store().await, AddressPlan::default());
    let mut kept: BTreeMap<Slot, SpecTenant> = BTreeMap::new();
    let mut since = 0;
    let a = sign_up(&store, "abcd").await;
    let mut expect = async |changed: usize, gone: usize, what: &str| {
        let slots = kept.keys().copied().collect();
        let c = store.spec_changes(LOCAL_NODE, since, &slots).await.unwrap();
        assert_eq!((c.changed.len(), c.gone.len()), (changed, gone), "{what}");
        kept.retain(|slot, _| !c.gone.contains(slot));
        kept.extend(c.changed.into_iter().map(|t| (t.slot, t)));
        since = c.generation;
        let whole = store.load_spec(LOCAL_NODE).await.unwrap();
        assert_eq!(whole.generation, since, "{what}");
        assert_eq!(
            whole.tenants,
            kept.values().cloned().collect::<Vec<_>>(),
            "{what}"
        );
    };
    expect(1, 0, "the first sign-up").await;
    expect(0, 0, "nothing").await;
    let (b, c) = (sign_up(&store, "efgh").await, sign_up(&store, "ijkl").await);
    expect(2, 0, "two sign-ups").await;
    let (sa, sb, sc) = (scope(&a), scope(&b), scope(&c));
    let d = store.add_device(&sb, new_device("One"), &plan).await;
    let d = d.unwrap();
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
    expect(2, 0, "one suspended, one device less").await;
    store.delete_tenant(&sa, NOW).await.unwrap();
    expect(0, 1, "one leaves").await;
    store.delete_tenant(&sb, NOW).await.unwrap();
    let next = sign_up(&store, "mnop").await;
    assert_eq!(next.slot, a.slot);
    expect(1, 1, "one leaves, another comes, in an earlier one's slot").await;
    store.delete_tenant(&sc, NOW).await.unwrap();
    let next = sign_up(&store, "qrst").await;
    assert_eq!(next.slot, b.slot);
    let last = sign_up(&store, "uvwx").await;
    assert_eq!(last.slot, c.slot);
    expect(2, 0, "a slot changes hands between two reads").await;
    let back = store
        .spec_changes(LOCAL_NODE, 1_000, &BTreeSet::new())
        .await
        .unwrap();
    assert!(back.generation < 1_000 && back.changed.is_empty());
}
