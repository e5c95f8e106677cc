//! Nodes: how machines join, what the operator changes of them, and where tenants go.

use crate::test_database::{
    KEY, NOW, TestDatabase, new_device, new_tenant, scope, sign_up, sign_up_on,
};
use domain::{
    AddressPlan, NodeHost, NodeId, NodeName, NodeStanding, Secret, Timestamp, view::AuditRow,
};
use futures_util::future::join_all;
use seal::Sealer;
use std::collections::BTreeSet;
use store::{
    Actor, AuthorityPem, CertificateRecord, EndpointHost, JoiningNode, LOCAL_NODE, NewJoinToken,
    NodeRecord, Placement, Store, StoreError,
};

const HOUR: i64 = 3_600_000;

fn joining(token: &str, name: &str) -> JoiningNode {
    JoiningNode {
        token: token.to_owned(),
        secret: Secret::new(format!("secret of {token}")),
        name: NodeName::parse(name).unwrap(),
        host: NodeHost::parse(&format!("{name}.example.org")).unwrap(),
        version: "1.2.3".to_owned(),
        now: NOW,
    }
}

fn certificate(serial: &str, key: &str) -> CertificateRecord {
    CertificateRecord {
        serial: serial.to_owned(),
        public_key: key.to_owned(),
        expires: NOW.plus_millis(720 * HOUR),
    }
}

async fn new_token(store: &Store, token: &str, node: Option<NodeId>) -> Result<(), StoreError> {
    let secret = Secret::new(format!("secret of {token}"));
    let new = NewJoinToken {
        may_be_local: false,
        id: token,
        secret: &secret,
        node,
        actor: "operator:admin".into(),
        now: NOW,
        expires: NOW.plus_millis(HOUR),
    };
    store.create_join_token(new).await
}

/// Uses a token with this key.
async fn use_token(
    store: &Store,
    token: &str,
    name: &str,
    key: &str,
) -> Result<NodeId, StoreError> {
    let issue = |node: NodeId| Ok((certificate(&format!("{key}-{node}"), key), ()));
    let joined = store.join_node::<(), StoreError>(joining(token, name), issue);
    joined.await.map(|(node, ())| node)
}

/// Makes a worker of that name, whose key is its name.
pub async fn worker(store: &Store, name: &str) -> NodeId {
    new_token(store, name, None).await.unwrap();
    use_token(store, name, name, name).await.unwrap()
}

async fn actions(store: &Store) -> Vec<(String, String, String)> {
    let rows = store.audit_recent(100).await.unwrap().into_iter().rev();
    rows.map(|r| (r.actor, r.action, r.object)).collect()
}

pub async fn a_machine_joins_with_a_token_once(db: &TestDatabase) {
    let store = db.store().await;
    let [local] = &store.nodes().await.unwrap()[..] else {
        panic!("the local node alone");
    };
    assert_eq!((local.id, local.is_worker()), (LOCAL_NODE, false));
    assert_eq!(local.standing, NodeStanding::Open);

    new_token(&store, "t1", None).await.unwrap();
    let node = use_token(&store, "t1", "fra1", "key").await.unwrap();
    assert_eq!(node, NodeId(2));
    let expected = NodeRecord {
        id: node,
        name: "fra1".to_owned(),
        host: Some("fra1.example.org".to_owned()),
        standing: NodeStanding::Open,
        tenants: 0,
        last_heard: None,
        version: Some("1.2.3".to_owned()),
        certificate_expires: Some(NOW.plus_millis(720 * HOUR)),
    };
    assert_eq!(store.node(node).await.unwrap(), expected);
    assert_eq!(store.generation(node).await.unwrap(), 0);

    let again = use_token(&store, "t1", "other", "other key").await;
    assert!(matches!(again, Err(StoreError::JoinTokenUsed)), "{again:?}");
    let unknown = use_token(&store, "t2", "other", "other key").await;
    assert!(matches!(unknown, Err(StoreError::JoinTokenUnknown)));
    let mut wrong = joining("t1", "other");
    wrong.secret = Secret::new("guessed");
    let issue = |_| -> Result<_, StoreError> { panic!("no certificate without a token") };
    let refused = store.join_node::<(), _>(wrong, issue).await;
    assert!(matches!(refused, Err(StoreError::JoinTokenUnknown)));
    assert_eq!(store.nodes().await.unwrap().len(), 2);

    // The answer was lost: the same machine asks again.
    let retry = use_token(&store, "t1", "fra1", "key").await.unwrap();
    assert_eq!((retry, store.nodes().await.unwrap().len()), (node, 2));
    let entry = |actor: &str, action: &str, object: &str| {
        (actor.to_owned(), action.to_owned(), object.to_owned())
    };
    assert_eq!(
        actions(&store).await,
        [
            entry("operator:admin", "node.token", ""),
            entry("operator:admin", "node.join", "fra1"),
            entry("operator:admin", "node.join", "fra1"),
        ]
    );
}

pub async fn a_late_token_joins_no_machine(db: &TestDatabase) {
    let store = db.store().await;
    new_token(&store, "t1", None).await.unwrap();
    let issue = |_| Ok((certificate("1", "key"), ()));
    let mut late = joining("t1", "fra1");
    late.now = NOW.plus_millis(HOUR);
    let refused = store.join_node::<(), StoreError>(late, issue).await;
    assert!(matches!(refused, Err(StoreError::JoinTokenExpired)));
    assert_eq!(store.prune_join_tokens(NOW).await.unwrap(), 0);
    let removed = store.prune_join_tokens(NOW.plus_millis(HOUR + 1)).await;
    assert_eq!(removed.unwrap(), 1);
    let unknown = use_token(&store, "t1", "fra1", "key").await;
    assert!(matches!(unknown, Err(StoreError::JoinTokenUnknown)));
}

pub async fn a_refused_join_leaves_the_token_usable(db: &TestDatabase) {
    let store = db.store().await;
    worker(&store, "fra1").await;
    new_token(&store, "t1", None).await.unwrap();
    let taken = use_token(&store, "t1", "fra1", "key").await;
    assert!(matches!(taken, Err(StoreError::NodeNameTaken { name }) if name == "fra1"));
    let issue = |_| Err(StoreError::NotFound);
    let refused = store.join_node::<(), _>(joining("t1", "fra2"), issue).await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    assert_eq!(
        store.nodes().await.unwrap().len(),
        2,
        "nothing is left of it"
    );
    use_token(&store, "t1", "fra2", "key").await.unwrap();
}

pub async fn of_two_uses_at_once_one_joins(db: &TestDatabase) {
    let store = db.store().await;
    for round in 0..5 {
        let token = format!("t{round}");
        new_token(&store, &token, None).await.unwrap();
        let tasks = (0..8).map(|n| {
            let (store, token) = (store.clone(), token.clone());
            tokio::spawn(async move {
                let name = format!("w{round}-{n}");
                use_token(&store, &token, &name, &name).await
            })
        });
        let done: Vec<_> = join_all(tasks)
            .await
            .into_iter()
            .map(|t| t.unwrap())
            .collect();
        let joined = done.iter().filter(|r| r.is_ok()).count();
        assert_eq!(joined, 1, "{done:?}");
        let used = |r: &Result<_, _>| matches!(r, Ok(_) | Err(StoreError::JoinTokenUsed));
        assert!(done.iter().all(used), "{done:?}");
        assert_eq!(store.nodes().await.unwrap().len(), 2 + round);
    }
}

pub async fn machines_that_join_at_once_are_different_nodes(db: &TestDatabase) {
    let store = db.store().await;
    let tasks = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { worker(&store, &format!("w{n}")).await })
    });
    let joined: BTreeSet<_> = join_all(tasks)
        .await
        .into_iter()
        .map(|t| t.unwrap())
        .collect();
    assert_eq!(joined, (2..14).map(NodeId).collect());
}

pub async fn a_renewed_certificate_replaces_the_former(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let first = format!("fra1-{node}");
    let admits = async |serial: &str| store.admits_certificate(node, serial).await.unwrap();
    assert!(admits(&first).await && !admits("other").await);
    assert!(!store.admits_certificate(LOCAL_NODE, &first).await.unwrap());

    let renew = async |serial: &str, key: &str| {
        let certificate = certificate(serial, key);
        store.renew_certificate(node, &certificate, NOW).await
    };
    let other = renew("s2", "stolen").await;
    assert!(matches!(other, Err(StoreError::NodeKeyOther)), "{other:?}");
    renew("s2", "fra1").await.unwrap();
    assert!(admits(&first).await, "the answer may have been lost");
    renew("s3", "fra1").await.unwrap();
    assert!(admits(&first).await && !admits("s2").await);
    assert!(admits("s3").await);
    assert!(!admits(&first).await, "only a copied disk has it still");
    assert!(admits("s3").await);

    let revoke = NodeStanding::Revoked;
    store
        .set_standing(node, revoke, "operator:admin", NOW)
        .await
        .unwrap();
    assert!(!admits("s3").await);
    let renewed = renew("s4", "fra1").await;
    assert!(matches!(renewed, Err(StoreError::NodeIsRevoked)));
}

pub async fn a_revoked_worker_joins_again_with_another_key(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let tenant = sign_up_on(&store, "abcd", node).await;
    let revoke = NodeStanding::Revoked;
    store
        .set_standing(node, revoke, "operator:admin", NOW)
        .await
        .unwrap();
    let open = store
        .set_standing(node, NodeStanding::Open, "operator:admin", NOW)
        .await;
    assert!(matches!(open, Err(StoreError::NodeIsRevoked)), "{open:?}");
    new_token(&store, "t2", Some(node)).await.unwrap();
    let again = use_token(&store, "t2", "another-name", "key2")
        .await
        .unwrap();
    assert_eq!(again, node);
    let record = store.node(node).await.unwrap();
    assert_eq!((record.name.as_str(), record.tenants), ("fra1", 1));
    assert_eq!(record.standing, NodeStanding::Open);
    let admitted = store
        .admits_certificate(node, &format!("key2-{node}"))
        .await;
    assert!(admitted.unwrap());
    let former = store
        .admits_certificate(node, &format!("fra1-{node}"))
        .await;
    assert!(!former.unwrap());
    assert_eq!(store.tenant(&scope(&tenant)).await.unwrap().node, node);

    let local = new_token(&store, "t3", Some(LOCAL_NODE)).await;
    assert!(matches!(local, Err(StoreError::NodeIsLocal)));
    let unknown = new_token(&store, "t3", Some(NodeId(9))).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
}

pub async fn a_closed_node_gets_no_tenant(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let tenant = sign_up_on(&store, "abcd", node).await;
    let generation = store.generation(node).await.unwrap();
    let set = async |node, standing| store.set_standing(node, standing, "operator:a", NOW).await;
    set(node, NodeStanding::Closed).await.unwrap();
    let excluded = BTreeSet::new();
    let placement = Placement {
        node,
        excluded: &excluded,
        max_tenants: None,
    };
    let refused = store
        .create_tenant(new_tenant("efgh"), &AddressPlan::default(), placement)
        .await;
    assert!(matches!(refused, Err(StoreError::NodeFull)), "{refused:?}");
    assert_eq!(store.generation(node).await.unwrap(), generation);
    // Its tenants are served as before.
    let device = new_device("Phone");
    let (s, plan) = (scope(&tenant), AddressPlan::default());
    store.add_device(&s, device, &plan).await.unwrap();
    set(node, NodeStanding::Open).await.unwrap();
    set(node, NodeStanding::Open).await.unwrap();
    sign_up_on(&store, "efgh", node).await;
    set(LOCAL_NODE, NodeStanding::Closed).await.unwrap();
    let local = set(LOCAL_NODE, NodeStanding::Revoked).await;
    assert!(matches!(local, Err(StoreError::NodeIsLocal)));
    let unknown = set(NodeId(9), NodeStanding::Closed).await;
    assert!(matches!(unknown, Err(StoreError::NotFound)));
    let changes = actions(&store).await;
    let of_nodes: Vec<_> = changes
        .iter()
        .filter(|(actor, ..)| actor == "operator:a")
        .map(|(_, action, object)| (action.as_str(), object.as_str()))
        .collect();
    assert_eq!(
        of_nodes,
        [
            ("node.close", "fra1"),
            ("node.open", "fra1"),
            ("node.close", "local")
        ],
        "what changes nothing is not logged"
    );
}

pub async fn the_tenants_of_each_node_are_counted(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let first = sign_up_on(&store, "abcd", node).await;
    sign_up_on(&store, "efgh", node).await;
    sign_up(&store, "ijkl").await;
    let counts = async || {
        let nodes = store.nodes().await.unwrap().into_iter();
        nodes.map(|n| n.tenants).collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [1, 2]);
    // Slots are of a node.
    assert_eq!(first.slot.get(), 1);
    store.delete_tenant(&scope(&first), NOW).await.unwrap();
    assert_eq!(counts().await, [1, 1]);
}

pub async fn a_node_without_tenants_is_removed(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let tenant = sign_up_on(&store, "abcd", node).await;
    let remove = async |node| store.remove_node(node, "operator:admin", NOW).await;
    let refused = remove(node).await;
    assert!(
        matches!(refused, Err(StoreError::NodeInUse { tenants: 1 })),
        "{refused:?}"
    );
    let local = remove(LOCAL_NODE).await;
    assert!(matches!(local, Err(StoreError::NodeIsLocal)));
    store.record_events(node, &[]).await.unwrap();
    store.delete_tenant(&scope(&tenant), NOW).await.unwrap();
    remove(node).await.unwrap();
    assert!(matches!(remove(node).await, Err(StoreError::NotFound)));
    assert!(matches!(store.node(node).await, Err(StoreError::NotFound)));
    assert_eq!(store.nodes().await.unwrap().len(), 1);
    assert!(
        !store
            .admits_certificate(node, &format!("fra1-{node}"))
            .await
            .unwrap()
    );
    // Its token does not bring it back, and its id is not given twice.
    let used = use_token(&store, "fra1", "fra1", "fra1").await;
    assert!(
        matches!(used, Err(StoreError::JoinTokenUnknown)),
        "{used:?}"
    );
    new_token(&store, "t2", None).await.unwrap();
    let next = use_token(&store, "t2", "fra1", "key").await.unwrap();
    assert_eq!(next, NodeId(3), "the name is free again");
}

pub async fn another_host_says_how_many_devices_it_touches(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let away = sign_up_on(&store, "abcd", node).await;
    let here = sign_up(&store, "efgh").await;
    for (tenant, label) in [(&away, "Phone"), (&away, "Laptop"), (&here, "Phone")] {
        let (s, plan) = (scope(tenant), AddressPlan::default());
        store
            .add_device(&s, new_device(label), &plan)
            .await
            .unwrap();
    }
    let generation = store.generation(node).await.unwrap();
    let endpoint = async |t| store.endpoint_host(&scope(t)).await.unwrap();
    let host = |node, host: Option<&str>| EndpointHost {
        node,
        host: host.map(str::to_owned),
        name: None,
    };
    assert_eq!(endpoint(&away).await, host(node, Some("fra1.example.org")));
    assert_eq!(endpoint(&here).await, host(LOCAL_NODE, None));
    let set = async |node, text| {
        let host = NodeHost::parse(text).unwrap();
        store
            .set_node_host(node, &host, "operator:admin", NOW)
            .await
    };
    assert_eq!(set(node, "fra1.example.org").await.unwrap(), 0);
    assert_eq!(set(node, "192.0.2.7").await.unwrap(), 2);
    assert_eq!(endpoint(&away).await, host(node, Some("192.0.2.7")));
    assert_eq!(
        store.generation(node).await.unwrap(),
        generation,
        "no spec has it"
    );
    let local = set(LOCAL_NODE, "192.0.2.8").await;
    assert!(matches!(local, Err(StoreError::NodeIsLocal)));
    let logged = actions(&store).await.into_iter();
    assert_eq!(
        logged
            .filter(|(_, action, _)| action == "node.host")
            .count(),
        1
    );
}

pub async fn a_change_of_a_node_says_what_it_was_and_where_it_came_from(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let ada = Actor {
        name: "operator:ada",
        origin: "192.0.2.7",
    };
    let closed = NodeStanding::Closed;
    store.set_standing(node, closed, ada, NOW).await.unwrap();
    let host = NodeHost::parse("fra2.example.org").unwrap();
    store.set_node_host(node, &host, ada, NOW).await.unwrap();
    store.remove_node(node, ada, NOW).await.unwrap();
    let log = store.audit_recent(4).await.unwrap();
    let change = |row: &AuditRow| (row.action.clone(), row.before.clone(), row.after.clone());
    let changes: Vec<_> = log.iter().rev().map(change).collect();
    let expected = [
        ("node.join", "", "fra1.example.org"),
        ("node.close", "open", "closed"),
        ("node.host", "fra1.example.org", "fra2.example.org"),
        ("node.remove", "fra2.example.org", ""),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(changes, expected);
    let origins: Vec<_> = log.iter().map(|row| row.origin.as_str()).collect();
    assert_eq!(origins, ["192.0.2.7", "192.0.2.7", "192.0.2.7", ""]);
}

pub async fn what_was_heard_of_a_node_is_noted(db: &TestDatabase) {
    let store = db.store().await;
    let node = worker(&store, "fra1").await;
    let later = NOW.plus_millis(30_000);
    let version = format!("2.0\n{}", "x".repeat(100));
    store.note_heard(node, &version, later).await.unwrap();
    let record = store.node(node).await.unwrap();
    assert_eq!(record.last_heard, Some(later));
    let stored = record.version.unwrap();
    assert_eq!((stored.len(), stored.starts_with("2.0 x")), (64, true));
    store
        .note_heard(NodeId(9), "1", Timestamp(0))
        .await
        .unwrap();
}

pub async fn one_authority_wins_a_race(db: &TestDatabase) {
    let store = db.store().await;
    assert_eq!(store.authority().await.unwrap(), None);
    let new = |n: usize| AuthorityPem {
        certificate: format!("-----BEGIN CERTIFICATE-----\n{n}\n-----END CERTIFICATE-----\n"),
        key: Secret::new(format!("key {n}")),
    };
    let tasks = (0..8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.authority_or_insert(&new(n)).await.unwrap() })
    });
    let made: Vec<_> = join_all(tasks)
        .await
        .into_iter()
        .map(|t| t.unwrap())
        .collect();
    let stored = store.authority().await.unwrap().unwrap();
    assert!(made.iter().all(|a| *a == stored));
    assert!(
        (0..8).any(|n| new(n) == stored),
        "the key is that of the certificate"
    );
}

pub async fn an_authoritys_key_is_sealed(db: &TestDatabase) {
    let store = db.store().await;
    let new = AuthorityPem {
        certificate: "certificate".to_owned(),
        key: Secret::new("geheim"),
    };
    store.authority_or_insert(&new).await.unwrap();
    new_token(&store, "t1", None).await.unwrap();
    store.close().await;
    let value = "SELECT value FROM settings WHERE name = 'node_authority'";
    let stored = db.texts(value).await.remove(0);
    assert!(stored.ends_with("\ncertificate") && !stored.contains("geheim"));
    let tokens = db.texts("SELECT secret_hash FROM node_tokens").await;
    assert!(!tokens[0].contains("secret"), "{tokens:?}");
    // The key of one certificate does not open as another's.
    db.raw("UPDATE settings SET value = value || '2' WHERE name = 'node_authority'")
        .await;
    let store = Store::open(db.url(), Sealer::from_key(KEY)).await.unwrap();
    assert!(matches!(store.authority().await, Err(StoreError::Seal(_))));
}
