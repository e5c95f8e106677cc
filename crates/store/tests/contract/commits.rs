//! What a committed change returns: its node, its slot and its generation.

use crate::test_database::{NOW, TestDatabase, label, new_device, new_tenant, scope, sign_up};
use domain::{AddressPlan, DeviceId, Slot, TenantScope};
use futures_util::future::join_all;
use protocol::NodeSpec;
use std::collections::{BTreeMap, BTreeSet};
use store::{
    Committed, DeviceChange, LOCAL_NODE, Placement, SpecChanges, Store, StoreError, TenantState,
};

/// Returns the changes since a generation, of a spec with the slots.
async fn changes(store: &Store, since: u64, slots: &BTreeSet<Slot>) -> SpecChanges {
    let changes = store.spec_changes(LOCAL_NODE, since, slots).await;
    changes.unwrap()
}

/// Expects that the change raised the generation by one, and that it is this
/// generation at which the spec shows the tenant changed, or removed.
async fn expect<T>(store: &Store, before: &NodeSpec, done: &Committed<T>, removes: bool) {
    assert_eq!(done.node, LOCAL_NODE);
    assert_eq!(done.generation, before.generation + 1);
    let now = store.generation(LOCAL_NODE).await.unwrap();
    assert_eq!(done.generation, now);
    let slots = before.tenants.keys().copied().collect();
    let shown = changes(store, before.generation, &slots).await;
    assert_eq!(shown.generation, done.generation);
    let changed: Vec<_> = shown.changed.iter().map(|t| t.slot).collect();
    let removed: Vec<_> = shown.removed.into_iter().collect();
    let (one, none) = (vec![done.slot], vec![]);
    let expected = if removes { (none, one) } else { (one, none) };
    assert_eq!((changed, removed), expected);
    let later = changes(store, done.generation, &slots).await;
    assert!(later.changed.is_empty() && later.removed.is_empty());
}

pub async fn a_change_returns_its_slot_and_generation(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let before = async || store.load_spec(LOCAL_NODE).await.unwrap();
    // Tenants of other slots, whose changes must not be mistaken for the one.
    sign_up(&store, "abcd").await;
    sign_up(&store, "efgh").await;
    let (old, excluded) = (before().await, BTreeSet::new());
    let placement = Placement::from(&excluded);
    let created = store.create_tenant(new_tenant("ijkl"), &plan, placement);
    let created = created.await.unwrap();
    assert_eq!(created.slot, created.value.slot);
    expect(&store, &old, &created, false).await;
    let s = scope(&created.value);

    let old = before().await;
    let added = store.add_device(&s, new_device("Phone"), &plan).await;
    let added = added.unwrap();
    expect(&store, &old, &added, false).await;
    let id = added.value.id;
    let refused = store.add_device(&s, new_device("Phone"), &plan).await;
    assert!(matches!(refused, Err(StoreError::LabelTaken)));

    let change = || DeviceChange {
        mesh: Some(true),
        ..DeviceChange::default()
    };
    let old = before().await;
    let updated = store.update_device(&s, id, change(), NOW).await.unwrap();
    expect(&store, &old, &updated, false).await;
    // The same again changes nothing: what is in force already is all of it.
    let again = store.update_device(&s, id, change(), NOW).await.unwrap();
    assert_eq!(again, updated);

    let old = before().await;
    let suspended = store.set_state(&s, TenantState::Suspended, NOW).await;
    let suspended = suspended.unwrap();
    expect(&store, &old, &suspended, false).await;
    let again = store.set_state(&s, TenantState::Suspended, NOW).await;
    assert_eq!(again.unwrap(), suspended);

    let old = before().await;
    let deleted = store.delete_device(&s, id, NOW).await.unwrap();
    expect(&store, &old, &deleted, false).await;
    let old = before().await;
    let deleted = store.delete_tenant(&s, NOW).await.unwrap();
    expect(&store, &old, &deleted, true).await;
    let now = store.generation(LOCAL_NODE).await.unwrap();
    assert_eq!((deleted.generation, deleted.slot), (now, created.slot));
}

/// Renames the devices many times at once, while another task reads the changes.
/// Each spec that it reads holds exactly the changes up to its generation.
pub async fn concurrent_changes_return_the_generation_that_shows_them(db: &TestDatabase) {
    const ROUNDS: usize = 6;
    let (store, plan) = (db.store().await, AddressPlan::default());
    let mut devices: Vec<(TenantScope, Slot, DeviceId)> = Vec::new();
    for name in ["abcd", "efgh", "ijkl"] {
        let tenant = sign_up(&store, name).await;
        let s = scope(&tenant);
        for text in ["One", "Two", "Three"] {
            let added = store.add_device(&s, new_device(text), &plan).await;
            let added = added.unwrap();
            assert_eq!(added.slot, tenant.slot);
            devices.push((s.clone(), tenant.slot, added.value.id));
        }
    }
    let begin = store.load_spec(LOCAL_NODE).await.unwrap();
    let total = devices.len() * ROUNDS;
    let end = begin.generation + total as u64;

    let reader = tokio::spawn({
        let (store, mut spec) = (store.clone(), begin.clone());
        async move {
            let mut read = Vec::new();
            while spec.generation < end {
                let slots = spec.tenants.keys().copied().collect();
                changes(&store, spec.generation, &slots)
                    .await
                    .apply(&mut spec);
                read.push(spec.clone());
                tokio::task::yield_now().await;
            }
            read
        }
    });
    let tasks = (0..total).map(|i| {
        let (s, slot, id) = devices[i % devices.len()].clone();
        let store = store.clone();
        let change = DeviceChange {
            label: Some(label(&format!("Label {i}"))),
            ..DeviceChange::default()
        };
        tokio::spawn(async move {
            let done = store.update_device(&s, id, change, NOW).await.unwrap();
            assert_eq!(
                (done.node, done.slot, done.value.id),
                (LOCAL_NODE, slot, id)
            );
            (done.generation, (slot, id, done.value.label))
        })
    });
    let done: BTreeMap<_, _> = join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let generations: Vec<u64> = done.keys().copied().collect();
    let expected: Vec<u64> = (begin.generation + 1..=end).collect();
    assert_eq!(generations, expected, "each change has one of its own");

    let read = reader.await.unwrap();
    assert_eq!(
        read.last().unwrap(),
        &store.load_spec(LOCAL_NODE).await.unwrap()
    );
    for spec in read {
        let mut labels = BTreeMap::new();
        for (slot, id, label) in done.range(..=spec.generation).map(|(_, change)| change) {
            labels.insert((*slot, *id), label);
        }
        for ((slot, id), label) in labels {
            let shown = &spec.tenants[&slot].devices[&id].label;
            assert_eq!(shown, label, "at generation {}", spec.generation);
        }
    }
}

pub async fn a_restored_database_is_raised_above_the_node(db: &TestDatabase) {
    let store = db.store().await;
    let (a, b) = (sign_up(&store, "abcd").await, sign_up(&store, "efgh").await);
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    let generation = spec.generation;
    let raise = async |in_force| store.raise_generation(LOCAL_NODE, in_force, NOW).await;
    for in_force in [0, generation] {
        assert_eq!(raise(in_force).await.unwrap(), None, "it is not behind");
    }
    assert_eq!(store.load_spec(LOCAL_NODE).await.unwrap(), spec);
    let entries = store.audit_recent(9).await.unwrap().len();

    // A node has changes in force that a restored database lacks; among them a
    // third tenant, and the second one's deletion. Two control planes learn of it.
    let in_force = generation + 40;
    let raised = join_all([raise(in_force), raise(in_force)]).await;
    let raised: Vec<_> = raised.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(raised, [in_force + 1], "once");
    let known = BTreeSet::from([a.slot, Slot::new(900).unwrap()]);
    let shown = changes(&store, in_force, &known).await;
    let mut patched = NodeSpec {
        generation: in_force,
        tenants: spec.tenants.clone(),
        ..NodeSpec::default()
    };
    patched.tenants.remove(&b.slot);
    let lost = spec.tenants[&a.slot].clone();
    patched.tenants.insert(Slot::new(900).unwrap(), lost);
    shown.apply(&mut patched);
    let whole = NodeSpec {
        generation: in_force + 1,
        tenants: spec.tenants,
        ..NodeSpec::default()
    };
    assert_eq!(patched, whole, "changes bring everything");
    assert_eq!(store.load_spec(LOCAL_NODE).await.unwrap(), whole);

    let audit = store.audit_recent(9).await.unwrap();
    assert_eq!(audit.len(), entries + 1);
    let entry = (audit[0].actor.as_str(), audit[0].action.as_str());
    assert_eq!(entry, ("system", "node.restored"));
    let unknown = store.raise_generation(domain::NodeId(77), 1, NOW).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
    let (s, plan) = (scope(&a), AddressPlan::default());
    let added = store.add_device(&s, new_device("Phone"), &plan).await;
    assert_eq!(added.unwrap().generation, in_force + 2);
}
