//! What a machine of another version sends is read: golden lines as a newer worker and an
//! older one write them, and a spec as a newer control plane writes it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use domain::{ErrorCode, FilterPolicy, Message, Part, PrivateKey, Problem, Slot, TenantName};
use protocol::{
    DriftKind, EventKind, EventTenant, PartKind, recorded_message,
    wire::{NodeUpdate, SpecFingerprints, SpecUpdate},
};
use std::sync::Arc;

const NEWER: &str = include_str!("golden/state-newer.jsonl");
const OLDER: &str = include_str!("golden/state-older.jsonl");
const NEWER_SPEC: &str = include_str!("golden/spec-update-newer.txt");

fn read(lines: &str) -> Vec<NodeUpdate> {
    let line = |line: &str| NodeUpdate::from_line(line.as_bytes()).unwrap();
    lines.lines().map(line).collect()
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn lina() -> EventTenant {
    EventTenant {
        slot: slot(1),
        name: TenantName::parse("lina").unwrap(),
    }
}

fn other(code: &str) -> Message {
    Message::OtherVersion { code: code.into() }
}

fn other_problem(code: &str) -> Problem {
    Problem {
        code: ErrorCode::OtherVersion,
        message: other(code),
    }
}

#[test]
fn a_newer_workers_state_is_read() {
    let [first, second, third] = &read(NEWER)[..] else {
        panic!("three lines");
    };
    assert!(first.whole && first.version.as_deref() == Some("0.9.0"));
    let node = first.node.as_ref().unwrap();
    let docker = Problem {
        code: ErrorCode::DockerUnavailable,
        message: Message::DockerTimedOut { seconds: 15 },
    };
    assert_eq!(node.problems, [other_problem("moon-full"), docker]);
    assert_eq!((node.generation, node.leaving.as_ref()), (7, None));
    let machine = first.machine.as_ref().unwrap();
    let reason = Box::new(other("moon-full"));
    let unmeasured = Problem {
        code: ErrorCode::OtherVersion,
        message: Message::MemoryUnmeasured { reason },
    };
    assert_eq!(machine.problem, Some(unmeasured));
    assert_eq!(machine.disk.map(|disk| disk.available), Some(5));

    let tenant = first.tenants[&slot(1)].as_ref().unwrap();
    assert_eq!(tenant.applied, 7);
    assert_eq!(tenant.status.firewall, Part::Ready { took_ms: 3 });
    let part = |name| Part::Problem(other_problem(name));
    assert_eq!(tenant.status.tunnel, part("paused"));
    assert_eq!(tenant.status.dns, part("warming"));
    assert_eq!(first.tenants[&slot(9)], None);
    let tenant = second.tenants[&slot(1)].as_ref().unwrap();
    assert_eq!(tenant.status.dns, part("moon-full"));
    assert_eq!(*third, NodeUpdate::default());
}

#[test]
fn a_newer_workers_events_are_read_or_counted_as_lost() {
    let [first, ..] = &read(NEWER)[..] else {
        panic!("lines");
    };
    let event = |tenant, code: &str| EventKind::OtherVersion {
        tenant,
        code: code.to_owned(),
    };
    let expected = [
        EventKind::DiskBack { tenant: lina() },
        event(Some(lina()), "moon_full"),
        event(None, "moon_new"),
        event(Some(lina()), "drift.moon_gone"),
        event(Some(lina()), "part_failed"),
        EventKind::PartFailed {
            tenant: lina(),
            part: PartKind::Dns,
            reason: other("moon-full"),
        },
        EventKind::NodeFailed {
            code: ErrorCode::OtherVersion,
            problem: other("moon-full"),
        },
        EventKind::EventsLost { count: 2 },
    ];
    assert_eq!(first.events, expected);
    assert_eq!(first.missed, 2);
    for event in &first.events {
        assert_eq!(
            recorded_message(&event.code(), &event.detail()),
            event.message()
        );
    }
}

#[test]
fn what_was_read_of_a_newer_worker_is_passed_on() {
    for update in read(NEWER) {
        let line = update.to_line().unwrap();
        assert_eq!(NodeUpdate::from_line(&line).unwrap(), update);
    }
}

#[test]
fn an_older_workers_state_is_read() {
    let [first, second] = &read(OLDER)[..] else {
        panic!("two lines");
    };
    assert!(first.whole && first.instance.is_none());
    assert_eq!(first.node.as_ref().unwrap().leaving, Some([slot(3)].into()));
    let machine = first.machine.as_ref().unwrap();
    assert_eq!(machine.capacity.map(|c| c.max_tenants), Some(90));
    assert_eq!(machine.disk, None);
    let tenant = first.tenants[&slot(1)].as_ref().unwrap();
    assert_eq!(tenant.status.tunnel, Part::Working);
    assert_eq!(first.events, [EventKind::EventsLost { count: 3 }]);
    assert_eq!(*second, NodeUpdate::default());
}

#[test]
fn a_newer_control_planes_spec_is_read() {
    let update = SpecUpdate::from_bytes(NEWER_SPEC.as_bytes()).unwrap();
    let (first, last) = (slot(1), slot(1000));
    let none = SpecFingerprints::default();
    let (spec, prints) = update.clone().apply(None, &none).unwrap();
    assert_eq!(spec.generation, 42);
    let lina = &spec.tenants[&first];
    assert_eq!(lina.limits.speed.down_bps, Some(1));
    let policies: Vec<_> = lina.devices.values().map(|d| d.policy).collect();
    assert_eq!(policies, FilterPolicy::ALL);
    // A policy that is unknown here: its tenant keeps what the node has.
    assert!(!spec.tenants.contains_key(&last));
    let unreadable = &spec.unreadable[&last];
    assert_eq!(
        unreadable.name.as_ref().map(TenantName::as_str),
        Some("omar")
    );
    // The fingerprints are those of the sender, so nothing is sent twice.
    assert_eq!(prints.digest(), update.digest);
    let mut omar = Arc::unwrap_or_clone(lina.clone());
    omar.slot = last;
    omar.name = TenantName::parse("omar").unwrap();
    omar.private_key = PrivateKey::from_random([232; 32]);
    let omar = Arc::new(omar);
    let mut before = spec.clone();
    before.unreadable.clear();
    before.tenants.insert(last, omar.clone());
    let (kept, _) = update.apply(Some(&before), &none).unwrap();
    assert!(Arc::ptr_eq(&kept.tenants[&last], &omar));
}

#[test]
fn an_event_of_a_newer_control_plane_is_shown_by_its_code() {
    let detail = r#"{"event":"moon_full","phase":3}"#;
    assert_eq!(recorded_message("moon.full", detail), other("moon.full"));
    let drift = EventKind::Drift {
        tenant: Some(lina()),
        drift: DriftKind::KeyChanged,
    };
    let detail = drift.detail();
    assert_eq!(recorded_message(&drift.code(), &detail), drift.message());
}

#[test]
fn what_is_of_no_version_is_refused() {
    for line in [
        r#"{"events":7}"#,
        r#"{"node":{"generation":1,"problems":[{"code":7,"message":{"code":"x"}}],"foreign_slots":[],"leaving":null}}"#,
        r#"{"node":{"generation":1,"problems":[{"code":"x","message":{"code":"Moon full."}}],"foreign_slots":[],"leaving":null}}"#,
        r#"{"tenants":{"1":{"name":"lina","applied":7,"status":7}}}"#,
        r#"{"tenants":{"1":{"name":"lina","applied":7,"status":{"firewall":7,"tunnel":"waiting","dns":"waiting"}}}}"#,
    ] {
        assert!(NodeUpdate::from_line(line.as_bytes()).is_err(), "{line}");
    }
}
