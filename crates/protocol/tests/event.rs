//! The bytes of events: a golden file, so that what one version recorded the next
//! one reads, the codes, which the database stores, and rows of earlier versions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use domain::{ErrorCode, Message, Slot, TenantName};
use protocol::{DriftKind, EventKind, EventTenant, MAX_DETAIL_BYTES, PartKind, recorded_message};
use std::collections::BTreeSet;

const GOLDEN: &str = include_str!("golden/events-1.json");

fn lina() -> EventTenant {
    EventTenant {
        slot: Slot::new(7).unwrap(),
        name: TenantName::parse("lina").unwrap(),
    }
}

fn drift(drift: DriftKind) -> EventKind {
    let concerns_node = matches!(drift, DriftKind::RulesGone | DriftKind::ImageGone);
    EventKind::Drift {
        tenant: (!concerns_node).then(lina),
        drift,
    }
}

/// Returns one event of each kind.
fn all() -> Vec<EventKind> {
    let (missing, unexpected) = (2, 1);
    let drifts = [
        DriftKind::InterfaceGone,
        DriftKind::KeyChanged,
        DriftKind::PortChanged { port: 1234 },
        DriftKind::InterfaceDown,
        DriftKind::AddressChanged,
        DriftKind::PeersChanged {
            unexpected,
            missing,
        },
        DriftKind::RulesGone,
        DriftKind::ElementsChanged,
        DriftKind::ImageGone,
        DriftKind::ContainerGone,
        DriftKind::ContainerStopped,
        DriftKind::ContainerPaused,
        DriftKind::ConfChanged,
        DriftKind::KeysDamaged,
        DriftKind::FolderGone,
        DriftKind::DnsConfGone,
        DriftKind::ClientsChanged {
            missing,
            unexpected,
        },
        DriftKind::StatisticsDamaged,
        DriftKind::QueryLogDamaged,
        DriftKind::ListsDamaged,
        DriftKind::DnsConfDamaged,
        DriftKind::DnsPasswordChanged,
        DriftKind::LookupsAway,
        DriftKind::LookupsBack,
    ];
    let parts = [PartKind::Firewall, PartKind::Tunnel, PartKind::Dns];
    let parts = parts.into_iter().flat_map(|part| {
        let reason = Message::DnsSilent;
        let tenant = lina();
        [
            EventKind::PartFailed {
                tenant,
                part,
                reason,
            },
            EventKind::PartBack {
                tenant: lina(),
                part,
            },
        ]
    });
    let disk = [
        EventKind::DiskTrimmed {
            tenant: lina(),
            bytes: 48_000_000,
        },
        EventKind::DiskFull {
            tenant: lina(),
            bytes: 600 << 20,
            limit: 512 << 20,
        },
        EventKind::DiskHeld { tenant: lina() },
        EventKind::DiskLists { tenant: lina() },
        EventKind::DiskBack { tenant: lina() },
    ];
    let quota = [
        EventKind::QuotaWarned {
            tenant: lina(),
            percent: 80,
            until: "2026-12-01".to_owned(),
        },
        EventKind::QuotaReached {
            tenant: lina(),
            stopped: false,
            until: "2026-12-01".to_owned(),
        },
        EventKind::QuotaReset { tenant: lina() },
        EventKind::TenantMoved {
            tenant: lina(),
            from: "fra1".to_owned(),
            to: "fra2".to_owned(),
        },
        EventKind::TenantAsleep { tenant: lina() },
        EventKind::TenantAwake { tenant: lina() },
        EventKind::TenantMovedWithData {
            tenant: lina(),
            from: "fra1".to_owned(),
            to: "fra2".to_owned(),
            bytes: 12_345_678,
        },
        EventKind::MoveFailed {
            tenant: lina(),
            problem: Message::CopyBroken,
        },
    ];
    let code = ErrorCode::DockerUnavailable;
    let problem = Message::DockerTimedOut { seconds: 15 };
    let node = [
        EventKind::NodeFailed {
            code,
            problem: problem.clone(),
        },
        EventKind::NodeBack { code, problem },
        EventKind::EventsLost { count: 952 },
        EventKind::DatabaseRestored {
            tenants: 1,
            devices: 3,
        },
        EventKind::NodeCopied {
            address: "203.0.113.7".to_owned(),
        },
        EventKind::ForeignTenant { name: lina().name },
        EventKind::OtherVersion {
            tenant: None,
            code: "moon_full".to_owned(),
        },
    ];
    drifts
        .map(drift)
        .into_iter()
        .chain(parts)
        .chain(disk)
        .chain(quota)
        .chain(node)
        .collect()
}

#[test]
fn the_bytes_are_those_of_the_golden_file() {
    let rows = all().into_iter().map(|event| {
        let detail: serde_json::Value = serde_json::from_str(&event.detail()).unwrap();
        serde_json::json!({ "kind": event.code(), "detail": detail })
    });
    let rows: Vec<_> = rows.collect();
    let text = serde_json::to_string_pretty(&rows).unwrap() + "\n";
    assert_eq!(text, GOLDEN, "a stored event is never given another form");
}

#[test]
fn golden_rows_are_read() {
    let rows: Vec<serde_json::Value> = serde_json::from_str(GOLDEN).unwrap();
    let read = rows.into_iter().map(|row| {
        let event: EventKind = serde_json::from_value(row["detail"].clone()).unwrap();
        assert_eq!(event.code(), row["kind"].as_str().unwrap());
        event
    });
    assert_eq!(read.collect::<Vec<_>>(), all());
}

#[test]
fn every_kind_has_its_own_code_and_message() {
    let (mut codes, mut messages) = (BTreeSet::new(), BTreeSet::new());
    for event in all() {
        assert!(codes.insert(event.code()), "{event:?}");
        assert!(messages.insert(event.message().code()));
        assert_eq!(
            recorded_message(&event.code(), &event.detail()),
            event.message()
        );
    }
    let concern_tenants = all().into_iter().filter(|e| e.tenant().is_some());
    let concern_tenants: BTreeSet<String> = concern_tenants.map(|e| e.code()).collect();
    let listed = EventKind::TENANT_CODES.map(str::to_owned);
    assert_eq!(concern_tenants, BTreeSet::from(listed));
}

#[test]
fn a_sentence_of_an_earlier_version_is_shown_as_it_is() {
    for text in [
        "lina's interface wg1 was gone; it is made again.",
        "",
        "{",
        "7",
        // Another event's arguments.
        r#"{"event":"events_lost","count":3}"#,
    ] {
        let read = recorded_message("drift.interface_gone", text);
        assert_eq!(
            read,
            Message::Verbatim {
                text: text.to_owned()
            }
        );
    }
}

#[test]
fn a_long_detail_is_cut_and_still_read() {
    for text in ["\"".repeat(10_000), "ü\n\\".repeat(10_000)] {
        let event = EventKind::PartFailed {
            tenant: lina(),
            part: PartKind::Dns,
            reason: Message::NetworkOverlaps {
                name: text.clone(),
                range: text.clone(),
                ours: text,
            },
        };
        let detail = event.detail();
        assert!(detail.len() <= MAX_DETAIL_BYTES, "{}", detail.len());
        assert!(!detail.contains(char::is_control));
        let message = recorded_message(&event.code(), &detail);
        assert_eq!(message.code(), event.message().code());
    }
}
