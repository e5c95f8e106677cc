//! The bytes of a spec: golden files, so that what one version wrote the next
//! one reads, and bad input.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantName,
};
use protocol::{
    DeviceSpec, Forward, MovedTenant, NodeSpec, SpecError, SpeedLimits, TenantLimits, TenantSpec,
    UnreadableTenant,
};
use std::{collections::BTreeMap, sync::Arc};

const GOLDEN: &str = include_str!("golden/spec-2-limits.json");
/// Of the same version, before tenants had limits.
const WITHOUT_LIMITS: &str = include_str!("golden/spec-2.json");
/// Of the same version, with tenants that have moved to other nodes.
const MOVED: &str = include_str!("golden/spec-2-moved.json");
/// Of the same version, with a tenant that the writer could not read.
const UNREADABLE: &str = include_str!("golden/spec-2-unreadable.json");

fn device(n: u8, policy: FilterPolicy) -> DeviceSpec {
    let key = PrivateKey::from_random([n; 32]);
    DeviceSpec {
        label: DeviceLabel::parse(&format!("Téléphone {n}")).unwrap(),
        address: [10, 88, 1, n].into(),
        public_key: key.public(),
        preshared_key: PresharedKey::from_random([n + 100; 32]),
        mesh: n.is_multiple_of(2),
        policy,
        client_id: format!("mn-{n:04x}"),
    }
}

fn tenant(
    slot: u16,
    name: &str,
    suspended: bool,
    devices: BTreeMap<DeviceId, DeviceSpec>,
) -> TenantSpec {
    TenantSpec {
        name: TenantName::parse(name).unwrap(),
        slot: Slot::new(slot).unwrap(),
        private_key: PrivateKey::from_random([slot as u8; 32]),
        suspended,
        asleep: false,
        dns_password: Secret::new("a \"quoted\" pass\\word"),
        dns_password_hash: "$2b$04$abcdefghijklmnopqrstuv".to_owned(),
        limits: TenantLimits {
            speed: SpeedLimits {
                down_bps: (!suspended).then_some(50_000_000),
                up_bps: None,
            },
            stopped: !suspended,
        },
        ipv6: None,
        devices,
    }
}

fn sample() -> NodeSpec {
    let devices = FilterPolicy::ALL
        .iter()
        .zip(2_u8..)
        .map(|(policy, n)| (DeviceId(i64::from(n) * 7), device(n, *policy)));
    let tenants = [
        tenant(1, "lina", false, devices.collect()),
        tenant(1000, "omar", true, BTreeMap::new()),
    ];
    NodeSpec {
        generation: 42,
        tenants: tenants.map(|t| (t.slot, Arc::new(t))).into(),
        ..NodeSpec::default()
    }
}

/// The sample without its first tenant, whose row could not be read.
fn with_unreadable() -> NodeSpec {
    let mut spec = sample();
    let (slot, lina) = spec.tenants.pop_first().unwrap();
    let lost = UnreadableTenant {
        name: Some(lina.name.clone()),
        owner: Some(lina.private_key.public()),
        place: "users.quota_state of user 7".to_owned(),
    };
    spec.unreadable.insert(slot, lost);
    spec
}

/// The sample without its tenants, which have moved to other nodes.
fn with_moved() -> NodeSpec {
    let forwards = [
        None,
        Some(Forward {
            to: [203, 0, 113, 7].into(),
        }),
    ];
    let tenants = std::mem::take(&mut sample().tenants).into_values();
    let moved = tenants.zip(forwards).map(|(tenant, forward)| {
        let name = tenant.name.clone();
        (tenant.slot, MovedTenant { name, forward })
    });
    NodeSpec {
        generation: 43,
        moved: moved.collect(),
        ..NodeSpec::default()
    }
}

#[test]
fn a_moved_tenant_of_another_version_spoils_no_other() {
    let text = r#"{"version":2,"generation":9,"tenants":[],"moved":{
        "1":{"name":"lina","forward":{"to":"203.0.113.7"}},
        "2":{"name":"omar","forward":{"via":["relay-1",7]}},
        "3":{"called":"zoe"},
        "4":7,
        "north":{"name":"kim"}}}"#;
    let read = NodeSpec::from_bytes(text.as_bytes()).unwrap();
    let names: Vec<_> = read
        .moved
        .iter()
        .map(|(s, m)| (s.get(), m.name.as_str()))
        .collect();
    assert_eq!(names, [(1, "lina"), (2, "omar")]);
    let forwards: Vec<_> = read.moved.values().map(|m| m.forward.is_some()).collect();
    assert_eq!(
        forwards,
        [true, false],
        "its folder stays, nothing is sent on"
    );
}

#[test]
fn the_bytes_are_those_of_the_golden_files() {
    for (spec, golden) in [
        (sample(), GOLDEN),
        (with_unreadable(), UNREADABLE),
        (with_moved(), MOVED),
    ] {
        assert_eq!(NodeSpec::from_bytes(golden.as_bytes()).unwrap(), spec);
        let bytes = spec.to_bytes().unwrap();
        let written: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let text = serde_json::to_string_pretty(&written).unwrap() + "\n";
        assert_eq!(
            text, golden,
            "a new form needs a new golden file, and a new version unless what is new has a default"
        );
    }
}

#[test]
fn a_spec_without_limits_is_read() {
    let read = NodeSpec::from_bytes(WITHOUT_LIMITS.as_bytes()).unwrap();
    let mut expected = sample();
    for tenant in expected.tenants.values_mut() {
        Arc::make_mut(tenant).limits = TenantLimits::default();
    }
    assert_eq!(read, expected);
}

#[test]
fn golden_bytes_are_read() {
    assert_eq!(NodeSpec::from_bytes(GOLDEN.as_bytes()).unwrap(), sample());
    let read = NodeSpec::from_bytes(UNREADABLE.as_bytes()).unwrap();
    assert_eq!(read, with_unreadable());
}

#[test]
fn an_unknown_policy_refuses_its_tenant_only() {
    let lina = &sample().tenants[&Slot::FIRST];
    let key = lina.private_key.expose().to_string();
    let with_newer = GOLDEN.replacen("\"strict\"", "\"telepathy\"", 1);
    for (text, name, owner) in [
        (with_newer.clone(), true, true),
        (GOLDEN.replacen("\"lina\"", "\"-\"", 1), false, true),
        (GOLDEN.replacen(&key, &key[1..], 1), true, false),
        (
            GOLDEN.replacen("\"mesh\": true", "\"mesh\": {\"a\": []}", 1),
            true,
            true,
        ),
    ] {
        let read = NodeSpec::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(read.tenants.len(), 1, "the other tenant is read");
        let refused = &read.unreadable[&Slot::FIRST];
        let lina = (lina.name.clone(), lina.private_key.public());
        assert_eq!(refused.name, name.then_some(lina.0));
        assert_eq!(refused.owner, owner.then_some(lina.1));
        let shown = format!("{refused:?} {}", refused.problem(Slot::FIRST).message);
        assert!(
            !shown.contains("telepathy") && !shown.contains(&key[1..]),
            "{shown}"
        );
        assert!(shown.contains("line "), "{shown}");
        // What could not be read is still unreadable to the next reader.
        let again = NodeSpec::from_bytes(&read.to_bytes().unwrap()).unwrap();
        assert_eq!(again, read);
    }
}

#[test]
fn an_unreadable_tenant_keeps_what_was_in_force() {
    let before = sample();
    let mut now = with_unreadable();
    assert!(now.unknown(Slot::FIRST).is_some());
    now.keep_unreadable(&before);
    assert!(Arc::ptr_eq(
        &now.tenants[&Slot::FIRST],
        &before.tenants[&Slot::FIRST]
    ));
    assert_eq!(now.unknown(Slot::FIRST), None);
    // The next spec, and one that came over a wire.
    let mut next = with_unreadable();
    next.keep_unreadable(&NodeSpec::from_bytes(&now.to_bytes().unwrap()).unwrap());
    assert_eq!(next, now);

    // Another tenant of the slot has left, even one of the same name.
    let kept = |change: &dyn Fn(&mut UnreadableTenant)| {
        let mut now = with_unreadable();
        change(now.unreadable.get_mut(&Slot::FIRST).unwrap());
        now.keep_unreadable(&before);
        now.tenants.contains_key(&Slot::FIRST)
    };
    let other = TenantName::parse("later").unwrap();
    assert!(!kept(&|t| t.owner = Some(PublicKey::from_bytes([9; 32]))));
    assert!(kept(&|t| t.owner = None));
    assert!(!kept(&|t| (t.owner, t.name) = (None, Some(other.clone()))));
    assert!(kept(&|t| (t.owner, t.name) = (None, None)));
    // Names are unique: the slot's earlier tenant is another slot's now.
    let mut now = with_unreadable();
    let lost = now.unreadable.get_mut(&Slot::FIRST).unwrap();
    (lost.owner, lost.name) = (None, None);
    let mut moved = TenantSpec::clone(&before.tenants[&Slot::FIRST]);
    moved.slot = Slot::new(2).unwrap();
    now.tenants.insert(moved.slot, Arc::new(moved));
    now.keep_unreadable(&before);
    assert!(now.unknown(Slot::FIRST).is_some());
}

#[test]
fn unknown_fields_are_ignored() {
    let mut json: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    json["from_tomorrow"] = 1.into();
    json["tenants"][0]["from_tomorrow"] = 1.into();
    let read = NodeSpec::from_bytes(json.to_string().as_bytes()).unwrap();
    assert_eq!(read, sample());
}

#[test]
fn a_newer_version_is_refused_by_number() {
    let newer = GOLDEN.replacen("\"version\": 2", "\"version\": 3", 1);
    let refused = NodeSpec::from_bytes(newer.as_bytes()).unwrap_err();
    assert!(matches!(refused, SpecError::Newer(3)), "{refused:?}");
}

#[test]
fn damaged_bytes_are_refused_without_their_secrets() {
    let key = PrivateKey::from_random([1; 32]).expose().to_string();
    assert!(GOLDEN.contains(&key));
    let twice = GOLDEN.replacen("\"slot\": 1000", "\"slot\": 1", 1);
    let cut = &GOLDEN[..GOLDEN.len() / 2];
    let slot = GOLDEN.replacen("\"slot\": 1000", "\"slot\": 1001", 1);
    // Another tenant's slot, and one that cannot be read.
    let bad_twice = twice.replacen(&key, &key[1..], 1);
    for bad in [
        "", "{}", "[]", "null", "\u{0}", cut, &twice, &slot, &bad_twice,
    ] {
        let refused = NodeSpec::from_bytes(bad.as_bytes()).unwrap_err();
        let shown = format!("{refused} {refused:?}");
        assert!(matches!(refused, SpecError::Damaged { .. }), "{shown}");
        assert!(!shown.contains(&key[1..]), "{shown}");
    }
}

#[test]
fn the_buffer_does_not_grow() {
    // A vector that grows is copied, and the old copy is not wiped.
    let mut long = device(2, FilterPolicy::Standard);
    long.label = DeviceLabel::parse(&"\u{1F4F1}".repeat(DeviceLabel::MAX)).unwrap();
    long.client_id = "mn-0123456789abcdef".to_owned();
    let devices = (0..200).map(|id| (DeviceId(i64::MAX - id), long.clone()));
    let mut full = tenant(7, &"n".repeat(32), false, devices.collect());
    full.dns_password = Secret::new("\\".repeat(64));
    let mut spec = sample();
    spec.tenants.insert(full.slot, Arc::new(full));
    let bytes = spec.to_bytes().unwrap();
    assert_eq!(bytes.capacity(), bytes.len());
}
