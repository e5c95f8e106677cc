//! The audit log.

use crate::test_database::{NOW, TestDatabase, scope, sign_up};
use store::{AuditEntry, AuditFilter};

pub async fn the_audit_log_outlives_its_tenant(db: &TestDatabase) {
    let store = db.store().await;
    let t = sign_up(&store, "abcd").await;
    let entry = AuditEntry {
        at: NOW.plus_millis(5),
        actor: "operator:ada".to_owned(),
        action: "session.refused".to_owned(),
        object: "abcd".to_owned(),
        detail: "x".to_owned(),
        tenant: Some(t.id),
        ..AuditEntry::default()
    };
    store.audit(entry).await.unwrap();
    store.delete_tenant(&scope(&t), NOW).await.unwrap();
    let log = store.audit_recent(2).await.unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(
        (log[0].action.as_str(), log[0].actor.as_str()),
        ("tenant.delete", "abcd")
    );
    assert_eq!(
        (log[1].action.as_str(), log[1].at),
        ("session.refused", NOW.plus_millis(5))
    );
    assert_eq!(store.prune_audit(NOW.plus_millis(5)).await.unwrap(), 2);
    let left = store.audit_recent(9).await.unwrap();
    assert_eq!(left.len(), 1, "younger entries remain: {left:?}");
}

pub async fn the_audit_log_is_filtered(db: &TestDatabase) {
    let store = db.store().await;
    let t = sign_up(&store, "abcd").await;
    let write = async |seconds: i64, actor: &str, action: &str, tenant| {
        let entry = AuditEntry {
            at: NOW.plus_millis(seconds * 1_000),
            actor: actor.to_owned(),
            action: action.to_owned(),
            object: format!("at {seconds}"),
            tenant,
            origin: "192.0.2.7".to_owned(),
            before: "a".to_owned(),
            after: "b".to_owned(),
            ..AuditEntry::default()
        };
        store.audit(entry).await.unwrap();
    };
    write(1_000, "abcd", "device.add", Some(t.id)).await;
    write(2_000, "operator:ada", "plan.change", None).await;
    // Another control plane's clock is 2 s behind.
    write(1_998, "operator:ada", "tenant.suspend", Some(t.id)).await;
    write(3_000, "operator:ben", "plan.change", None).await;
    let objects = async |filter: AuditFilter, limit| {
        let rows = store
            .audit_matching(&filter, i64::MAX, limit)
            .await
            .unwrap();
        let objects = rows.into_iter().map(|(_, row)| row.object);
        objects.filter(|o| o.starts_with("at")).collect::<Vec<_>>()
    };
    let at = |seconds: i64| Some(NOW.plus_millis(seconds * 1_000));
    let all = AuditFilter::default();
    assert_eq!(
        objects(all.clone(), 9).await,
        ["at 3000", "at 1998", "at 2000", "at 1000"]
    );
    assert_eq!(objects(all.clone(), 1).await, ["at 3000"]);
    let ada = AuditFilter {
        actor: Some("operator:ada".to_owned()),
        ..all.clone()
    };
    assert_eq!(objects(ada.clone(), 9).await, ["at 1998", "at 2000"]);
    let both = AuditFilter {
        action: Some("plan.change".to_owned()),
        ..ada
    };
    assert_eq!(objects(both, 9).await, ["at 2000"]);
    let tenants = AuditFilter {
        tenant: Some(t.id),
        ..all.clone()
    };
    assert_eq!(objects(tenants.clone(), 9).await, ["at 1998", "at 1000"]);
    let since = AuditFilter {
        since: at(1_998),
        until: at(3_000),
        ..all.clone()
    };
    assert_eq!(objects(since, 9).await, ["at 1998", "at 2000"]);
    let none = AuditFilter {
        since: at(9_999),
        ..all.clone()
    };
    assert_eq!(objects(none, 9).await, [""; 0]);
    let everything = AuditFilter {
        actor: Some("abcd".to_owned()),
        action: Some("device.add".to_owned()),
        since: at(0),
        until: at(5_000),
        ..tenants
    };
    assert_eq!(objects(everything, 9).await, ["at 1000"]);
    let page = store.audit_matching(&all, i64::MAX, 2).await.unwrap();
    let (before, row) = &page[1];
    assert_eq!(
        (row.origin.as_str(), row.before.as_str(), row.after.as_str()),
        ("192.0.2.7", "a", "b")
    );
    let next = store.audit_matching(&all, *before, 1).await.unwrap();
    assert_eq!(next[0].1.object, "at 2000");
}
