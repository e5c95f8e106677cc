//! A test of what SQLite means to do: no statement that runs often may walk
//! over a whole table.

use crate::{
    LOCAL_NODE, Store,
    batch::select_in,
    db::Either,
    events,
    overview::OVERVIEW,
    rollup::{self, TABLES},
    series, spec,
    statistics::{self, ALIVE, BEGINNINGS, COUNTERS, TELLABLE},
};
use sqlx::AssertSqlSafe;

async fn plan(store: &Store, statement: &str) -> String {
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let Either::Sqlite(pool) = store.db.writer() else {
        panic!("not SQLite")
    };
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|r| r.3 + "\n").collect()
}

#[tokio::test]
async fn what_runs_often_walks_over_no_whole_table() {
    let store = Store::memory().await.unwrap();
    let mut statements: Vec<String> = [ALIVE, COUNTERS, BEGINNINGS, TELLABLE]
        .map(|s| select_in(s, 500, ""))
        .to_vec();
    for (_, table) in TABLES {
        statements.push(statistics::prune(table));
        statements.push(statistics::forget(table));
        statements.push(series::buckets(table));
    }
    statements.push(select_in(&rollup::old_days(1), 500, ""));
    statements.push(select_in(&events::held(LOCAL_NODE), 500, ""));
    statements.extend(
        [
            spec::TENANTS,
            spec::DEVICES,
            spec::HELD,
            spec::SLOTS,
            statistics::PRUNE_TOLD,
            series::COUNTERS,
            series::DAYS,
            OVERVIEW,
            events::OF_ALL,
            events::OF_TENANT,
            events::PRUNE_OLD,
            events::PRUNE_MANY,
            "SELECT id FROM peers WHERE user_id = $1 ORDER BY id",
            "DELETE FROM users WHERE id = $1",
            "DELETE FROM peers WHERE user_id = $1 AND id = $2",
            "DELETE FROM sessions WHERE expires <= $1",
            "SELECT at FROM audit_log ORDER BY id DESC LIMIT $1",
        ]
        .map(str::to_owned),
    );
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
    ];
    for s in statements {
        let plan = plan(&store, &s).await;
        // Newest first, along the key and not far.
        let newest = s.contains("ORDER BY id DESC LIMIT");
        let tables = tables.iter().chain((!newest).then_some(&"events"));
        for table in tables {
            let scans = plan.lines().any(|l| {
                l.split_once("SCAN ")
                    .is_some_and(|(_, rest)| rest.split(' ').next() == Some(*table))
            });
            assert!(!scans, "{s}\n{plan}");
        }
    }
}
