//! Measures how long a page of a long audit log takes with each filter, and what an entry costs.
//!
//!     cargo run --release -p store --example audit_log -- [ROWS] [DATABASE]
//!
//! The defaults are 1,000,000 entries in a temporary SQLite file; DATABASE may be the URL of an
//! empty PostgreSQL database. The filters are frequent each by itself and rare together.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/contract/long_audit_log.rs"]
mod long_audit_log;

use domain::Timestamp;
use seal::Sealer;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use std::time::{Duration, Instant};
use store::{AuditEntry, DatabaseUrl, Store};

/// The entries of a page, and one that says whether there are more.
const PAGE: u32 = 101;
/// How often each is measured.
const ROUNDS: usize = 21;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let rows: u32 = arguments
        .next()
        .map_or(1_000_000, |rows| rows.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let url = match arguments.next() {
        Some(url) => DatabaseUrl::parse(&url).unwrap(),
        None => DatabaseUrl::Sqlite(folder.path().join("database.sqlite")),
    };
    let store = Store::open(&url, Sealer::from_key([7; 32])).await.unwrap();
    let insert = AssertSqlSafe(long_audit_log::insert(rows));
    let begun = Instant::now();
    match &url {
        DatabaseUrl::Sqlite(path) => {
            let address = format!("sqlite://{}", path.display());
            let mut c = SqliteConnection::connect(&address).await.unwrap();
            sqlx::raw_sql(insert).execute(&mut c).await.unwrap();
        }
        DatabaseUrl::Postgres(url) => {
            let mut c = PgConnection::connect(url.expose()).await.unwrap();
            sqlx::raw_sql(insert).execute(&mut c).await.unwrap();
            sqlx::raw_sql("ANALYZE audit_log")
                .execute(&mut c)
                .await
                .unwrap();
        }
    }
    println!("{rows} entries written in {:.1?}", begun.elapsed());
    let day = |from: i64, to: i64| Some((Timestamp(from * 1_000), Timestamp(to * 1_000)));
    let middle = i64::from(rows / 2);
    for (title, times) in [
        ("at any time", None),
        ("on a day", day(middle, middle + 86_400)),
    ] {
        for (index, filter) in long_audit_log::filters(times) {
            let mut took = Vec::new();
            let mut found = 0;
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let page = store.audit_matching(&filter, i64::MAX, PAGE).await.unwrap();
                took.push(begun.elapsed());
                found = page.len();
            }
            let (first, rest) = (took[0].as_secs_f64() * 1_000.0, median(took));
            println!("{title}, {index}: {found} entries, first {first:.2} ms, median {rest:.2} ms");
        }
    }
    let mut took = Vec::new();
    for n in 0..200 {
        let entry = AuditEntry {
            at: Timestamp(i64::from(rows) * 1_000 + n),
            actor: long_audit_log::ACTOR.to_owned(),
            action: long_audit_log::ACTION.to_owned(),
            object: "lina/My phone".to_owned(),
            tenant: Some(long_audit_log::TENANT),
            ..AuditEntry::default()
        };
        let begun = Instant::now();
        store.audit(entry).await.unwrap();
        took.push(begun.elapsed());
    }
    println!("an entry is written in {:.2} ms", median(took));
}
