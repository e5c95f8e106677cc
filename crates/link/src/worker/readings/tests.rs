use super::*;
use domain::{PrivateKey, Slot};

fn key(n: u8) -> PublicKey {
    PrivateKey::from_random([n; 32]).public()
}

fn order(nanos: u64) -> ReadingOrder {
    ReadingOrder {
        boot: "one".to_owned(),
        nanos,
    }
}

/// A reading of peers: their numbers and what was received from them.
fn read(nanos: u64, peers: &[(u8, u64)]) -> NodeStatistics {
    let peer = |&(n, rx_bytes): &(u8, u64)| PeerStatistics {
        slot: Slot::FIRST,
        public_key: key(n),
        last_handshake: None,
        endpoint: None,
        rx_bytes,
        tx_bytes: 0,
    };
    NodeStatistics {
        taken: Some(order(nanos)),
        since: None,
        peers: peers.iter().map(peer).collect(),
    }
}

fn keys(read: &NodeStatistics) -> Vec<PublicKey> {
    read.peers.iter().map(|p| p.public_key).collect()
}

#[test]
fn what_has_not_changed_is_left_out() {
    let readings = Readings::default();
    let first = readings.changed(read(10, &[(1, 1), (2, 1)]), Some(&order(5)));
    assert_eq!(
        (first.since.clone(), keys(&first).len()),
        (None, 2),
        "before the first"
    );
    let idle = readings.changed(read(20, &[(1, 1), (2, 1)]), Some(&order(10)));
    assert_eq!((idle.since, idle.peers), (Some(order(10)), vec![]));
    let one = readings.changed(read(30, &[(1, 1), (2, 5), (3, 0)]), Some(&order(20)));
    assert_eq!(keys(&one), [key(2), key(3)]);
    // Another control plane, which has read before that.
    let other = readings.changed(read(40, &[(1, 1), (2, 5), (3, 0)]), Some(&order(10)));
    assert_eq!(keys(&other), [key(2), key(3)]);
    let asked_for_all = readings.changed(read(50, &[(1, 1)]), None);
    assert_eq!((asked_for_all.since, asked_for_all.peers.len()), (None, 1));
    let added_again = readings.changed(read(60, &[(1, 1), (2, 5)]), Some(&order(50)));
    assert_eq!(keys(&added_again), [key(2)]);
}

#[test]
fn a_reading_that_was_overtaken_is_whole_and_notes_nothing() {
    let readings = Readings::default();
    readings.changed(read(10, &[(1, 1)]), None);
    readings.changed(read(30, &[(1, 3)]), None);
    let overtaken = readings.changed(read(20, &[(1, 2)]), Some(&order(10)));
    assert_eq!((overtaken.since.clone(), overtaken.peers.len()), (None, 1));
    // Its reader has not seen what the newer one showed.
    let next = readings.changed(read(40, &[(1, 3)]), Some(&order(20)));
    assert_eq!(keys(&next), [key(1)]);
}

#[test]
fn another_boot_begins_again() {
    let readings = Readings::default();
    readings.changed(read(10, &[(1, 1)]), None);
    let mut rebooted = read(20, &[(1, 1)]);
    rebooted.taken.as_mut().unwrap().boot = "two".to_owned();
    let whole = readings.changed(rebooted, Some(&order(10)));
    assert_eq!((whole.since, whole.peers.len()), (None, 1));
    let mut unordered = read(30, &[(1, 1)]);
    unordered.taken = None;
    assert_eq!(
        readings.changed(unordered.clone(), Some(&order(10))),
        unordered
    );
}
