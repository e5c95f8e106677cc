//! The installation's prefix of IPv6.

use crate::test_database::{TestDatabase, sign_up};
use domain::{Ipv6Prefix, Slot};
use store::LOCAL_NODE;

fn prefix(n: u8) -> Ipv6Prefix {
    Ipv6Prefix::from_random([n; 5])
}

pub async fn one_prefix_is_made_and_every_tenant_gets_it(db: &TestDatabase) {
    let store = db.store().await;
    // Of a version before IPv6.
    let tenant = sign_up(&store, "abcd").await;
    assert_eq!(store.ipv6_prefix().await.unwrap(), None);
    let before = store.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!(before.tenants[&tenant.slot].ipv6, None);

    let made = store.ensure_ipv6_prefix(None, prefix(1)).await.unwrap();
    assert_eq!(made, prefix(1));
    // A node that follows the changes learns of it.
    let known = [tenant.slot].into();
    let changes = store.spec_changes(LOCAL_NODE, before.generation, &known);
    let changes = changes.await.unwrap();
    assert!(changes.generation > before.generation);
    let ipv6 = changes.changed[0].ipv6;
    assert_eq!(ipv6, Some(prefix(1).subnet(tenant.slot)));

    // Another control plane, and a later start, find it; with tenants it stays.
    let other = db.store().await;
    for wanted in [None, Some(prefix(3))] {
        let found = other.ensure_ipv6_prefix(wanted, prefix(2)).await.unwrap();
        assert_eq!(found, prefix(1));
    }
    let after = other.load_spec(LOCAL_NODE).await.unwrap();
    assert_eq!(after.generation, changes.generation, "once");
    assert_eq!(after.tenants[&tenant.slot].ipv6, ipv6);
}

pub async fn a_prefix_is_chosen_while_there_is_no_tenant(db: &TestDatabase) {
    let generation = db.store().await.generation(LOCAL_NODE).await.unwrap();
    for (wanted, expected) in [
        (None, prefix(1)),
        (None, prefix(1)),
        (Some(prefix(4)), prefix(4)),
        (None, prefix(4)),
    ] {
        // As after a restart.
        let store = db.store().await;
        let found = store.ensure_ipv6_prefix(wanted, prefix(1)).await.unwrap();
        assert_eq!(found, expected);
        let same = store.generation(LOCAL_NODE).await.unwrap();
        assert_eq!(same, generation, "no node has to know");
    }
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    let spec = store.load_spec(LOCAL_NODE).await.unwrap();
    let net = prefix(4).subnet(tenant.slot);
    assert_eq!(spec.tenants[&tenant.slot].ipv6, Some(net));
    assert_eq!(net.slot(), Slot::new(tenant.slot.get()));
}
