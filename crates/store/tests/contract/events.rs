//! The event log.

use crate::bed::{Bed, NOW, scope, sign_up};
use domain::{NodeId, TenantId};
use store::{Event, LOCAL_NODE};

fn event(n: i64, tenant: Option<TenantId>) -> Event {
    Event {
        at: NOW.plus_millis(n),
        tenant,
        kind: "drift.healed".to_owned(),
        detail: format!("Interface number {n} was gone; it was made again."),
    }
}

pub async fn events_are_newest_first_for_the_operator_and_for_their_tenant(bed: &Bed) {
    let store = bed.store().await;
    let (a, b) = (sign_up(&store, "aaaa").await, sign_up(&store, "bbbb").await);
    let all = [event(1, Some(a.id)), event(2, None), event(3, Some(b.id))];
    store.record_events(LOCAL_NODE, &[]).await.unwrap();
    store.record_events(LOCAL_NODE, &all[..2]).await.unwrap();
    store.record_events(LOCAL_NODE, &all[2..]).await.unwrap();
    let newest: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(store.events_recent(10).await.unwrap(), newest);
    assert_eq!(store.events_recent(1).await.unwrap(), newest[..1]);
    assert_eq!(store.tenant_events(&scope(&a), 10).await.unwrap(), all[..1]);
    assert_eq!(store.tenant_events(&scope(&b), 10).await.unwrap(), all[2..]);
    // They outlive their tenant, and one who is gone harms no batch.
    store.delete_tenant(&scope(&a), NOW).await.unwrap();
    store
        .record_events(LOCAL_NODE, &[event(4, Some(a.id))])
        .await
        .unwrap();
    assert_eq!(store.events_recent(10).await.unwrap().len(), 4);
    let nowhere = store.record_events(NodeId(77), &all).await;
    assert!(nowhere.is_err());
    assert_eq!(
        store.events_recent(10).await.unwrap().len(),
        4,
        "all or none"
    );
}

pub async fn events_are_bounded_by_number_length_and_age(bed: &Bed) {
    let store = bed.store().await;
    let a = sign_up(&store, "aaaa").await;
    let many: Vec<_> = (0..15_000).map(|n| event(n, Some(a.id))).collect();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    store.record_events(LOCAL_NODE, &many).await.unwrap();
    let kept = store.events_recent(u32::MAX).await.unwrap();
    assert_eq!(kept.len(), 20_000);
    assert_eq!(kept[0], event(14_999, Some(a.id)));
    assert_eq!(kept[19_999], event(10_000, Some(a.id)), "the newest stay");
    // 20,000 events: 5,000 of the first batch, 10,000 of the second are older.
    let cut = NOW.plus_millis(10_000);
    assert_eq!(store.prune_events(cut).await.unwrap(), 10_000);
    assert_eq!(store.prune_events(cut).await.unwrap(), 0);
    assert_eq!(store.events_recent(u32::MAX).await.unwrap().len(), 10_000);

    let mut long = event(20_000, None);
    long.detail = "ü".repeat(400);
    store.record_events(LOCAL_NODE, &[long]).await.unwrap();
    let kept = store.events_recent(1).await.unwrap();
    assert_eq!(kept[0].detail, "ü".repeat(250));
}
