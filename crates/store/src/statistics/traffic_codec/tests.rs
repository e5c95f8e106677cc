use super::*;

fn traffic(rx: u64, tx: u64) -> Traffic {
    Traffic { rx, tx }
}

fn counters() -> TenantCounters {
    let device = |id, endpoint: Option<&str>, n: u64| DeviceCounters {
        id,
        last: traffic(n, u64::MAX),
        total: traffic(u64::MAX, n),
        handshake: (n > 1).then_some(n as i64 - 3),
        endpoint: endpoint.map(|e| e.parse().unwrap()),
        sums: [
            traffic(0, n),
            traffic(n, 0),
            traffic(1, 2),
            traffic(127, 128),
            traffic(n, n),
        ],
    };
    TenantCounters {
        open: [0, -1, i64::MIN, i64::MAX],
        reported_at: 5,
        devices: vec![
            device(3, None, 0),
            device(4, Some("192.0.2.7:51820"), 300),
            device(i64::MAX, Some("[2001:db8::1]:1"), 1 << 53),
        ],
    }
}

#[test]
fn counters_decode_to_the_same_value() {
    for c in [TenantCounters::default(), counters()] {
        assert_eq!(TenantCounters::decode(&c.encode()), Some(c));
    }
    assert_eq!(counters().device(4).map(|d| d.last.rx), Some(300));
    assert_eq!(counters().device(5), None);
}

#[test]
fn concatenated_shares_add_up() {
    let some = [
        (3, traffic(10, 20)),
        (4, traffic(0, 0)),
        (900, traffic(1 << 40, 1)),
    ];
    let mut joined = encode_shares(some.into_iter());
    assert_eq!(sum_shares(&joined, Some(900)), Some(traffic(1 << 40, 1)));
    joined.extend(encode_shares([(3, traffic(1, 1))].into_iter()));
    assert_eq!(sum_shares(&joined, Some(3)), Some(traffic(11, 21)));
    assert_eq!(sum_shares(&joined, Some(4)), Some(traffic(0, 0)));
    assert_eq!(sum_shares(&joined, None), Some(traffic((1 << 40) + 11, 22)));
    assert!(encode_shares([(3, traffic(0, 0))].into_iter()).is_empty());
    assert_eq!(sum_shares(&[], None), Some(traffic(0, 0)));
}

#[test]
fn truncated_or_changed_bytes_never_panic() {
    let complete = counters().encode();
    for n in 0..complete.len() {
        assert_eq!(TenantCounters::decode(&complete[..n]), None, "{n}");
        let mut changed = complete.clone();
        changed[n] ^= 0xff;
        let _ = TenantCounters::decode(&changed);
    }
    let complete = encode_shares([(3, traffic(10, 20)), (900, traffic(1, 1))].into_iter());
    for n in 1..complete.len() {
        assert_eq!(sum_shares(&complete[..n], None), None, "{n}");
    }
    assert_eq!(sum_shares(&[0xff; 40], None), None);
}
