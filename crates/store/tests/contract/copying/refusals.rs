//! What a copy refuses, with a message for the operator and without the password.

use super::{copy, source::SourceDatabase, stored_rows, target};
use crate::test_database::{KEY, TestDatabase, sign_up};
use domain::{Message, Secret};
use seal::Sealer;
use sqlx::{Connection, SqliteConnection};
use store::{CopyError, StoreError, check_copy};

/// Returns the error of both the check and the copy, which is the same.
async fn refused(source: &SourceDatabase, target: &Secret) -> CopyError {
    let key = Sealer::from_key(KEY);
    let checked = check_copy(source.path(), target, &key).await.unwrap_err();
    let copied = copy(source, target).await.unwrap_err();
    assert_eq!(checked.message(), copied.message());
    let text = format!("{copied} {copied:?} {:?}", copied.message());
    assert!(!text.contains("geheim"), "{text}");
    copied
}

/// Returns the address with another user and password.
fn with_user(url: &Secret, user: &str) -> Secret {
    let (scheme, rest) = url.expose().split_once("://").unwrap();
    let (_, rest) = rest.split_once('@').unwrap();
    Secret::new(format!("{scheme}://{user}:geheim@{rest}"))
}

pub async fn a_target_with_rows_is_refused(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let store = db.store().await;
    sign_up(&store, "here").await;
    store.close().await;
    let before = stored_rows(db).await;
    let e = copy(&source, target(db)).await.unwrap_err();
    assert!(matches!(&e, CopyError::NotEmpty { .. }), "{e:?}");
    assert_eq!(stored_rows(db).await, before);
    // The table of another program, in a database that no MalikNode has used.
    db.raw("DROP SCHEMA public CASCADE").await;
    db.raw("CREATE SCHEMA public").await;
    db.raw("CREATE TABLE invoices (id BIGINT)").await;
    let e = refused(&source, target(db)).await;
    let table = "invoices".to_owned();
    assert!(
        matches!(e.message(), Message::CopyTargetNotEmpty { table: t, .. } if t == table),
        "{e:?}"
    );
    let tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    assert_eq!(db.texts(tables).await, [table]);
}

pub async fn a_target_that_does_not_fit_is_refused(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let closed = Secret::new("postgres://maliknode:geheim@127.0.0.1:1/maliknode");
    let e = refused(&source, &closed).await;
    assert!(matches!(e, CopyError::Unreachable { .. }), "{e:?}");
    let Message::CopyTargetUnreachable { target: place } = e.message() else {
        panic!("{e:?}");
    };
    assert_eq!(place, "127.0.0.1:1/maliknode");

    let absent = target(db).expose().replacen("/mn_test_", "/mn_absent_", 1);
    let e = refused(&source, &Secret::new(absent)).await;
    assert!(matches!(e, CopyError::DatabaseUnknown { .. }), "{e:?}");

    let e = refused(&source, &Secret::new("postgres://u:geheim@[::1/x")).await;
    assert!(matches!(e, CopyError::TargetAddress(_)), "{e:?}");

    // Roles belong to the server, so each test makes its own.
    let role = format!(
        "{}_role",
        db.texts("SELECT current_database()::text").await[0]
    );
    db.raw(&format!("CREATE ROLE {role} NOLOGIN PASSWORD 'geheim'"))
        .await;
    let other = with_user(target(db), &role);
    let e = refused(&source, &other).await;
    assert!(matches!(e, CopyError::Refused { .. }), "{e:?}");
    db.raw(&format!("ALTER ROLE {role} LOGIN")).await;
    db.raw("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let e = refused(&source, &other).await;
    assert!(matches!(e, CopyError::NotPermitted { .. }), "{e:?}");
    db.raw(&format!(
        "ALTER ROLE {role} SET default_transaction_read_only = on"
    ))
    .await;
    let e = refused(&source, &other).await;
    assert!(matches!(e, CopyError::ReadOnly { .. }), "{e:?}");
    db.raw(&format!("DROP ROLE {role}")).await;

    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert!(db.texts(tables).await.is_empty(), "nothing was written");
}

pub async fn a_target_without_utf8_is_refused(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let name = format!(
        "{}_ascii",
        db.texts("SELECT current_database()::text").await[0]
    );
    db.raw(&format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
    ))
    .await;
    let (front, _) = name.rsplit_once("_ascii").unwrap();
    let url = target(db).expose().replacen(front, &name, 1);
    let e = refused(&source, &Secret::new(url)).await;
    db.raw(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    assert!(
        matches!(&e, CopyError::Encoding { encoding, .. } if encoding == "SQL_ASCII"),
        "{e:?}"
    );
}

pub async fn a_newer_schema_is_not_copied(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    db.store().await.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'later', true, 'x', 0)";
    db.raw(newer).await;
    let e = refused(&source, target(db)).await;
    assert!(
        matches!(
            &e,
            CopyError::TargetSchema(StoreError::SchemaNewer { found: 9999, .. })
        ),
        "{e:?}"
    );
    db.raw("DELETE FROM _sqlx_migrations WHERE version = 9999")
        .await;
    source.raw(&newer.replace("'x'", "x'00'")).await;
    let e = refused(&source, target(db)).await;
    assert!(
        matches!(
            &e,
            CopyError::Source(StoreError::SchemaNewer { found: 9999, .. })
        ),
        "{e:?}"
    );
    assert_eq!(stored_rows(db).await, ["0"]);
}

pub async fn a_value_that_postgresql_cannot_store_is_named(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    source
        .raw("UPDATE events SET detail = 'a' || char(0) || 'b' WHERE id = 2")
        .await;
    let e = refused(&source, target(db)).await;
    let Message::CopyNulCharacter { place } = e.message() else {
        panic!("{e:?}");
    };
    assert_eq!(place, "events.detail (2)");
    source
        .raw("UPDATE events SET detail = CAST(x'61ff' AS TEXT) WHERE id = 2")
        .await;
    let e = refused(&source, target(db)).await;
    let Message::CopyValueUnreadable { place } = e.message() else {
        panic!("{e:?}");
    };
    assert_eq!(place, "events.detail (2)");
    assert_eq!(stored_rows(db).await, ["0"]);
}

pub async fn a_value_that_does_not_unseal_is_named_and_copied(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    source
        .raw("UPDATE users SET dns_password = 'v1:AAAA' WHERE username = 'zoe1'")
        .await;
    let report = copy(&source, target(db)).await.unwrap();
    assert_eq!(report.sealed.unopened, ["users.dns_password (zoe1)"]);
    assert_eq!(report.sealed.opened, 12);
    // With another key nothing would open.
    let other = Sealer::from_key([7; 32]);
    let e = check_copy(source.path(), target(db), &other)
        .await
        .unwrap_err();
    assert!(
        matches!(&e, CopyError::Source(StoreError::WrongKey)),
        "{e:?}"
    );
}

pub async fn a_source_that_is_written_to_is_refused(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let mut writer = source.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut writer)
        .await
        .unwrap();
    let e = copy(&source, target(db)).await.unwrap_err();
    assert!(matches!(&e, CopyError::SourceBusy { .. }), "{e:?}");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut writer)
        .await
        .unwrap();
    SqliteConnection::close(writer).await.unwrap();
    // No file, and a file that is no database.
    let missing = SourceDatabase::at(db.dir.path().join("none.sqlite"));
    let e = refused(&missing, target(db)).await;
    assert!(matches!(&e, CopyError::SourceMissing { .. }), "{e:?}");
    assert!(!missing.path().exists());
    let text = db.dir.path().join("text.sqlite");
    std::fs::write(
        &text,
        "no database, and long enough to be read as one".repeat(20),
    )
    .unwrap();
    let e = refused(&SourceDatabase::at(text), target(db)).await;
    assert!(matches!(&e, CopyError::Source(_)), "{e:?}");
}

pub async fn a_check_writes_nothing(db: &TestDatabase) {
    let source = SourceDatabase::filled(db).await;
    let before = std::fs::read(source.path()).unwrap();
    let check = check_copy(source.path(), target(db), &Sealer::from_key(KEY)).await;
    let check = check.unwrap();
    let rows = check.rows.unwrap();
    assert_eq!((rows["users"], rows["peers"], rows["nodes"]), (2, 2, 2));
    assert_eq!((check.sealed.opened, check.sealed.unopened.len()), (13, 0));
    assert_eq!(check.target_table_with_rows, None);
    assert!(std::fs::read(source.path()).unwrap() == before);
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert!(db.texts(tables).await.is_empty());
    // A server of an older version left it.
    source
        .raw("DELETE FROM _sqlx_migrations WHERE version > 8")
        .await;
    let check = check_copy(source.path(), target(db), &Sealer::from_key(KEY)).await;
    assert_eq!(check.unwrap().rows, None);
}
