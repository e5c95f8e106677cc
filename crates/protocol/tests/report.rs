//! What a node reports goes over a wire: every type is read back as it was
//! written, and a field of a newer version is ignored.

#![allow(clippy::unwrap_used)]

use domain::{
    ErrorCode, Message, NodeId, Part, Problem, PublicKey, ResourceLimits, Slot, TenantName,
    TenantStatus, Timestamp,
};
use protocol::{
    CapacityEstimate, DiskSpace, EventKind, Location, MachineState, NodeState, PeerStatistics,
    ReadingOrder, Reported, ResourceUsage, TenantState,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

fn assert_survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let mut json = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
    if let Some(fields) = json.as_object_mut().filter(|f| f.len() > 1) {
        fields.insert("from_tomorrow".to_owned(), 7.into());
        assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value);
    }
}

#[test]
fn reports_survive_a_wire() {
    let problem = Problem {
        code: ErrorCode::DockerUnavailable,
        message: Message::DockerTimedOut { seconds: 15 },
    };
    assert_survives(&TenantState {
        name: TenantName::parse("lina").unwrap(),
        applied: u64::MAX,
        status: TenantStatus {
            firewall: Part::Ready { took_ms: 12 },
            tunnel: Part::Working,
            dns: Part::Problem(problem.clone()),
        },
    });
    assert_survives(&NodeState {
        generation: 7,
        problems: vec![problem.clone()],
        foreign_slots: [Slot::FIRST].into(),
        leaving: Some([Slot::LAST].into()),
    });
    assert_survives(&NodeState::default());
    assert_survives(&MachineState {
        wireguard: "kernel WireGuard".to_owned(),
        capacity: Some(CapacityEstimate {
            max_tenants: 90,
            per_tenant: 33 << 20,
            measured: 12,
            reserve: 512 << 20,
            total: 4 << 30,
            available: 3 << 30,
        }),
        problem: Some(problem),
        disk: Some(DiskSpace {
            total: 40 << 30,
            available: 1 << 30,
            low: true,
        }),
        max_tenants: Some(40),
    });
    assert_survives(&ResourceUsage {
        slot: Slot::FIRST,
        name: TenantName::parse("lina").unwrap(),
        disk_bytes: Some(48_000_000),
        memory_bytes: Some(30 << 20),
        cpu_percent: Some(12.5),
        connections: None,
        limits: ResourceLimits {
            disk_bytes: Some(512 << 20),
            cpu_percent: Some(50.0),
            ..ResourceLimits::default()
        },
    });
    assert_survives(&PeerStatistics {
        slot: Slot::FIRST,
        public_key: PublicKey::from_bytes([7; 32]),
        last_handshake: Some(Timestamp::from_secs(1_795_478_400)),
        endpoint: Some("[2001:db8::7]:51820".parse().unwrap()),
        rx_bytes: u64::MAX,
        tx_bytes: 0,
    });
    let (node, slot) = (NodeId(17), Slot::FIRST);
    assert_survives(&Location { node, slot });
    let event = EventKind::EventsLost { count: 3 };
    assert_survives(&Reported::Event { node, event });
    assert_survives(&Reported::Missed { node, count: 3 });
}

#[test]
fn a_machine_of_an_older_version_has_no_disk() {
    let older = r#"{"wireguard":"kernel WireGuard","capacity":null,"problem":null}"#;
    let read: MachineState = serde_json::from_str(older).unwrap();
    assert_eq!(read.disk, None);
}

#[test]
fn the_order_of_a_reading_is_read_back() {
    let order = ReadingOrder {
        boot: "6a9f3c1e-0b7d-4f52-8e0a-5d1c2b3a4f60".to_owned(),
        nanos: u64::MAX,
    };
    assert_eq!(ReadingOrder::parse(&order.to_string()), Some(order));
    let long = format!("{} 7", "a".repeat(65));
    for damaged in [
        "",
        " 7",
        "boot",
        "boot ",
        "boot -7",
        "boot 7 8",
        "bo%t 7",
        "b\u{0}t 7",
        &long,
    ] {
        assert_eq!(ReadingOrder::parse(damaged), None, "{damaged}");
    }
}
