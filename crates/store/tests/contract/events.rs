//! The event log.

use crate::bed::{Bed, NOW, scope, sign_up};
use domain::NodeId;
use store::{Event, LOCAL_NODE, NewEvent, TenantRecord};

fn event(n: i64, tenant: Option<&TenantRecord>) -> NewEvent {
    NewEvent {
        at: NOW.plus_millis(n),
        tenant: tenant.map(|t| (t.slot, t.name.clone())),
        kind: "drift.interface_gone".to_owned(),
        detail: format!("Interface number {n} was gone; it is made again."),
    }
}

fn read(n: i64, tenant: Option<&TenantRecord>) -> Event {
    let NewEvent {
        at, kind, detail, ..
    } = event(n, tenant);
    Event {
        at,
        tenant: tenant.map(|t| t.id),
        kind,
        detail,
    }
}

pub async fn events_are_newest_first_for_the_operator_and_for_their_tenant(bed: &Bed) {
    let store = bed.store().await;
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
    let kept = store.events_recent(10).await.unwrap();
    assert_eq!(kept, newest, "all or none");
}

pub async fn what_befell_one_who_left_is_no_later_tenants(bed: &Bed) {
    let store = bed.store().await;
    let a = sign_up(&store, "aaaa").await;
    let of_a = [event(1, Some(&a))];
    store.record_events(LOCAL_NODE, &of_a).await.unwrap();
    store.delete_tenant(&scope(&a), NOW).await.unwrap();
    let kept = store.events_recent(10).await.unwrap();
    assert_eq!(kept.len(), 1, "events outlive their tenant");
    // Found before they left, written after it.
    let late = [event(2, Some(&a))];
    store.record_events(LOCAL_NODE, &late).await.unwrap();
    // The same name in the same slot, but somebody else, who came at NOW.
    let again = sign_up(&store, "aaaa").await;
    assert_eq!((again.slot, &again.name), (a.slot, &a.name));
    let before = [event(-1, Some(&a))];
    store.record_events(LOCAL_NODE, &before).await.unwrap();
    let of_nobody = store.events_recent(2).await.unwrap();
    assert!(of_nobody.iter().all(|e| e.tenant.is_none()));
    let theirs = store.tenant_events(&scope(&again), 10).await.unwrap();
    assert_eq!(theirs, []);
    // And the same slot under another name.
    store.delete_tenant(&scope(&again), NOW).await.unwrap();
    let b = sign_up(&store, "bbbb").await;
    assert_eq!(b.slot, a.slot);
    store.record_events(LOCAL_NODE, &late).await.unwrap();
    assert_eq!(store.tenant_events(&scope(&b), 10).await.unwrap(), []);
}

pub async fn events_are_bounded_by_number_length_and_age(bed: &Bed) {
    let store = bed.store().await;
    let many: Vec<_> = (0..15_000).map(|n| event(n, None)).collect();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    let kept = store.events_recent(u32::MAX).await.unwrap();
    assert_eq!(kept.len(), 20_000);
    assert_eq!(kept[0], read(14_999, None));
    assert_eq!(kept[19_999], read(10_000, None), "the newest stay");
    // 20,000 events: 5,000 of the first batch, 10,000 of the second are older.
    let cut = NOW.plus_millis(10_000);
    assert_eq!(store.prune_events(cut).await.unwrap(), 10_000);
    assert_eq!(store.prune_events(cut).await.unwrap(), 0);
    assert_eq!(store.events_recent(u32::MAX).await.unwrap().len(), 10_000);

    let mut long = event(20_000, None);
    long.detail = format!("a\0b\n{}", "ü".repeat(400));
    store.record_events(LOCAL_NODE, &[long]).await.unwrap();
    let kept = store.events_recent(1).await.unwrap();
    assert_eq!(kept[0].detail, format!("a b {}", "ü".repeat(248)));
}

pub async fn one_tenant_pushes_nobody_else_out_of_the_event_log(bed: &Bed) {
    let store = bed.store().await;
    let (a, b) = (sign_up(&store, "aaaa").await, sign_up(&store, "bbbb").await);
    let quiet = [event(0, Some(&b)), event(0, None)];
    store.record_events(LOCAL_NODE, &quiet).await.unwrap();
    let many: Vec<_> = (1..=7_000).map(|n| event(n, Some(&a))).collect();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    let long_ago = NOW.plus_millis(-1);
    assert_eq!(store.prune_events(long_ago).await.unwrap(), 6_500);
    let kept = store.tenant_events(&scope(&a), u32::MAX).await.unwrap();
    assert_eq!(kept.len(), 500);
    assert_eq!(kept[499], read(6_501, Some(&a)), "the newest stay");
    assert_eq!(store.tenant_events(&scope(&b), 9).await.unwrap().len(), 1);
    assert_eq!(store.events_recent(9_999).await.unwrap().len(), 502);
}
