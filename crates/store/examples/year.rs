//! Measures the size of a year of statistics and the time to store a reading.
//!
//!     cargo run --release -p store --example year -- [TENANTS] [DEVICES EACH] [DATABASE]
//!
//! The defaults are 1,000 tenants with 20 devices each in a temporary SQLite file;
//! DATABASE may be the URL of an empty PostgreSQL database. Every device is in
//! use all the time, which is the worst case. It takes some minutes.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../tests/contract/year_of_readings.rs"]
mod year_of_readings;

use domain::{
    AddressPlan, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Routing, Secret,
    Span, TenantName, TenantScope, Timestamp,
};
use seal::Sealer;
use sqlx::{Connection, PgConnection};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use store::{DatabaseUrl, LOCAL_NODE, NewDevice, NewTenant, Store};

/// 2026-11-25T12:00:07Z.
const NOW: Timestamp = Timestamp::from_secs(1_795_608_007);

fn key(n: u64) -> PrivateKey {
    let mut bytes = [7; 32];
    bytes[8..16].copy_from_slice(&n.to_be_bytes());
    PrivateKey::from_random(bytes)
}

async fn fill(store: &Store, tenants: u64, devices: u64) -> (Vec<TenantScope>, Vec<PublicKey>) {
    let (plan, none) = (AddressPlan::default(), BTreeSet::new());
    let (mut scopes, mut keys) = (Vec::new(), Vec::new());
    for t in 0..tenants {
        let new = NewTenant {
            actor: None,
            name: TenantName::parse(&format!("tenant{t}")).unwrap(),
            password_hash: Secret::new("hash"),
            plan: "studio".to_owned(),
            private_key: key(t << 32),
            dns_password: Secret::new("dns"),
            time_zone: "UTC".to_owned(),
            invitation: None,
            mail: None,
            dns_password_hash: "hash".to_owned(),
            now: NOW,
        };
        let created = store.create_tenant(new, &plan, &none).await.unwrap().value;
        let scope = TenantScope::issue(created.id, created.name, "year");
        for d in 1..=devices {
            let public_key = key((t << 32) + d).public();
            let new = NewDevice {
                label: DeviceLabel::parse(&format!("Device {d}")).unwrap(),
                routing: Routing::Everything,
                options: domain::TunnelOptions::default(),
                policy: FilterPolicy::Standard,
                mesh: false,
                private_key: None,
                public_key,
                preshared_key: PresharedKey::from_random([1; 32]),
                client_id: format!("mn-{d}"),
                now: NOW,
            };
            store.add_device(&scope, new, &plan).await.unwrap();
            keys.push(public_key);
        }
        scopes.push(scope);
    }
    (scopes, keys)
}

fn print_times(label: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{label:<34} median {:>9.2?}  p99 {:>9.2?}  worst {:>9.2?}  of {}",
        at(50),
        at(99),
        at(100),
        times.len()
    );
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |or: u64| args.next().map_or(or, |n| n.parse().unwrap());
    let (tenants, devices) = (number(1_000), number(20));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("database.sqlite");
    let url = args.next();
    let url = match &url {
        Some(url) => DatabaseUrl::parse(url).unwrap(),
        None => DatabaseUrl::Sqlite(file.clone()),
    };
    let store = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
    let (scopes, keys) = fill(&store, tenants, devices).await;
    let empty = size(&url).await;
    println!(
        "{}, {tenants} tenants with {devices} devices each",
        store.kind()
    );

    let mut counters = year_of_readings::Devices::new(keys);
    let (mut recorded, mut pruned, mut midnights) = (Vec::new(), Vec::new(), Vec::new());
    for at in year_of_readings::readings(NOW) {
        let batch = counters.read(at);
        let start = Instant::now();
        store
            .record_statistics(LOCAL_NODE, &batch, None, at)
            .await
            .unwrap();
        let took = start.elapsed();
        if NOW.millis_since(at) <= 3_600_000 {
            recorded.push(took);
        } else if at.0 % 86_400_000 == 0 {
            midnights.push(took);
        }
        let start = Instant::now();
        store.prune_statistics(at).await.unwrap();
        pruned.push(start.elapsed());
    }
    print_times("a reading of all, stored", recorded);
    print_times("the same at midnight", midnights);
    print_times("pruning after it", pruned);
    for span in Span::ALL {
        let device = store.devices(&scopes[0]).await.unwrap()[0].id;
        let mut times = Vec::new();
        for scope in scopes.iter().take(50) {
            let start = Instant::now();
            let points = store.series(scope, None, span, NOW).await.unwrap();
            times.push(start.elapsed());
            let filled = points.iter().filter(|p| p.tx_bytes > 0).count();
            assert_eq!(filled, span.steps(), "{span:?} has holes");
        }
        let one = store.series(&scopes[0], Some(device), span, NOW).await;
        assert_eq!(one.unwrap().len(), span.steps());
        print_times(&format!("a graph of a tenant's {span:?}"), times);
    }
    let start = Instant::now();
    store.delete_tenant(&scopes[0], NOW).await.unwrap();
    println!("deleting a tenant with all that: {:.2?}", start.elapsed());
    store.close().await;
    let full = size(&url).await;
    let cells = 3_581 * tenants * devices;
    println!(
        "{:.1} MB more than without: {:.1} bytes a device and step, {:.1} kB a device",
        (full - empty) as f64 / 1e6,
        (full - empty) as f64 / cells as f64,
        (full - empty) as f64 / 1e3 / (tenants * devices) as f64
    );
}

async fn size(url: &DatabaseUrl) -> u64 {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let wal = path.with_extension("sqlite-wal");
            std::fs::metadata(path).unwrap().len() + std::fs::metadata(wal).map_or(0, |m| m.len())
        }
        DatabaseUrl::Postgres(url) => {
            let mut c = PgConnection::connect(url.expose()).await.unwrap();
            let sql = "SELECT pg_database_size(current_database())";
            let (n,): (i64,) = sqlx::query_as(sql).fetch_one(&mut c).await.unwrap();
            n.unsigned_abs()
        }
    }
}
