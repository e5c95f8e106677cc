//! Several control planes on one database: which there are, who holds which lease, and
//! attempts that are counted together.

use crate::{
    statistics::{sample, tenant_with, totals},
    test_database::{NOW, TestDatabase},
};
use futures_util::future::join_all;
use protocol::ReadingOrder;
use std::{collections::BTreeMap, time::Duration};
use store::{
    AttemptDelay, AttemptLimit, Attempted, CountedAttempt, LOCAL_NODE, LeaseEpoch, Recorded,
    StatSample, Store,
};

const MINUTE: Duration = Duration::from_secs(60);

fn limit(max: u32, window: Duration) -> AttemptLimit {
    AttemptLimit {
        max,
        window,
        delay: None,
    }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

async fn count(store: &Store, key: &str) -> Result<CountedAttempt, Duration> {
    let counted = store.count_attempt(&keys(&[key]), &limit(5, MINUTE)).await;
    match counted.unwrap() {
        Attempted::Counted(counted) => Ok(counted),
        Attempted::Wait(wait) => Err(wait),
    }
}

pub async fn the_sixth_attempt_of_a_window_waits(db: &TestDatabase) {
    let store = db.store().await;
    for n in 1..=5 {
        let counted = count(&store, "a").await.unwrap();
        assert_eq!(counted.exhausted.len(), usize::from(n == 5), "{n}");
    }
    let wait = count(&store, "a").await.unwrap_err();
    assert!(wait > Duration::from_secs(30) && wait <= MINUTE, "{wait:?}");
    // A key that has none left holds the attempt up, and the other one is not charged.
    for _ in 0..9 {
        let both = store
            .count_attempt(&keys(&["b", "a"]), &limit(5, MINUTE))
            .await;
        assert!(matches!(both.unwrap(), Attempted::Wait(_)));
    }
    let counted = store
        .count_attempt(&keys(&["b"]), &limit(1, MINUTE))
        .await
        .unwrap();
    assert!(matches!(counted, Attempted::Counted(c) if c.exhausted == ["b"]));
}

pub async fn an_attempt_counts_for_its_window_only(db: &TestDatabase) {
    let store = db.store().await;
    let short = Duration::from_millis(400);
    let count = async || {
        store
            .count_attempt(&keys(&["a"]), &limit(1, short))
            .await
            .unwrap()
    };
    assert!(matches!(count().await, Attempted::Counted(_)));
    let Attempted::Wait(wait) = count().await else {
        panic!("it is counted")
    };
    tokio::time::sleep(wait + Duration::from_millis(5)).await;
    assert!(matches!(count().await, Attempted::Counted(_)));
    tokio::time::sleep(short * 2).await;
    assert_eq!(store.prune_attempts().await.unwrap(), 1);
}

pub async fn a_paced_key_becomes_slower(db: &TestDatabase) {
    let store = db.store().await;
    let limit = AttemptLimit {
        delay: Some(AttemptDelay {
            free: 2,
            longest: Duration::from_secs(30),
        }),
        ..limit(60, MINUTE)
    };
    let count = async || store.count_attempt(&keys(&["a"]), &limit).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(count().await, Attempted::Counted(_)));
    }
    let mut waits = Vec::new();
    for _ in 0..2 {
        let Attempted::Wait(wait) = count().await else {
            panic!("it is not slowed")
        };
        waits.push(wait);
        tokio::time::sleep(wait + Duration::from_millis(5)).await;
        assert!(matches!(count().await, Attempted::Counted(_)));
    }
    assert!(
        waits[0] <= Duration::from_secs(1) && waits[1] > Duration::from_secs(1),
        "{waits:?}"
    );
}

pub async fn refunded_attempts_are_free_and_concurrent_ones_count(db: &TestDatabase) {
    let store = db.store().await;
    for _ in 0..20 {
        let counted = count(&store, "a").await.unwrap();
        store.refund_attempt(counted).await.unwrap();
    }
    assert_eq!(store.prune_attempts().await.unwrap(), 0, "no row is left");
    let attempts = (0..40).map(|n| {
        let store = store.clone();
        // In both orders, so that locks could be taken in both.
        let pair = match n % 2 {
            0 => keys(&["account", "address"]),
            _ => keys(&["address", "account"]),
        };
        tokio::spawn(async move { store.count_attempt(&pair, &limit(5, MINUTE)).await.unwrap() })
    });
    let counted = join_all(attempts).await.into_iter().map(Result::unwrap);
    let counted = counted.filter(|c| matches!(c, Attempted::Counted(_)));
    assert_eq!(counted.count(), 5);
}

pub async fn attempts_are_stored_hashed_and_bounded(db: &TestDatabase) {
    let store = db.store().await;
    let _counted = count(&store, "from 192.0.2.7").await.unwrap();
    let stored = db.texts("SELECT key FROM attempts").await;
    assert!(
        stored.len() == 1 && !stored[0].contains("192"),
        "{stored:?}"
    );
    db.raw(
        "INSERT INTO attempts (key, times, expires) \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20100) \
         SELECT CAST(n AS TEXT), '1', 9000000000000 + n FROM n",
    )
    .await;
    assert_eq!(store.prune_attempts().await.unwrap(), 101);
    let first = db
        .texts("SELECT key FROM attempts ORDER BY expires LIMIT 1")
        .await;
    assert_eq!(first, ["101"], "those that expire first were removed");
}

pub async fn an_older_reading_is_not_stored(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let order = |boot: &str, nanos| ReadingOrder {
        boot: boot.to_owned(),
        nanos,
    };
    let record = async |bytes, order: ReadingOrder| {
        let batch: [StatSample; 1] = [sample(&d[0], bytes, 0)];
        let recorded = store.record_statistics(LOCAL_NODE, &batch, Some(&order), NOW);
        let is_stored = recorded.await.unwrap() != Recorded::Outdated;
        (is_stored, totals(&store, &s, &d[0]).await.0)
    };
    assert_eq!(record(100, order("a", 10)).await, (true, 100));
    assert_eq!(record(300, order("a", 30)).await, (true, 300));
    // A control plane that was stopped has this one since before.
    assert_eq!(record(200, order("a", 20)).await, (false, 300));
    // The answer was lost, and the same is stored again.
    assert_eq!(record(300, order("a", 30)).await, (false, 300));
    // The machine starts again: its counters and its clock begin at zero.
    assert_eq!(record(50, order("b", 1)).await, (true, 350));
    assert_eq!(record(310, order("a", 40)).await, (false, 350));
    assert_eq!(record(60, order("b", 2)).await, (true, 360));
    let boot = |n: u64| format!("6a9f3c1e-0b7d-4f52-8e0a-5d1c2b3a4f6{n}");
    for n in 0..6 {
        assert!(record(50 - n, order(&boot(n), 1)).await.0);
    }
    let (is_stored, total) = record(9, order(&boot(3), 9)).await;
    assert_eq!((is_stored, total), (false, 360 + 285));
    // Without an order every reading is the newest.
    let batch = [sample(&d[0], 5, 0)];
    let recorded = store.record_statistics(LOCAL_NODE, &batch, None, NOW).await;
    assert!(matches!(recorded.unwrap(), Recorded::Stored(_)));
}

pub async fn a_machine_put_back_to_a_snapshot_is_counted_again(db: &TestDatabase) {
    let store = db.store().await;
    let (s, d) = tenant_with(&store, 1).await;
    let record = async |bytes, nanos| {
        let order = ReadingOrder {
            boot: "a".to_owned(),
            nanos,
        };
        let batch = [sample(&d[0], bytes, 0)];
        let recorded = store.record_statistics(LOCAL_NODE, &batch, Some(&order), NOW);
        recorded.await.unwrap() != Recorded::Outdated
    };
    assert!(record(100, 1_000).await);
    assert!(!record(40, 400).await);
    db.raw("UPDATE node_readings SET stored_at = stored_at - 600001")
        .await;
    assert!(record(50, 500).await);
    assert_eq!(totals(&store, &s, &d[0]).await.0, 150);
    assert!(record(60, 600).await);
}

/// Two control planes with the same counters, one of them behind: whatever the order in
/// which they store, each byte counts once.
pub async fn two_recorders_count_each_byte_once(db: &TestDatabase) {
    let (first, second) = (db.store().await, db.store().await);
    let (s, d) = tenant_with(&first, 3).await;
    let record = |store: Store, upto: u64| {
        let batch: Vec<_> = d.iter().map(|d| sample(d, upto * 7, upto * 5)).collect();
        tokio::spawn(async move {
            let order = ReadingOrder {
                boot: "a".to_owned(),
                nanos: upto,
            };
            let recorded = store.record_statistics(LOCAL_NODE, &batch, Some(&order), NOW);
            recorded.await.unwrap() != Recorded::Outdated
        })
    };
    let all = (1..=60_u64).flat_map(|n| {
        let behind = n.saturating_sub(n % 4);
        [
            record(first.clone(), n),
            record(second.clone(), behind.max(1)),
        ]
    });
    let stored = join_all(all).await.into_iter().map(Result::unwrap);
    let stored = stored.filter(|is_stored| *is_stored).count();
    assert!((1..=60).contains(&stored), "{stored}");
    for d in &d {
        assert_eq!(totals(&first, &s, d).await, (420, 300));
    }
}

pub async fn a_lease_has_one_holder_and_passes_on(db: &TestDatabase) {
    let (store, other) = (db.store().await, db.store().await);
    let ttl = Duration::from_millis(600);
    let number = |lease: Option<LeaseEpoch>| lease.map(|l| l.number);
    assert_eq!(number(store.lease("x", "a", ttl).await.unwrap()), Some(1));
    assert_eq!(other.lease("x", "b", ttl).await.unwrap(), None);
    let renewed = store.lease("x", "a", ttl).await.unwrap().unwrap();
    assert_eq!(renewed.number, 1, "the holder is the same");
    let holders = other.lease_holders().await.unwrap();
    assert_eq!(holders, BTreeMap::from([("x".to_owned(), "a".to_owned())]));

    // It dies.
    tokio::time::sleep(ttl + Duration::from_millis(50)).await;
    assert_eq!(store.lease_holders().await.unwrap(), BTreeMap::new());
    let taken = other.lease("x", "b", ttl).await.unwrap().unwrap();
    assert_eq!(taken.number, 2);
    assert!(taken.unattended.unwrap() >= ttl, "{taken:?}");
    assert_eq!(store.lease("x", "a", ttl).await.unwrap(), None);

    // It ends in order.
    other.remove_control_plane("b").await.unwrap();
    let taken = store.lease("x", "a", ttl).await.unwrap().unwrap();
    assert_eq!(taken.number, 3);
    assert!(taken.unattended.unwrap() < ttl, "{taken:?}");
}

pub async fn many_leases_are_taken_at_once(db: &TestDatabase) {
    let (store, other) = (db.store().await, db.store().await);
    let names: Vec<_> = (0..200).map(|n| format!("node/{n}")).collect();
    let reversed: Vec<_> = names.iter().rev().cloned().collect();
    let (a, b) = tokio::join!(
        store.leases(&names, "a", MINUTE),
        other.leases(&reversed, "b", MINUTE)
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.len() + b.len(), 200);
    assert!(a.keys().all(|name| !b.contains_key(name)));
    assert_eq!(
        store.leases(&names, "a", MINUTE).await.unwrap().len(),
        a.len()
    );
    assert_eq!(store.lease_holders().await.unwrap().len(), 200);
}

pub async fn control_planes_see_each_other(db: &TestDatabase) {
    let (store, other) = (db.store().await, db.store().await);
    let address = "https://10.0.0.2:8443";
    let first = store.note_control_plane("a", Some(address), true).await;
    assert_eq!(first.unwrap().len(), 1);
    let both = other.note_control_plane("b", None, false).await.unwrap();
    let seen: Vec<_> = both
        .iter()
        .map(|c| (c.id.as_str(), c.address.as_deref(), c.has_node))
        .collect();
    assert_eq!(seen, [("a", Some(address), true), ("b", None, false)]);
    assert!(both.iter().all(|c| c.silent_millis < 10_000), "{both:?}");
    db.raw("UPDATE control_planes SET heard_at = heard_at - 61000 WHERE id = 'a'")
        .await;
    let alone = other.note_control_plane("b", None, false).await.unwrap();
    assert_eq!(alone.len(), 1, "the other one was silent for a minute");
    store.note_control_plane("a", None, false).await.unwrap();
    store.remove_control_plane("b").await.unwrap();
    let alone = store.note_control_plane("a", None, false).await.unwrap();
    assert_eq!((alone.len(), alone[0].has_node), (1, false));
}

/// With SQLite there is one control plane, which holds every lease; nothing is written.
pub async fn the_only_control_plane_holds_everything(db: &TestDatabase) {
    let store = db.store().await;
    let alone = store.note_control_plane("a", None, true).await.unwrap();
    assert_eq!(alone.len(), 1);
    for holder in ["a", "b"] {
        let held = store.lease("x", holder, MINUTE).await.unwrap();
        assert_eq!(held, Some(LeaseEpoch::default()));
    }
    assert_eq!(store.database_time().await.unwrap(), None);
    store.remove_control_plane("a").await.unwrap();
    for table in ["control_planes", "leases"] {
        let rows = db
            .texts(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}"))
            .await;
        assert_eq!(rows, ["0"], "{table}");
    }
}
