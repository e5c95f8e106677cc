//! Names of endpoints: what the name server is to be told, and what it has acknowledged.

use crate::{
    moves::move_to,
    nodes::worker,
    test_database::{TestDatabase, new_tenant, scope, sign_up},
};
use domain::AddressPlan;
use std::collections::BTreeSet;
use store::{LOCAL_NODE, NameCounts, NamingPlace, PendingName, Placement, Store, StoreError};

const NAME: &str = "abcd-vpn.example.org";

async fn pending(store: &Store) -> Vec<PendingName> {
    store.pending_names("", 10).await.unwrap()
}

async fn counts(store: &Store) -> (u64, u64) {
    let NameCounts { all, pending } = store.name_counts().await.unwrap();
    (all, pending)
}

pub async fn a_name_is_told_acknowledged_and_removed(db: &TestDatabase) {
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    let named = store.named_tenants(LOCAL_NODE, 0).await.unwrap();
    assert_eq!(
        (named[0].username.as_str(), &named[0].name),
        ("abcd", &None)
    );
    store.note_name(NAME, tenant.id).await.unwrap();
    let endpoint = async || store.endpoint_host(&scope(&tenant)).await.unwrap().name;
    assert_eq!(endpoint().await, None, "the server does not have it yet");
    let [first] = &pending(&store).await[..] else {
        panic!("one is pending");
    };
    let place = first.place.clone().unwrap();
    assert_eq!((place.node, place.host), (LOCAL_NODE, None));
    store
        .acknowledge_name(first, Some("192.0.2.1"))
        .await
        .unwrap();
    assert_eq!(pending(&store).await, []);
    assert_eq!(endpoint().await.as_deref(), Some(NAME));
    assert_eq!(counts(&store).await, (1, 0));
    let told = store.acknowledged_names("", 10).await.unwrap();
    assert_eq!(told, [(NAME.to_owned(), "192.0.2.1".to_owned())]);
    assert_eq!(store.acknowledged_names(NAME, 10).await.unwrap(), []);

    // What the server has otherwise is told again; devices keep the name meanwhile.
    store.doubt_name(NAME).await.unwrap();
    assert_eq!(counts(&store).await, (1, 1));
    assert_eq!(endpoint().await.as_deref(), Some(NAME));
    let again = pending(&store).await.remove(0);
    store
        .acknowledge_name(&again, Some("192.0.2.1"))
        .await
        .unwrap();

    store
        .delete_tenant(&scope(&tenant), crate::test_database::NOW)
        .await
        .unwrap();
    let gone = pending(&store).await;
    assert_eq!((gone[0].name.as_str(), &gone[0].place), (NAME, &None));
    store.acknowledge_name(&gone[0], None).await.unwrap();
    assert_eq!(counts(&store).await, (0, 0));
}

pub async fn an_acknowledgement_that_comes_late_is_no_proof(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let tenant = sign_up(&store, "abcd").await;
    store.note_name(NAME, tenant.id).await.unwrap();
    let late = pending(&store).await.remove(0);
    store
        .acknowledge_name(&late, Some("192.0.2.1"))
        .await
        .unwrap();

    // It moves, and another control plane tells the server so.
    let before = store.generation(node).await.unwrap();
    move_to(&store, &tenant, LOCAL_NODE, node).await;
    let named = store.named_tenants(node, before + 1).await.unwrap();
    assert_eq!(named[0].host.as_deref(), Some("192.0.2.1"));
    store.note_name(NAME, tenant.id).await.unwrap();
    let newest = pending(&store).await.remove(0);
    let host = Some("fra1.example.org".to_owned());
    assert_eq!(newest.place, Some(NamingPlace { node, host }));
    store
        .acknowledge_name(&newest, Some("fra1.example.org"))
        .await
        .unwrap();
    assert_eq!(counts(&store).await, (1, 0));

    // One that was stopped in between has told it the former node.
    store
        .acknowledge_name(&late, Some("192.0.2.1"))
        .await
        .unwrap();
    assert_eq!(counts(&store).await, (1, 1), "it is told again");
    // The same for a removal whose name is in use again.
    let removal = PendingName {
        place: None,
        ..newest
    };
    store.acknowledge_name(&removal, None).await.unwrap();
    assert_eq!(counts(&store).await, (1, 1));
}

pub async fn another_domain_gives_up_the_former_name(db: &TestDatabase) {
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    for name in [NAME, "abcd-vpn.example.net"] {
        store.note_name(name, tenant.id).await.unwrap();
    }
    let names: Vec<_> = pending(&store).await.into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["abcd-vpn.example.net", NAME]);
    store.forget_name(NAME).await.unwrap();
    store.forget_name("abcd-vpn.example.net").await.unwrap();
    assert_eq!(counts(&store).await, (1, 1), "one is a tenant's");
    // A deleted tenant gets none.
    store
        .delete_tenant(&scope(&tenant), crate::test_database::NOW)
        .await
        .unwrap();
    store
        .note_name("efgh-vpn.example.org", tenant.id)
        .await
        .unwrap();
    assert_eq!(counts(&store).await, (1, 1));
}

pub async fn a_name_that_an_older_tenant_has_is_no_endpoint(db: &TestDatabase) {
    let store = db.store().await;
    let older = sign_up(&store, "older").await;
    db.raw("UPDATE users SET username = 'abcd-vpn' WHERE username = 'older'")
        .await;
    let tenant = sign_up(&store, "abcd").await;
    let named = store.named_tenants(LOCAL_NODE, 0).await.unwrap();
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(
        (named[0].tenant, named[0].username.as_str()),
        (older.id, "abcd-vpn")
    );
    assert_ne!(older.id, tenant.id);

    // A new tenant gets no such name.
    let excluded = &BTreeSet::new();
    let placement = Placement {
        node: LOCAL_NODE,
        excluded,
        max_tenants: None,
    };
    let plan = AddressPlan::default();
    let created = store
        .create_tenant(new_tenant("efgh-vpn"), &plan, placement)
        .await;
    assert!(matches!(created, Err(StoreError::NameReserved { .. })));
    assert!(store.is_reserved("efgh-vpn").await.unwrap());
}

pub async fn a_problem_of_the_name_server_is_noted_until_it_ends(db: &TestDatabase) {
    let store = db.store().await;
    assert_eq!(store.naming_problem().await.unwrap(), None);
    for text in ["first", "second"] {
        store.note_naming_problem(Some(text)).await.unwrap();
    }
    assert_eq!(
        store.naming_problem().await.unwrap().as_deref(),
        Some("second")
    );
    store.note_naming_problem(None).await.unwrap();
    assert_eq!(store.naming_problem().await.unwrap(), None);
}
