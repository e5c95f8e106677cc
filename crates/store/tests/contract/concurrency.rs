//! Concurrent calls and large amounts of data.

use crate::test_database::{
    KEY, NOW, TestDatabase, bytes, label, new_device, new_tenant, scope, sign_up,
};
use domain::{AddressPlan, FilterPolicy, PrivateKey, PublicKey, Slot, Timestamp};
use futures_util::future::join_all;
use seal::{Purpose, Sealer};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Instant,
};
use store::{
    DeviceChange, DeviceRecord, LOCAL_NODE, NewTenant, Placement, Result, StatSample, Store,
    StoreError, TenantRecord,
};

/// Signs up all tenants concurrently, with a limit of `max_tenants`.
async fn sign_up_all(
    store: &Store,
    new: Vec<NewTenant>,
    max_tenants: Option<u32>,
) -> Vec<Result<TenantRecord>> {
    let tasks = new.into_iter().map(|new| {
        let store = store.clone();
        tokio::spawn(async move {
            let excluded = &BTreeSet::new();
            let placement = Placement {
                node: LOCAL_NODE,
                excluded,
                max_tenants,
            };
            let addresses = AddressPlan::default();
            let created = store.create_tenant(new, &addresses, placement).await;
            created.map(|c| c.value)
        })
    });
    join_all(tasks)
        .await
        .into_iter()
        .map(|t| t.unwrap())
        .collect()
}

pub async fn concurrent_sign_ups_get_different_slots(db: &TestDatabase) {
    let store = db.store().await;
    let new = (0..64).map(|n| new_tenant(&format!("tenant{n}"))).collect();
    let made = sign_up_all(&store, new, None).await;
    let slots: BTreeSet<u16> = made
        .iter()
        .map(|r| r.as_ref().unwrap().slot.get())
        .collect();
    assert_eq!(slots, (1..=64).collect());
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), 64);
    assert_eq!(store.audit_recent(100).await.unwrap().len(), 64);
}

pub async fn a_name_is_given_to_one_concurrent_sign_up(db: &TestDatabase) {
    let store = db.store().await;
    let new = (0..16).map(|_| new_tenant("same")).collect();
    let made = sign_up_all(&store, new, None).await;
    assert_eq!(made.iter().filter(|r| r.is_ok()).count(), 1);
    let taken = |r: &Result<TenantRecord>| matches!(r, Err(StoreError::NameTaken));
    assert_eq!(made.iter().filter(|r| taken(r)).count(), 15);
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), 1);
}

pub async fn concurrent_devices_respect_labels_and_the_limit(db: &TestDatabase) {
    let store = db.store().await;
    let s = scope(&sign_up(&store, "abcd").await); // 10 devices
    let add = |labels: Vec<String>| {
        let tasks: Vec<_> = labels
            .into_iter()
            .map(|text| {
                let (store, s) = (store.clone(), s.clone());
                let plan = AddressPlan::default();
                tokio::spawn(async move {
                    let added = store.add_device(&s, new_device(&text), &plan).await;
                    added.map(|c| c.value)
                })
            })
            .collect();
        async {
            let done = join_all(tasks).await;
            done.into_iter()
                .map(|t| t.unwrap())
                .collect::<Vec<Result<DeviceRecord>>>()
        }
    };
    let done = add(vec!["Same".to_owned(); 8]).await;
    assert_eq!(done.iter().filter(|r| r.is_ok()).count(), 1);
    assert!(
        done.iter()
            .all(|r| matches!(r, Ok(_) | Err(StoreError::LabelTaken)))
    );

    let done = add((0..20).map(|n| format!("Device {n}")).collect()).await;
    assert_eq!(done.iter().filter(|r| r.is_ok()).count(), 9);
    let limit = |r: &Result<DeviceRecord>| {
        matches!(r, Ok(_) | Err(StoreError::DeviceLimit { allowed: 10 }))
    };
    assert!(done.iter().all(limit));
    let addresses: BTreeSet<_> = store
        .devices(&s)
        .await
        .unwrap()
        .iter()
        .map(|d| d.address)
        .collect();
    assert_eq!(addresses.len(), 10);
}

pub async fn deleting_and_recording_do_not_deadlock(db: &TestDatabase) {
    let store = db.store().await;
    let mut samples = Vec::new();
    let mut scopes = Vec::new();
    for n in 0..12 {
        let s = scope(&sign_up(&store, &format!("tenant{n}")).await);
        for text in ["One", "Two", "Three"] {
            let new = new_device(text);
            samples.push(new.public_key);
            store
                .add_device(&s, new, &AddressPlan::default())
                .await
                .unwrap();
        }
        scopes.push(s);
    }
    let recorder = {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 1..=40_u64 {
                let batch: Vec<_> = samples
                    .iter()
                    .zip(0_u64..)
                    .map(|(key, i)| StatSample {
                        public_key: *key,
                        // In some rows only the handshake changes.
                        rx_bytes: if i % 2 == 0 { round } else { 0 },
                        tx_bytes: 0,
                        last_handshake: Some(Timestamp(NOW.0 + round as i64)),
                        endpoint: None,
                    })
                    .collect();
                store
                    .record_statistics(LOCAL_NODE, &batch, None, NOW)
                    .await
                    .unwrap();
            }
        })
    };
    for s in &scopes {
        store.delete_tenant(s, NOW).await.unwrap();
    }
    recorder.await.unwrap();
    assert!(
        store
            .load_spec(LOCAL_NODE)
            .await
            .unwrap()
            .tenants
            .is_empty()
    );
}

pub async fn concurrent_sign_ups_respect_the_tenant_limit(db: &TestDatabase) {
    let store = db.store().await;
    let new = |from: u32, to| (from..to).map(|n| new_tenant(&format!("tenant{n}")));
    let made = sign_up_all(&store, new(0, 100).collect(), Some(7)).await;
    let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), refused.len()), (7, 93));
    assert!(
        refused
            .iter()
            .all(|r| matches!(r, Err(StoreError::NodeFull)))
    );
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), 7);
    assert_eq!(store.audit_recent(100).await.unwrap().len(), 7);
    // A deletion makes room for one tenant. A lower limit removes no tenant.
    let first = made.into_iter().next().unwrap().unwrap();
    store.delete_tenant(&scope(&first), NOW).await.unwrap();
    let made = sign_up_all(&store, new(200, 203).collect(), Some(7)).await;
    assert_eq!(made.iter().filter(|r| r.is_ok()).count(), 1);
    let made = sign_up_all(&store, new(300, 303).collect(), Some(0)).await;
    assert!(made.iter().all(Result::is_err));
    assert_eq!(store.load_spec(LOCAL_NODE).await.unwrap().tenants.len(), 7);
}

pub async fn a_thousand_concurrent_sign_ups_fill_the_node(db: &TestDatabase) {
    let store = db.store().await;
    let new: Vec<_> = (0..1_001)
        .map(|n| new_tenant(&format!("tenant{n}")))
        .collect();
    let start = Instant::now();
    let made = sign_up_all(&store, new, None).await;
    println!(
        "{}: 1,001 sign-ups at once: {:?}",
        store.kind(),
        start.elapsed()
    );
    let slots: BTreeSet<Slot> = made
        .iter()
        .filter_map(|r| r.as_ref().ok())
        .map(|t| t.slot)
        .collect();
    assert_eq!(slots.len(), 1_000);
    let refused: Vec<_> = made.into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused[..], [StoreError::NodeFull]), "{refused:?}");
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), 1_000);
    assert_eq!(store.audit_recent(2_000).await.unwrap().len(), 1_000);
    assert_eq!(store.tenants(NOW, NOW).await.unwrap().len(), 1_000);
    // After a deletion one of two concurrent sign-ups succeeds.
    let deleted = store.tenants(NOW, NOW).await.unwrap().remove(500).tenant;
    store.delete_tenant(&scope(&deleted), NOW).await.unwrap();
    let new = ["late1", "late2"].map(new_tenant).to_vec();
    let made = sign_up_all(&store, new, None).await;
    let slots: Vec<_> = made.iter().filter_map(|r| r.as_ref().ok()).collect();
    assert_eq!(slots.len(), 1);
    assert_eq!(slots[0].slot, deleted.slot);
    let full = |r: &Result<TenantRecord>| matches!(r, Err(StoreError::NodeFull));
    assert_eq!(made.iter().filter(|r| full(r)).count(), 1);
}

pub async fn concurrent_changes_of_a_tenant_all_count(db: &TestDatabase) {
    let store = db.store().await;
    let s = scope(&sign_up(&store, "abcd").await); // 10 devices
    let mut devices = Vec::new();
    for n in 0..10 {
        let new = new_device(&format!("Device {n}"));
        let made = store.add_device(&s, new, &AddressPlan::default()).await;
        devices.push(made.unwrap().value);
    }
    let before = store.generation(LOCAL_NODE).await.unwrap();
    // Each change has an effect in any order.
    let change = |device: usize, n: usize| match n {
        0 => DeviceChange {
            mesh: Some(true),
            ..DeviceChange::default()
        },
        1 => DeviceChange {
            policy: Some(FilterPolicy::Family),
            ..DeviceChange::default()
        },
        _ => DeviceChange {
            label: Some(label(&format!("Label {device} {n}"))),
            ..DeviceChange::default()
        },
    };
    let start = Instant::now();
    let tasks = (0..100).map(|i| {
        let (device, n) = (i % 10, i / 10);
        let (store, s, id) = (store.clone(), s.clone(), devices[device].id);
        let change = change(device, n);
        tokio::spawn(async move { store.update_device(&s, id, change, NOW).await })
    });
    for done in join_all(tasks).await {
        done.unwrap().unwrap();
    }
    let took = start.elapsed();
    println!(
        "{}: 100 changes of one tenant at once: {took:?}",
        store.kind()
    );
    assert_eq!(store.generation(LOCAL_NODE).await.unwrap(), before + 100);
    for (i, d) in store.devices(&s).await.unwrap().iter().enumerate() {
        assert_eq!((d.mesh, d.policy), (true, FilterPolicy::Family), "{i}");
        assert!(d.label.as_str().starts_with(&format!("Label {i} ")));
        assert_eq!(d.address, devices[i].address);
    }
    let audit = store.audit_recent(1_000).await.unwrap();
    let changes = audit.iter().filter(|a| a.action == "device.change");
    assert_eq!(changes.count(), 100);
}

pub async fn a_thousand_full_tenants_load(db: &TestDatabase) {
    let store = db.store().await;
    let keys = fill(db).await;
    let start = Instant::now();
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    let loaded = start.elapsed();
    assert_eq!(spec.tenants.len(), 1_000);
    assert!(spec.tenants.values().all(|t| t.devices.len() == 20));
    let start = Instant::now();
    store.generation(LOCAL_NODE).await.unwrap();
    let read = start.elapsed();

    let batch = |bytes: u64| -> Vec<StatSample> {
        keys.iter()
            .map(|key| StatSample {
                public_key: *key,
                rx_bytes: bytes,
                tx_bytes: bytes,
                last_handshake: Some(NOW),
                endpoint: None,
            })
            .collect()
    };
    let mut recorded = BTreeMap::new();
    for (what, bytes, ms) in [
        ("first", 10, 0),
        ("all changed", 20, 10_000),
        ("none changed", 20, 20_000),
    ] {
        let (batch, start) = (batch(bytes), Instant::now());
        store
            .record_statistics(LOCAL_NODE, &batch, None, NOW.plus_millis(ms))
            .await
            .unwrap();
        recorded.insert(what, start.elapsed());
    }
    let start = Instant::now();
    let list = store.tenants(NOW.plus_millis(-1), NOW).await.unwrap();
    let listed = start.elapsed();
    assert!(list.iter().all(|t| (t.devices, t.online) == (20, 20)));
    println!(
        "{}: 1,000 tenants with 20 devices each: spec {loaded:?}, generation {read:?}, \
         readings {recorded:?}, operator's list {listed:?}",
        store.kind()
    );
}

/// Inserts 1,000 tenants with 20 devices each without the store, which would take
/// a minute.
async fn fill(db: &TestDatabase) -> Vec<PublicKey> {
    let (sealer, plan) = (Sealer::from_key(KEY), AddressPlan::default());
    let seal = |p, id: &str, plain: &[u8]| sealer.seal(p, id, plain).unwrap();
    let mut keys = Vec::new();
    let mut users = Vec::new();
    let mut peers = Vec::new();
    for slot in Slot::all() {
        let n = slot.get();
        let key = PrivateKey::from_random(bytes());
        let public = key.public().to_string();
        let (sealed, dns) = (
            seal(Purpose::TunnelKey, &public, key.as_bytes()),
            seal(Purpose::DnsPassword, &format!("tenant{n}"), b"dns"),
        );
        users.push(format!(
            "({n}, 'tenant{n}', 'h', 'studio', 'tenant{n}', '{}', {}, '{}', 0, 1, {n}, '{sealed}', '{public}', '{dns}', 'h')",
            slot.interface(),
            slot.listen_port(),
            plan.subnet(slot)
        ));
        for host in 2..22 {
            let public = PublicKey::from_bytes(bytes());
            keys.push(public);
            let psk = seal(Purpose::DevicePresharedKey, &public.to_string(), &bytes());
            peers.push(format!(
                "({n}, 'Device {host}', 'device {host}', '{}', '', '{public}', '{psk}', 'mn-{host}', 0)",
                plan.device(slot, host)
            ));
        }
    }
    let mut sql = String::from("BEGIN;\n");
    for rows in users.chunks(500) {
        let _ = writeln!(
            sql,
            "INSERT INTO users (id, username, password_hash, plan, subdomain, interface_name, \
             listen_port, subnet_cidr, created_at, node_id, slot, wg_private_key, wg_public_key, \
             dns_password, dns_password_hash) VALUES {};",
            rows.join(", ")
        );
    }
    for rows in peers.chunks(500) {
        let _ = writeln!(
            sql,
            "INSERT INTO peers (user_id, device_label, label_folded, vpn_ip, private_key, \
             public_key, preshared_key, adguard_client_id, created_at) VALUES {};",
            rows.join(", ")
        );
    }
    sql.push_str("COMMIT;");
    db.raw(&sql).await;
    keys
}
