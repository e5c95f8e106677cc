//! Tests of SQLite's query plans: no statement that runs often may scan a whole
//! table.

use crate::{
    AuditFilter, LOCAL_NODE, Store, account, api,
    audit::{self, Order},
    db::{Either, batch::select_in},
    events,
    overview::OVERVIEW,
    quota,
    sign_up::{invitations, sleep},
    spec, statistics,
};
use domain::{TenantId, Timestamp};
use sqlx::AssertSqlSafe;

async fn query_plan(store: &Store, statement: &str) -> String {
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let Either::Sqlite(pool) = store.db.writer().uncounted() else {
        panic!("not SQLite")
    };
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|r| r.3 + "\n").collect()
}

#[tokio::test]
async fn frequent_statements_scan_no_whole_table() {
    let store = Store::memory().await.unwrap();
    let mut statements = statistics::frequent_statements();
    statements.push(select_in(&events::slot_holders(LOCAL_NODE), 500, ""));
    statements.push(select_in(
        &quota::of_tenants(LOCAL_NODE),
        500,
        "ORDER BY users.id",
    ));
    statements.extend(
        [
            quota::OF_NODE,
            quota::NEAR_LIMIT,
            "SELECT id FROM users WHERE node_id = $1 AND plan = $2 ORDER BY id",
            spec::TENANTS,
            spec::DEVICES,
            spec::TENANT_COUNT,
            spec::TAKEN_SLOTS,
            OVERVIEW,
            invitations::BEFORE,
            invitations::BY_CODE,
            sleep::WITH_READINGS,
            sleep::DUE,
            sleep::ASLEEP,
            api::CREDENTIAL,
            api::TOKENS_OF_TENANT,
            account::SESSIONS_OF_TENANT,
            audit::BEFORE,
            audit::OF_OPERATOR,
            events::BEFORE,
            events::BEFORE_OF_TENANT,
            events::AFTER,
            events::AFTER_OF_TENANT,
            events::NEWEST,
            events::NEWEST_OF_TENANT,
            events::PRUNE_OLD,
            events::PRUNE_EXCESS,
            "SELECT id FROM peers WHERE user_id = $1 ORDER BY id",
            "DELETE FROM users WHERE id = $1",
            "DELETE FROM peers WHERE user_id = $1 AND id = $2",
            "DELETE FROM sessions WHERE expires <= $1",
            "SELECT at FROM audit_log ORDER BY id DESC LIMIT $1",
        ]
        .map(str::to_owned),
    );
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let filters = every_audit_filter();
        statements.extend(filters.map(|filter| audit::matching(&filter, order, true)));
    }
    statements.extend([audit::FIRST_SINCE, audit::LAST_BEFORE].map(str::to_owned));
    let tables = [
        "peers",
        "users",
        "bandwidth_stats",
        "usage_days",
        "sessions",
        "tenant_traffic",
        "traffic_ticks",
        "traffic_minutes",
        "traffic_quarters",
        "traffic_hours",
        "t",
        "invitations",
        // api_credentials, users and operators.
        "c",
        "u",
        "o",
    ];
    for s in statements {
        let plan = query_plan(&store, &s).await;
        assert!(
            !s.contains("audit_log") || !plan.contains("TEMP B-TREE"),
            "{s}\n{plan}"
        );
        // A short scan from the newest row along the key is allowed.
        let newest = s.contains("ORDER BY id DESC LIMIT");
        let logs: &[&str] = if newest {
            &[]
        } else {
            &["events", "audit_log"]
        };
        let tables = tables.iter().chain(logs);
        for table in tables {
            let scans = plan.lines().any(|l| {
                l.split_once("SCAN ")
                    .is_some_and(|(_, rest)| rest.split(' ').next() == Some(*table))
            });
            assert!(!scans, "{s}\n{plan}");
        }
    }
}

/// Returns every filter of the audit log, with and without times.
fn every_audit_filter() -> impl Iterator<Item = AuditFilter> {
    (0_u8..16).map(|given| {
        let is = |bit: u8| given & bit != 0;
        AuditFilter {
            tenant: is(1).then_some(TenantId(1)),
            actor: is(2).then(|| "x".to_owned()),
            action: is(4).then(|| "x".to_owned()),
            since: is(8).then_some(Timestamp(1)),
            until: is(8).then_some(Timestamp(2)),
        }
    })
}

#[tokio::test]
async fn every_filter_of_the_audit_log_has_an_index_of_its_own() {
    let store = Store::memory().await.unwrap();
    let orders = [Order::NewestFirst, Order::OldestFirst];
    let filters =
        every_audit_filter().flat_map(|filter| orders.map(|order| (filter.clone(), order)));
    for (filter, order) in filters {
        let statement = audit::matching(&filter, order, true);
        let plan = query_plan(&store, &statement).await;
        let columns = [
            (filter.tenant.is_some(), "user_id=? AND "),
            (filter.actor.is_some(), "actor=? AND "),
            (filter.action.is_some(), "action=? AND "),
        ];
        let columns: String = columns.iter().filter(|c| c.0).map(|c| c.1).collect();
        let search = match filter.index() {
            Some((index, _)) => format!("USING INDEX {index} ({columns}<expr>>? AND <expr><?)"),
            // The rows themselves are in the order of the id.
            None => "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)".to_owned(),
        };
        let plan: Vec<_> = plan.lines().collect();
        assert_eq!(plan, [format!("SEARCH audit_log {search}")], "{statement}");
    }
}
