//! The audit log.

use crate::test_database::{NOW, TestDatabase, scope, sign_up};
use store::AuditEntry;

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
