//! What goes over the wire between a control plane and a worker: updates lead from
//! any spec to any other, and nothing but an update is taken for one.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use domain::{PrivateKey, Secret, Slot, TenantName, TenantStatus};
use proptest::{collection::btree_map, prelude::*};
use protocol::{
    EventKind, NodeSpec, NodeState, TenantLimits, TenantSpec, TenantState, UnreadableTenant,
    wire::{NodeUpdate, SpecFingerprints, SpecQuery, SpecUpdate, SpecUpdateError, StateError},
};
use std::{collections::BTreeMap, sync::Arc};

fn tenant(slot: Slot, version: u8) -> TenantSpec {
    TenantSpec {
        name: TenantName::parse(&format!("tenant{}", slot.get())).unwrap(),
        slot,
        private_key: PrivateKey::from_random([slot.get() as u8; 32]),
        suspended: version.is_multiple_of(2),
        asleep: false,
        dns_password: Secret::new(format!("password {version}")),
        dns_password_hash: "$2b$04$abcdefghijklmnopqrstuv".to_owned(),
        limits: TenantLimits::default(),
        ipv6: None,
        devices: BTreeMap::new(),
    }
}

/// The tenants' versions by slot; version 0 cannot be read.
fn spec(generation: u64, versions: &BTreeMap<u16, u8>) -> NodeSpec {
    let mut spec = NodeSpec {
        generation,
        ..NodeSpec::default()
    };
    for (slot, version) in versions {
        let slot = Slot::new(*slot).unwrap();
        if *version == 0 {
            let lost = UnreadableTenant {
                name: None,
                owner: None,
                place: "users.state".to_owned(),
            };
            spec.unreadable.insert(slot, lost);
        } else {
            spec.tenants.insert(slot, Arc::new(tenant(slot, *version)));
        }
    }
    spec
}

fn prints(spec: &NodeSpec) -> SpecFingerprints {
    SpecFingerprints::of(spec, None).unwrap()
}

fn over_the_wire(update: &SpecUpdate) -> SpecUpdate {
    let read = SpecUpdate::from_bytes(&update.to_bytes().unwrap()).unwrap();
    assert_eq!(&read, update);
    read
}

proptest! {
    #[test]
    fn an_update_leads_from_any_spec_to_any_other(
        before in btree_map(1_u16..8, 0_u8..4, 0..7),
        now in btree_map(1_u16..8, 0_u8..4, 0..7),
    ) {
        let (before, now) = (spec(3, &before), spec(9, &now));
        let (known, wanted) = (prints(&before), prints(&now));
        let update = SpecUpdate::between(Some(&known), &now, &wanted, false);
        for (slot, t) in &update.spec.tenants {
            prop_assert_ne!(before.tenants.get(slot), Some(t), "an unchanged tenant was sent");
        }
        let (result, result_prints) = over_the_wire(&update).apply(Some(&before), &known).unwrap();
        prop_assert_eq!(&result_prints, &wanted);
        let mut expected = now.clone();
        expected.keep_unreadable(&before);
        prop_assert_eq!(&result, &expected);
        for (slot, t) in &result.tenants {
            if before.tenants.get(slot) == Some(t) {
                prop_assert!(Arc::ptr_eq(t, &before.tenants[slot]), "slot {} was copied", slot);
            }
        }
        let whole = over_the_wire(&SpecUpdate::between(None, &now, &wanted, true));
        prop_assert!(whole.full && whole.restored);
        prop_assert_eq!(whole.apply(None, &known).unwrap(), (now, wanted));
    }

    #[test]
    fn an_update_for_another_spec_does_not_fit(
        before in btree_map(1_u16..6, 1_u8..4, 0..5),
        other in btree_map(1_u16..6, 1_u8..4, 0..5),
        now in btree_map(1_u16..6, 1_u8..4, 0..5),
    ) {
        let (before, other, now) = (spec(3, &before), spec(4, &other), spec(9, &now));
        let update = SpecUpdate::between(Some(&prints(&before)), &now, &prints(&now), false);
        match update.apply(Some(&other), &prints(&other)) {
            Ok((result, _)) => prop_assert_eq!(result, now),
            Err(e) => prop_assert!(matches!(e, SpecUpdateError::Misfit)),
        }
    }

    #[test]
    fn no_bytes_make_reading_fail_badly(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(SpecUpdate::from_bytes(&bytes).is_err());
        let _ = NodeUpdate::from_line(&bytes);
    }
}

#[test]
fn fingerprints_are_computed_for_changed_tenants_only() {
    let before = spec(1, &[(1, 1), (2, 1)].into());
    let known = prints(&before);
    let mut now = before.clone();
    let changed = Slot::new(2).unwrap();
    now.tenants.insert(changed, Arc::new(tenant(changed, 2)));
    // A wrong fingerprint shows which one was taken over.
    let text = serde_json::to_string(&known).unwrap();
    let marked: BTreeMap<Slot, String> = serde_json::from_str(&text).unwrap();
    let marked: BTreeMap<_, _> = marked.into_keys().map(|s| (s, "marked")).collect();
    let marked: SpecFingerprints =
        serde_json::from_value(serde_json::to_value(marked).unwrap()).unwrap();
    let result = SpecFingerprints::of(&now, Some((&before, &marked))).unwrap();
    let text = serde_json::to_string(&result).unwrap();
    assert_eq!(text.matches("marked").count(), 1);
    assert_eq!(
        known,
        SpecFingerprints::of(&before, Some((&before, &known))).unwrap()
    );
}

#[test]
fn a_tenant_of_a_newer_version_keeps_what_is_here() {
    let before = spec(1, &[(1, 1), (2, 1)].into());
    let now = spec(2, &[(1, 3), (2, 3)].into());
    let (known, wanted) = (prints(&before), prints(&now));
    let bytes = SpecUpdate::between(Some(&known), &now, &wanted, false)
        .to_bytes()
        .unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let newer = text.replacen("\"suspended\":false", "\"suspended\":\"perhaps\"", 1);
    let update = SpecUpdate::from_bytes(newer.as_bytes()).unwrap();
    let (result, prints) = update.apply(Some(&before), &known).unwrap();
    let (first, second) = (Slot::new(1).unwrap(), Slot::new(2).unwrap());
    assert!(Arc::ptr_eq(
        &result.tenants[&first],
        &before.tenants[&first]
    ));
    assert_eq!(result.tenants[&second], now.tenants[&second]);
    assert!(result.unreadable.contains_key(&first));
    // The control plane sees that the worker has got it, and does not send it again.
    assert_eq!(prints.digest(), wanted.digest());
}

#[test]
fn cut_and_damaged_updates_are_refused() {
    let now = spec(2, &[(1, 3), (2, 3)].into());
    let update = SpecUpdate::between(None, &now, &prints(&now), false);
    let bytes = update.to_bytes().unwrap();
    for end in 0..bytes.len() {
        assert!(
            SpecUpdate::from_bytes(&bytes[..end]).is_err(),
            "cut at {end}"
        );
    }
    let mut lost = update.clone();
    lost.spec.tenants.pop_first();
    let lost = lost.apply(None, &SpecFingerprints::default());
    assert!(matches!(lost, Err(SpecUpdateError::Misfit)));
    let message = SpecUpdate::from_bytes(b"{\"full\":true}\n{}").unwrap_err();
    assert!(!format!("{message} {message:?}").contains("password"));
}

#[test]
fn queries_and_updates_of_other_versions_are_read() {
    let query: SpecQuery = serde_json::from_str(r#"{"since":7,"later":true}"#).unwrap();
    assert_eq!(
        query,
        SpecQuery {
            since: 7,
            ..SpecQuery::default()
        }
    );
    assert_eq!(SpecQuery::from_query("since=7&later=1"), Some(query));
    let digest = "0123456789abcdef0123456789abcdef";
    let full = SpecQuery::from_query(&format!("wait=9&digest={digest}&since=7")).unwrap();
    assert_eq!((full.since, full.wait), (7, 9));
    assert_eq!(full.digest.map(|d| d.to_string()).as_deref(), Some(digest));
    for query in [
        "",
        "since=",
        "since=x",
        "wait=1",
        "since=1&digest=zz",
        "since=1&wait=-1",
    ] {
        assert_eq!(SpecQuery::from_query(query), None, "{query}");
    }
    assert_eq!(
        NodeUpdate::from_line(b"{}\n").unwrap(),
        NodeUpdate::default()
    );
    assert_eq!(NodeUpdate::default().to_line().unwrap(), b"{}\n");
    let update = NodeUpdate {
        whole: true,
        node: Some(NodeState::default()),
        holders: Some([(Slot::FIRST, TenantName::parse("lina").unwrap())].into()),
        tenants: [
            (Slot::LAST, None),
            (
                Slot::FIRST,
                Some(TenantState {
                    name: TenantName::parse("lina").unwrap(),
                    applied: 7,
                    status: TenantStatus::default(),
                }),
            ),
        ]
        .into(),
        events: vec![EventKind::DatabaseRestored {
            tenants: 1,
            devices: 2,
        }],
        missed: 3,
        version: Some("0.1.0".to_owned()),
        ..NodeUpdate::default()
    };
    assert_eq!(
        NodeUpdate::from_line(&update.to_line().unwrap()).unwrap(),
        update
    );
    let long = vec![b' '; protocol::wire::MAX_LINE_BYTES + 1];
    assert!(matches!(
        NodeUpdate::from_line(&long),
        Err(StateError::TooLong(_))
    ));
}
