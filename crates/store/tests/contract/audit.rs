//! The audit log.

use crate::{
    long_audit_log,
    test_database::{NOW, TestDatabase, scope, sign_up},
};
use domain::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use store::{AuditEntry, AuditFilter, DatabaseUrl};

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

pub async fn entries_rare_together_are_found(db: &TestDatabase) {
    let store = db.store().await;
    db.raw(&long_audit_log::insert(2_000)).await;
    for (index, filter) in long_audit_log::filters(None) {
        let rows = store.audit_matching(&filter, i64::MAX, 100).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        assert!(ids.is_sorted_by(|a, b| a > b), "{index}: {ids:?}");
        let expected = match (filter.tenant, &filter.actor, &filter.action) {
            // No other entry is of the actor and has the action, or is about the tenant.
            (_, Some(_), Some(_)) | (Some(_), Some(_), None) => long_audit_log::RARE,
            _ => 100,
        };
        assert_eq!(ids.len(), expected, "{index}");
        let next = store.audit_matching(&filter, ids[1], 1).await.unwrap();
        assert_eq!(next[0].0, ids[2], "{index}: the next page begins behind");
    }
}

/// PostgreSQL believes that an entry in four has both of two values that half of them have, and
/// would look for the newest along the primary key, through all of them; or, where it plans
/// without the values, along the index of one.
pub async fn rare_filters_of_a_long_log_use_their_index(db: &TestDatabase) {
    let store = db.store().await;
    let rows = 50_000;
    db.raw(&long_audit_log::insert(rows)).await;
    db.raw("ANALYZE audit_log").await;
    let DatabaseUrl::Postgres(url) = db.url() else {
        panic!("a case of PostgreSQL")
    };
    let mut c = PgConnection::connect(url.expose()).await.unwrap();
    let whole = Timestamp(0)..Timestamp(i64::from(rows) * 2_000);
    for times in [None, Some((whole.start, whole.end))] {
        for (index, filter) in long_audit_log::filters(times) {
            let found = store.audit_matching(&filter, i64::MAX, 101).await.unwrap();
            assert!(found.len() >= long_audit_log::RARE);
            // The statement as the store has sent it.
            let sent = "SELECT query FROM pg_stat_activity WHERE datname = current_database() \
                        AND pid <> pg_backend_pid() AND query LIKE 'SELECT id, at, actor%' \
                        ORDER BY query_start DESC LIMIT 1";
            let [sent] = &db.texts(sent).await[..] else {
                panic!("the store's connection is gone");
            };
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let since = times.map_or(0, |t| t.0.0);
                let until = times.map_or(0, |t| t.1.0);
                let (actor, action) = (filter.actor.as_deref(), filter.action.as_deref());
                let sql = format!(
                    "SET plan_cache_mode = {mode}; DEALLOCATE ALL; \
                     PREPARE wanted (BIGINT, BIGINT, TEXT, TEXT, BIGINT, BIGINT, BIGINT, BIGINT) \
                     AS {sent}"
                );
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut c)
                    .await
                    .unwrap();
                let sql = format!(
                    "EXPLAIN (COSTS OFF) EXECUTE wanted ({}, 0, '{}', '{}', {}, {since}, {until}, 101)",
                    i64::MAX,
                    actor.unwrap_or_default(),
                    action.unwrap_or_default(),
                    filter.tenant.map_or(0, |t| t.0),
                );
                let plan = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut c);
                let plan: Vec<String> = plan.await.unwrap().iter().map(|r| r.get(0)).collect();
                let plan = plan.join("\n");
                let scans: Vec<_> = plan.lines().filter(|l| l.contains("Scan")).collect();
                let is_ordered = scans.len() == 1
                    && plan.contains(&format!("Index Scan Backward using {index} on audit_log\n"));
                // Without the values it may believe that there are too few rows to count on.
                let is_sorted = mode == "force_generic_plan"
                    && scans.len() == 2
                    && plan.contains(&format!("Bitmap Index Scan on {index}\n"));
                assert!(is_ordered || is_sorted, "{mode}: {sent}\n{plan}");
            }
        }
    }
    c.close().await.unwrap();
}
