//! The event log.

use crate::test_database::{NOW, TestDatabase, scope, sign_up, sign_up_at};
use domain::NodeId;
use store::{Event, LOCAL_NODE, NewEvent, TenantRecord};

fn event(n: i64, tenant: Option<&TenantRecord>) -> NewEvent {
    NewEvent {
        at: NOW.plus_millis(n),
        tenant: tenant.map(|t| (t.slot, t.name.clone())),
        kind: "drift.interface_gone".to_owned(),
        detail: format!("Interface number {n} is missing; it is created again."),
    }
}

fn read(n: i64, tenant: Option<&TenantRecord>) -> Event {
    let NewEvent {
        at, kind, detail, ..
    } = event(n, tenant);
    Event {
        at,
        node: LOCAL_NODE,
        tenant: tenant.map(|t| t.id),
        kind,
        detail,
    }
}

pub async fn events_are_listed_newest_first(db: &TestDatabase) {
    let store = db.store().await;
    let (a, b) = (sign_up(&store, "aaaa").await, sign_up(&store, "bbbb").await);
    let new = [event(1, Some(&a)), event(2, None), event(3, Some(&b))];
    store.record_events(LOCAL_NODE, &[]).await.unwrap();
    store.record_events(LOCAL_NODE, &new[..2]).await.unwrap();
    store.record_events(LOCAL_NODE, &new[2..]).await.unwrap();
    let newest = [read(3, Some(&b)), read(2, None), read(1, Some(&a))];
    assert_eq!(store.events_recent(10).await.unwrap(), newest);
    assert_eq!(store.events_recent(1).await.unwrap(), newest[..1]);
    let of = async |t| store.tenant_events(&scope(t), 10).await.unwrap();
    assert_eq!(of(&a).await, newest[2..]);
    assert_eq!(of(&b).await, newest[..1]);
    let nowhere = store.record_events(NodeId(77), &new).await;
    assert!(nowhere.is_err());
    let stored = store.events_recent(10).await.unwrap();
    assert_eq!(stored, newest, "all or none");
}

pub async fn a_later_tenant_reads_no_earlier_events(db: &TestDatabase) {
    let store = db.store().await;
    let a = sign_up(&store, "aaaa").await;
    let of_a = [event(1, Some(&a))];
    store.record_events(LOCAL_NODE, &of_a).await.unwrap();
    store.delete_tenant(&scope(&a), NOW).await.unwrap();
    let stored = store.events_recent(10).await.unwrap();
    assert_eq!(stored.len(), 1, "events outlive their tenant");
    // This event is from before the deletion and recorded after it.
    let late = [event(2, Some(&a))];
    store.record_events(LOCAL_NODE, &late).await.unwrap();
    // Another tenant with the same name and slot, created at NOW.
    let again = sign_up_at(&store, "aaaa", a.slot).await;
    assert_eq!((again.slot, &again.name), (a.slot, &a.name));
    let before = [event(-1, Some(&a))];
    store.record_events(LOCAL_NODE, &before).await.unwrap();
    let without_tenant = store.events_recent(2).await.unwrap();
    assert!(without_tenant.iter().all(|e| e.tenant.is_none()));
    let theirs = store.tenant_events(&scope(&again), 10).await.unwrap();
    assert_eq!(theirs, []);
    // A tenant in the same slot with another name.
    store.delete_tenant(&scope(&again), NOW).await.unwrap();
    let b = sign_up_at(&store, "bbbb", a.slot).await;
    assert_eq!(b.slot, a.slot);
    store.record_events(LOCAL_NODE, &late).await.unwrap();
    assert_eq!(store.tenant_events(&scope(&b), 10).await.unwrap(), []);
}

pub async fn events_are_bounded_by_number_length_and_age(db: &TestDatabase) {
    let store = db.store().await;
    let many: Vec<_> = (0..15_000).map(|n| event(n, None)).collect();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    let stored = store.events_recent(u32::MAX).await.unwrap();
    assert_eq!(stored.len(), 20_000);
    assert_eq!(stored[0], read(14_999, None));
    assert_eq!(stored[19_999], read(10_000, None), "the newest remain");
    // 10,000 of the 20,000 events are older: the numbers below 10,000 of the
    // second batch.
    let until = NOW.plus_millis(10_000);
    assert_eq!(store.prune_events(until).await.unwrap(), 10_000);
    assert_eq!(store.prune_events(until).await.unwrap(), 0);
    assert_eq!(store.events_recent(u32::MAX).await.unwrap().len(), 10_000);

    let mut long = event(20_000, None);
    long.detail = format!("a\0b\n{}", "ü".repeat(1_400));
    store.record_events(LOCAL_NODE, &[long]).await.unwrap();
    let stored = store.events_recent(1).await.unwrap();
    assert_eq!(stored[0].detail, format!("a b {}", "ü".repeat(998)));
}

pub async fn one_tenant_does_not_displace_others_events(db: &TestDatabase) {
    let store = db.store().await;
    let (a, b) = (sign_up(&store, "aaaa").await, sign_up(&store, "bbbb").await);
    let quiet = [event(0, Some(&b)), event(0, None)];
    store.record_events(LOCAL_NODE, &quiet).await.unwrap();
    let many: Vec<_> = (1..=7_000).map(|n| event(n, Some(&a))).collect();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    let long_ago = NOW.plus_millis(-1);
    assert_eq!(store.prune_events(long_ago).await.unwrap(), 6_500);
    let stored = store.tenant_events(&scope(&a), u32::MAX).await.unwrap();
    assert_eq!(stored.len(), 500);
    assert_eq!(stored[499], read(6_501, Some(&a)), "the newest remain");
    assert_eq!(store.tenant_events(&scope(&b), 9).await.unwrap().len(), 1);
    assert_eq!(store.events_recent(9_999).await.unwrap().len(), 502);
}
