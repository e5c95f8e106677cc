//! Copying a SQLite database to PostgreSQL: nothing is lost, and what fails on the way
//! leaves the target as it was.

mod refusals;
mod source;

use crate::test_database::{KEY, TestDatabase, scope, sign_up};
use domain::Secret;
pub use refusals::*;
use seal::Sealer;
use source::SourceDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use std::{sync::Arc, time::Duration};
use store::{
    CopyError, CopyProgress, CopyReport, CopyStage, DatabaseUrl, LOCAL_NODE, check_copy,
    copy_database,
};
use tokio::sync::Notify;

fn target(db: &TestDatabase) -> &Secret {
    match db.url() {
        DatabaseUrl::Postgres(url) => url,
        DatabaseUrl::Sqlite(_) => panic!("these cases run on PostgreSQL"),
    }
}

async fn copy(source: &SourceDatabase, target: &Secret) -> Result<CopyReport, CopyError> {
    let sealer = Sealer::from_key(KEY);
    copy_database(source.path(), target, &sealer, &mut |_| ()).await
}

/// The number of rows that a server stored in a database.
async fn stored_rows(db: &TestDatabase) -> Vec<String> {
    db.texts(
        "SELECT ((SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM operators) + \
         (SELECT COUNT(*) FROM audit_log) + (SELECT COUNT(*) FROM events))::text",
    )
    .await
}

/// Returns every row of the tables as text. Bytes are in hexadecimal digits, and the rows
/// are sorted here, because the databases sort differently.
async fn rows_of(source: &SourceDatabase, db: &TestDatabase) -> [Vec<String>; 2] {
    let mut sqlite = source.connect().await;
    let mut postgres = PgConnection::connect(target(db).expose()).await.unwrap();
    let mut all = [Vec::new(), Vec::new()];
    for (table, columns) in source.tables().await {
        let of = |how: &dyn Fn(&str, &str) -> String| {
            let columns = columns.iter().map(|(name, kind)| {
                let value = how(name, kind);
                format!("'{name}=' || COALESCE({value}, 'NULL')")
            });
            let row = columns.collect::<Vec<_>>().join(" || '; ' || ");
            AssertSqlSafe(format!("SELECT '{table}: ' || {row} FROM {table}"))
        };
        let [ours, theirs] = &mut all;
        let sql = of(&|name, kind| match kind {
            "BLOB" => format!("lower(hex({name}))"),
            _ => format!("CAST({name} AS TEXT)"),
        });
        ours.extend(
            sqlx::query_scalar::<_, String>(sql)
                .fetch_all(&mut sqlite)
                .await
                .unwrap(),
        );
        let sql = of(&|name, kind| match kind {
            "BLOB" => format!("encode({name}, 'hex')"),
            _ => format!("{name}::text"),
        });
        let rows = sqlx::query_scalar::<_, String>(sql)
            .fetch_all(&mut postgres)
            .await;
        theirs.extend(rows.unwrap());
    }
    all.iter_mut().for_each(|rows| rows.sort());
    all
}

pub async fn every_row_is_copied_and_compared(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    source.assert_every_column_is_used().await;
    let (mut seen, key) = (Vec::new(), Sealer::from_key(KEY));
    let mut progress = |p: CopyProgress<'_>| {
        seen.push((p.stage, p.table.to_owned(), p.rows, p.total));
    };
    let report = copy_database(source.path(), target(db), &key, &mut progress).await;
    let report = report.unwrap();
    let [ours, theirs] = rows_of(&source, db).await;
    assert!(ours.len() > 40, "{}", ours.len());
    assert_eq!(ours, theirs);

    assert!(!report.was_complete);
    assert_eq!(report.rows["users"], 2);
    assert_eq!(report.rows.values().sum::<u64>(), ours.len() as u64);
    // Two tenants with two values each, a device with two and one with one, the check, the
    // authority, the API's key, an answer, a second factor and the token of a mail.
    assert_eq!(
        (report.sealed.opened, report.sealed.unopened.len()),
        (13, 0)
    );
    for table in report.rows.keys() {
        for stage in [CopyStage::Copy, CopyStage::Verify] {
            let last = seen.iter().rfind(|s| s.0 == stage && s.1 == *table);
            let (.., rows, total) = last.unwrap_or_else(|| panic!("{table} {stage:?}"));
            assert_eq!(
                (rows, *total),
                (total, report.rows[table]),
                "{table} {stage:?}"
            );
        }
    }
}

pub async fn a_copied_database_serves_as_before(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let before = source.store().await;
    let spec = before.load_spec(LOCAL_NODE).await.unwrap();
    let sessions = before.row_counts().await.unwrap();
    let authority = before.authority().await.unwrap();
    before.close().await;
    copy(&source, target(db)).await.unwrap();
    let after = db.store().await;
    assert_eq!(after.load_spec(LOCAL_NODE).await.unwrap(), spec);
    assert_eq!(after.row_counts().await.unwrap(), sessions);
    assert_eq!(after.authority().await.unwrap(), authority);
    assert!(authority.is_some());
    // The tenant with the highest number was deleted: its number is not given again.
    let deleted = source.deleted_tenant().await;
    let next = sign_up(&after, "next").await;
    assert!(next.id.0 > deleted, "{} after {deleted}", next.id.0);
    let s = scope(&next);
    assert_eq!(after.devices(&s).await.unwrap(), []);
}

pub async fn a_complete_copy_is_recognised(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    copy(&source, target(db)).await.unwrap();
    let again = copy(&source, target(db)).await.unwrap();
    assert!(again.was_complete);
    let check = check_copy(source.path(), target(db), &Sealer::from_key(KEY)).await;
    assert!(check.unwrap().target_table_with_rows.is_some());
    // A server has used it since.
    let store = db.store().await;
    sign_up(&store, "late").await;
    let e = copy(&source, target(db)).await.unwrap_err();
    assert!(matches!(e, CopyError::NotEmpty { .. }), "{e:?}");
    assert!(
        store
            .tenant_by_name(&crate::test_database::name("late"))
            .await
            .is_ok()
    );
}

pub async fn a_copy_that_ends_halfway_leaves_nothing(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    for table in ["users", "bandwidth_stats", "usage_days"] {
        // The process ends, or the connection, while this table is copied.
        let reached = Arc::new(Notify::new());
        let (notify, key) = (reached.clone(), Sealer::from_key(KEY));
        let mut progress = |p: CopyProgress<'_>| {
            if p.stage == CopyStage::Copy && p.table == table {
                notify.notify_one();
            }
        };
        tokio::select! {
            biased;
            () = reached.notified() => {}
            result = copy_database(source.path(), target(db), &key, &mut progress) => {
                panic!("{table}: {result:?}");
            }
        }
        wait_until_unused(db).await;
        assert_eq!(stored_rows(db).await, ["0"], "{table}");
    }
    let e = copy_with_a_full_disk(&source, db).await;
    assert!(matches!(e, CopyError::DiskFull { .. }), "{e:?}");
    assert_eq!(stored_rows(db).await, ["0"]);
    let plans = db.texts("SELECT id FROM plans ORDER BY position").await;
    assert_eq!(
        plans,
        ["personal", "home", "studio"],
        "as migrations made it"
    );

    copy(&source, target(db)).await.unwrap();
    let [ours, theirs] = rows_of(&source, db).await;
    assert_eq!(ours, theirs);
}

/// Copies while the target's disk is full for one table.
async fn copy_with_a_full_disk(source: &SourceDatabase, db: &TestDatabase) -> CopyError {
    let full = "RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'";
    copy_with_a_trigger(source, db, full).await
}

/// Copies while the target runs something for each new device.
async fn copy_with_a_trigger(
    source: &SourceDatabase,
    db: &TestDatabase,
    statement: &str,
) -> CopyError {
    db.store().await.close().await;
    db.raw(&format!(
        "CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN {statement}; RETURN NEW; END $$"
    ))
    .await;
    db.raw(
        "CREATE TRIGGER on_insert BEFORE INSERT ON peers \
         FOR EACH ROW EXECUTE FUNCTION on_insert()",
    )
    .await;
    let result = copy(source, target(db)).await;
    db.raw("DROP FUNCTION on_insert CASCADE").await;
    result.unwrap_err()
}

pub async fn a_target_that_returns_other_rows_is_noticed(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    for change in [
        "NEW.endpoint := '192.0.2.1'",
        "NEW.endpoint := COALESCE(NEW.endpoint, '')",
        "IF NEW.id = 2 THEN RETURN NULL; END IF",
    ] {
        let e = copy_with_a_trigger(&source, db, change).await;
        assert!(
            matches!(&e, CopyError::Differs { table } if table == "peers"),
            "{change}: {e:?}"
        );
        assert_eq!(stored_rows(db).await, ["0"], "{change}");
    }
}

/// Waits until PostgreSQL has noticed that a copy's connection is gone.
async fn wait_until_unused(db: &TestDatabase) {
    let sql = "SELECT pid::text FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..200 {
        if db.texts(sql).await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a connection is still open");
}

pub async fn of_two_copies_at_once_one_succeeds(db: &TestDatabase) {
    let first = SourceDatabase::filled(db).await;
    let second = SourceDatabase::empty(db, "second.sqlite").await;
    let store = second.store().await;
    sign_up(&store, "other").await;
    store.close().await;
    let (a, b) = tokio::join!(copy(&first, target(db)), copy(&second, target(db)));
    let (winner, refused) = match (a, b) {
        (Ok(_), Err(e)) => (first, e),
        (Err(e), Ok(_)) => (second, e),
        other => panic!("one succeeds: {other:?}"),
    };
    assert!(
        matches!(
            refused,
            CopyError::TargetBusy { .. } | CopyError::NotEmpty { .. }
        ),
        "{refused:?}"
    );
    let [ours, theirs] = rows_of(&winner, db).await;
    assert_eq!(ours, theirs);
}

pub async fn many_rows_are_copied_in_chunks(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let mut c = source.connect().await;
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
               INSERT INTO audit_log (at, actor, action, object, detail) \
               SELECT i, 'operator', 'plan.change', 'home', 'Zoë''s ' || hex(randomblob(40)) FROM n";
    sqlx::raw_sql(sql).execute(&mut c).await.unwrap();
    SqliteConnection::close(c).await.unwrap();
    let mut steps = 0;
    let mut progress = |p: CopyProgress<'_>| {
        steps += u32::from(p.stage == CopyStage::Copy && p.table == "audit_log");
    };
    let key = Sealer::from_key(KEY);
    let copied = copy_database(source.path(), target(db), &key, &mut progress).await;
    assert!(copied.unwrap().rows["audit_log"] > 20_000);
    assert!(steps > 20, "{steps}");
    let [ours, theirs] = rows_of(&source, db).await;
    assert_eq!(ours, theirs);
}
