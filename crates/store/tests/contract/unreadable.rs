//! A tenant whose rows cannot be read refuses itself, not the whole node's spec.

use crate::test_database::{NOW, TestDatabase, name, new_device, scope, sign_up};
use domain::{AddressPlan, Slot};
use protocol::NodeSpec;
use std::{collections::BTreeSet, sync::Arc};
use store::{LOCAL_NODE, Store, TenantState};

async fn load(store: &Store) -> NodeSpec {
    store.load_spec(LOCAL_NODE).await.unwrap()
}

/// Applies the changes since a spec, as `control` does.
async fn update(store: &Store, spec: &mut NodeSpec) {
    let slots = spec.tenants.keys().chain(spec.unreadable.keys());
    let slots: BTreeSet<Slot> = slots.copied().collect();
    let since = spec.generation;
    let changes = store.spec_changes(LOCAL_NODE, since, &slots).await;
    changes.unwrap().apply(spec);
}

pub async fn one_unreadable_row_refuses_its_tenant_only(db: &TestDatabase) {
    let (store, plan) = (db.store().await, AddressPlan::default());
    let (a, b) = (sign_up(&store, "abcd").await, sign_up(&store, "efgh").await);
    let (sa, sb) = (scope(&a), scope(&b));
    for s in [&sa, &sb] {
        store.add_device(s, new_device("One"), &plan).await.unwrap();
    }
    let good = load(&store).await;
    let owner = good.tenants[&a.slot].private_key.public();
    let mut damages = vec![
        ("peers", "dns_filtering_policy", "'telepathy'", true),
        ("peers", "vpn_ip", "'10.88.1'", true),
        ("peers", "public_key", "'short'", true),
        ("peers", "preshared_key", "'v1:AAAA'", true),
        ("users", "dns_password", "'v1:AAAA'", true),
        ("users", "wg_private_key", "''", true),
        ("users", "username", "'-'", true),
        ("users", "wg_public_key", "'short'", false),
    ];
    if db.is_sqlite() {
        // PostgreSQL has no way around a constraint.
        damages.push(("users", "quota_state", "'elsewhere'", true));
        // A damaged file: no text. (PostgreSQL's storage refuses it.)
        let bytes = "CAST(x'ff' AS TEXT)";
        damages.push(("users", "dns_password_hash", bytes, true));
        damages.push(("users", "username", bytes, true));
        damages.push(("peers", "adguard_client_id", bytes, true));
    }
    for (table, column, value, knows_owner) in damages {
        let what = format!("{table}.{column} = {value}");
        let id = if table == "users" { "id" } else { "user_id" };
        let of_a = format!("{id} = {}", sa.tenant().0);
        let checks = db
            .is_sqlite()
            .then_some("PRAGMA ignore_check_constraints = ON; ");
        let checks = checks.unwrap_or_default();
        db.raw(&format!(
            "CREATE TABLE saved AS SELECT {column} AS value FROM {table} WHERE {of_a}; \
             {checks}UPDATE {table} SET {column} = {value} WHERE {of_a}"
        ))
        .await;
        let mut spec = load(&store).await;
        assert_eq!(spec.tenants.keys().collect::<Vec<_>>(), [&b.slot], "{what}");
        let refused = &spec.unreadable[&a.slot];
        assert_eq!(refused.owner, knows_owner.then_some(owner), "{what}");
        let knows_name = column != "username";
        assert_eq!(refused.name, knows_name.then(|| name("abcd")), "{what}");
        assert!(!refused.place.is_empty() && !refused.place.contains("telepathy"));

        // Another tenant's change arrives, and the unreadable one's does not.
        let changed = store.add_device(&sb, new_device("Two"), &plan).await;
        update(&store, &mut spec).await;
        assert_eq!(spec.tenants[&b.slot].devices.len(), 2, "{what}");
        assert_eq!(spec, load(&store).await, "{what}");
        let two = changed.unwrap().value.id;
        store.delete_device(&sb, two, NOW).await.unwrap();

        // What was read before the damage is no longer the spec.
        let mut known = good.clone();
        for state in [TenantState::Suspended, TenantState::Active] {
            store.set_state(&sa, state, NOW).await.unwrap();
        }
        update(&store, &mut known).await;
        assert_eq!(known, load(&store).await, "{what}");
        assert!(!known.tenants.contains_key(&a.slot), "{what}");

        // The row is corrected, and changed once.
        db.raw(&format!(
            "UPDATE {table} SET {column} = (SELECT value FROM saved) WHERE {of_a}; \
             DROP TABLE saved"
        ))
        .await;
        for state in [TenantState::Suspended, TenantState::Active] {
            store.set_state(&sa, state, NOW).await.unwrap();
        }
        update(&store, &mut known).await;
        assert_eq!(known, load(&store).await, "{what}");
        assert!(known.unreadable.is_empty());
        assert_eq!(known.tenants[&a.slot], good.tenants[&a.slot], "{what}");
        let kept = (&known.tenants[&b.slot], &good.tenants[&b.slot]);
        assert!(kept.0 == kept.1 || Arc::ptr_eq(kept.0, kept.1), "{what}");
    }
    // A deleted tenant is gone, unreadable or not.
    db.raw("UPDATE peers SET vpn_ip = '10.88.1'").await;
    let mut spec = load(&store).await;
    assert_eq!((spec.tenants.len(), spec.unreadable.len()), (0, 2));
    store.delete_tenant(&sa, NOW).await.unwrap();
    update(&store, &mut spec).await;
    assert_eq!(spec.unreadable.keys().collect::<Vec<_>>(), [&b.slot]);
    assert_eq!(spec, load(&store).await);
}
