//! Traffic: the counters of WireGuard become totals and buckets of 10 s, a
//! minute, a quarter of an hour, an hour and a day ([`domain::Span`]).
//!
//! A counter lower than the previous reading means that the interface was
//! recreated and counts from zero; the new reading is then the traffic since.
//!
//! # Why buckets are packed
//! One row per device and bucket would be 3,581 rows for each active device, 71
//! million for 20,000 devices: 1.9 GB in SQLite at 27 bytes per row, 10 GB in
//! PostgreSQL at 139. Writing a reading of 20,000 devices took 170 ms in SQLite
//! and 440 to 660 ms in PostgreSQL. A ring buffer per device would need only as
//! many rows as devices, but every reading would rewrite every ring, about
//! 115 MB in ten seconds.
//!
//! So a bucket is one row per *tenant* with the shares of its devices packed into
//! bytes ([`traffic_codec`]), and it is written once, when it is full. Until
//! then its sums are in the tenant's row of `tenant_traffic`, beside the
//! counters. A reading therefore writes two rows for each tenant with traffic and
//! none for the others, in one transaction that hardly delays other changes
//! (docs/PERFORMANCE.md). If a tenant has no traffic when a bucket becomes full,
//! the bucket is written with the tenant's next traffic.
//!
//! `bandwidth_stats` stays readable with plain SQL: it has a device's bytes since
//! its previous row, six hours or more ago, for a week. Each reading reports only
//! some tenants, so that it stays short.
//!
//! Invariant: the readings of a node are stored in the order in which they were made, each
//! once, whichever control plane stores them ([`order`]). An older one behind a newer one
//! would look like counters that restarted.

mod buckets;
mod counters;
mod first_handshakes;
mod order;
mod peer_index;
mod prune;
mod record;
mod rollup;
mod sample;
mod series;
mod traffic_codec;

pub(crate) use counters::{COUNTERS, counters_in, decode_counters};
pub use first_handshakes::{FirstHandshakes, WaitingDevice};
pub(crate) use peer_index::PeerIndex;
pub use record::Recorded;
pub use sample::StatSample;
pub(crate) use series::month_bytes;
pub(crate) use traffic_codec::{DeviceCounters, TenantCounters};

/// The statements that run with every reading or page, for the tests of query
/// plans.
#[cfg(test)]
pub(crate) fn frequent_statements() -> Vec<String> {
    let by_ids = [
        &record::existing_tenants(crate::LOCAL_NODE),
        record::TENANT_COUNTERS,
        record::INITIAL_COUNTERS,
        record::EXISTING_PEERS,
        record::TENANTS_WITH,
        record::PEERS_OF_TENANTS,
        &rollup::delete_days(1),
        &record::days_since(domain::Timestamp(1)),
    ];
    let mut all: Vec<String> = by_ids
        .into_iter()
        .map(|s| crate::db::batch::select_in(s, 500, ""))
        .collect();
    for (_, table) in buckets::BUCKET_TABLES {
        all.push(prune::prune_buckets(table));
        all.push(prune::delete_tenant_buckets(table));
        all.push(series::select_buckets(table));
    }
    all.extend(
        [
            prune::PRUNE_BANDWIDTH_STATS,
            counters::COUNTERS,
            record::PEERS_OF_NODE,
            series::DAYS,
        ]
        .map(str::to_owned),
    );
    all
}
