//! What a list that was written says of the time.

use super::*;
use control::Peer;
use domain::FilterPolicy;

fn heard_at(last_handshake: Option<i64>) -> Peer {
    let device = DeviceView {
        id: DeviceId(1),
        label: "Phone".to_owned(),
        address: "10.88.1.2".to_owned(),
        ipv6: None,
        host_name: String::new(),
        public_key: "key".to_owned(),
        policy: FilterPolicy::Standard,
        mesh: false,
        routing: domain::Routing::Everything,
        options: TunnelOptions::default(),
        created_at: Timestamp(0),
        last_handshake: last_handshake.map(Timestamp),
        endpoint: None,
        down_bytes: 0,
        up_bytes: 0,
        down_bps: 0,
        up_bps: 0,
    };
    Peer {
        device,
        client_id: String::new(),
    }
}

#[test]
fn a_written_list_ends_when_a_device_is_no_longer_online() {
    let now = 1_000_000;
    let until = |handshakes: &[Option<i64>]| {
        let peers = handshakes.iter().map(|at| heard_at(*at)).collect();
        online_until(&PeerList::new(peers), Timestamp(now)).0
    };
    assert_eq!(until(&[]), i64::MAX);
    assert_eq!(until(&[None, Some(0)]), i64::MAX, "none is online");
    let (first, second) = (now - ONLINE_MILLIS + 5, now - 7);
    let handshakes = [None, Some(second), Some(first), Some(0)];
    let end = until(&handshakes);
    assert_eq!(end, first + ONLINE_MILLIS);
    let is_online = |at: i64| Device::new(heard_at(Some(first)).device, Timestamp(at)).online;
    assert!(is_online(end - 1) && !is_online(end));
}
