//! What the API stores: keys, credentials, and the answers of repeated requests.

use crate::test_database::{NOW, TestDatabase, new_device, operator, scope, sign_up};
use domain::{
    Access, AddressPlan, NodeStanding, OperatorRole, OwnerScope, Secret, TenantId, Timestamp,
};
use futures_util::future::join_all;
use store::{
    AnswerKey, AuditEntry, Claim, ClientDescription, CredentialKind, DeviceChange, LOCAL_NODE,
    NewCredential, NodeChange, NodeTerms, Rotation, SigningKeyRecord, Store, StoreError,
    TenantChange, TenantState, TenantTerms, TicketHolder, TokenHash,
};

fn hash(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "abcd".to_owned(),
        action: action.to_owned(),
        object: "abcd".to_owned(),
        detail: String::new(),
        tenant: None,
        ..AuditEntry::default()
    }
}

async fn create(
    store: &Store,
    holder: TicketHolder,
    kind: CredentialKind,
    id: &str,
) -> Result<(), StoreError> {
    let (secret, client) = (hash(id), ClientDescription::default());
    let new = NewCredential {
        id,
        kind,
        holder,
        name: "script",
        secret: &secret,
        access: Access::Write,
        proof: "proof",
        client: &client,
        is_present: true,
        now: NOW,
        expires: NOW.plus_millis(60_000),
        entry: entry("token.create"),
    };
    store.create_credential(new).await
}

pub async fn a_credential_ends_with_its_holder(db: &TestDatabase) {
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    let holder = TicketHolder::Tenant(tenant.id);
    let (session, token) = (CredentialKind::Session, CredentialKind::Token);
    create(&store, holder, session, "s1").await.unwrap();
    create(&store, holder, token, "t1").await.unwrap();
    let found = async |id: &str, at| {
        let found = store.credential(id, at).await.unwrap();
        found.map(|(credential, _)| credential)
    };
    let record = found("t1", NOW).await.unwrap();
    assert_eq!(
        (record.holder, record.kind, record.access),
        (holder, token, Access::Write)
    );
    assert_eq!(
        (record.holder_name.as_str(), record.is_suspended),
        ("abcd", false)
    );
    assert_eq!(record.holder_password_hash, tenant.password_hash);
    assert_eq!(record.secret, hash("t1"));
    assert_eq!(found("t1", NOW.plus_millis(60_000)).await, None, "expired");
    assert_eq!(found("t2", NOW).await, None);

    let s = scope(&tenant);
    store
        .set_state(&s, TenantState::Suspended, NOW)
        .await
        .unwrap();
    assert!(found("s1", NOW).await.unwrap().is_suspended);
    // A use is noted once a minute.
    let minute = |n: i64| NOW.plus_millis(n * 60_000);
    for (at, noted) in [(0, 0), (0, 0), (1, 1), (2, 2)] {
        let before = minute(at).plus_millis(-60_000);
        store
            .note_token_use("t1", minute(at), before)
            .await
            .unwrap();
        assert_eq!(found("t1", NOW).await.unwrap().used_at, Some(minute(noted)));
    }
    let other = TicketHolder::Tenant(sign_up(&store, "efgh").await.id);
    let deleted = store.delete_credential(other, token, "t1", |_| entry("token.delete"));
    assert!(matches!(deleted.await, Err(StoreError::NotFound)));
    store.delete_tenant(&s, NOW).await.unwrap();
    assert_eq!(found("s1", NOW).await, None);
    assert_eq!(found("t1", NOW).await, None);
    let late = create(&store, TicketHolder::Tenant(TenantId(99)), token, "t9").await;
    assert!(matches!(late, Err(StoreError::NotFound)));

    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    create(&store, TicketHolder::Operator(ada.id), token, "t3")
        .await
        .unwrap();
    let record = found("t3", NOW).await.unwrap();
    assert_eq!(
        (record.holder_name.as_str(), record.is_suspended),
        ("ada", false)
    );
    assert_eq!(store.api_tokens(record.holder).await.unwrap(), [record]);
    assert_eq!(store.prune_credentials(minute(1)).await.unwrap(), 1);
}

pub async fn a_refresh_token_is_replaced_once(db: &TestDatabase) {
    let store = db.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    for id in ["s1", "s2"] {
        create(&store, holder, CredentialKind::Session, id)
            .await
            .unwrap();
    }
    create(&store, holder, CredentialKind::Token, "t1")
        .await
        .unwrap();
    let later = NOW.plus_millis(600_000);
    let rotate = async |id: &str, old: &str, new: &str| {
        let (old, new) = (hash(old), hash(new));
        let rotated = store.rotate_refresh_token(id, &old, &new, NOW, later);
        rotated.await.unwrap()
    };
    assert_eq!(rotate("s1", "s1", "second").await, Rotation::Rotated);
    let (session, _) = store.credential("s1", NOW).await.unwrap().unwrap();
    assert_eq!(
        (session.secret, session.expires_at),
        (hash("second"), later)
    );
    assert_eq!(rotate("s1", "s1", "third").await, Rotation::Replayed);
    assert_eq!(store.credential("s1", NOW).await.unwrap(), None);
    assert_eq!(rotate("s1", "second", "third").await, Rotation::Unknown);
    assert_eq!(
        rotate("t1", "t1", "x").await,
        Rotation::Unknown,
        "an API token stays"
    );
    assert!(store.credential("t1", NOW).await.unwrap().is_some());
    let at_once = join_all((0..8).map(|n| {
        let new = n.to_string();
        async move { rotate("s2", "s2", &new).await }
    }));
    let rotated = at_once.await;
    let count = |wanted| rotated.iter().filter(|r| **r == wanted).count();
    assert_eq!(
        (count(Rotation::Rotated), count(Rotation::Replayed)),
        (1, 1)
    );
    assert_eq!(store.credential("s2", NOW).await.unwrap(), None);
}

pub async fn credentials_are_bounded_in_number(db: &TestDatabase) {
    let store = db.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    for n in 0..60 {
        let id = format!("s{n}");
        let new = NewCredential {
            id: &id,
            kind: CredentialKind::Session,
            holder,
            name: "",
            secret: &hash(&id),
            access: Access::Read,
            proof: "proof",
            client: &ClientDescription::default(),
            is_present: false,
            now: NOW.plus_millis(n),
            expires: NOW.plus_millis(60_000),
            entry: entry("session.begin"),
        };
        store.create_credential(new).await.unwrap();
    }
    let exists = async |id: &str| store.credential(id, NOW).await.unwrap().is_some();
    assert!(!exists("s9").await && exists("s10").await && exists("s59").await);
    for n in 0..50 {
        create(&store, holder, CredentialKind::Token, &format!("t{n}"))
            .await
            .unwrap();
    }
    let full = create(&store, holder, CredentialKind::Token, "t50").await;
    assert!(matches!(full, Err(StoreError::TokenLimit { allowed: 50 })));
    assert!(exists("s59").await, "tokens do not displace sessions");
}

pub async fn an_answer_is_given_to_its_request(db: &TestDatabase) {
    let store = db.store().await;
    let key = AnswerKey::of("tenant:1", "one");
    let soon = NOW.plus_millis(1_000);
    let claim = async |key: &AnswerKey, request: &str, at: Timestamp| {
        let claim = store.claim_answer(key, request, at, at.plus_millis(1_000));
        claim.await.unwrap()
    };
    assert_eq!(claim(&key, "a", NOW).await, Claim::New);
    assert_eq!(claim(&key, "a", NOW).await, Claim::Pending);
    assert_eq!(claim(&key, "b", NOW).await, Claim::OtherRequest);
    let other = AnswerKey::of("tenant:2", "one");
    assert_eq!(claim(&other, "b", NOW).await, Claim::New, "another sender");
    store.forget_answer(&other).await.unwrap();
    assert_eq!(claim(&other, "a", NOW).await, Claim::New, "given back");
    store.store_answer(&key, b"made", soon).await.unwrap();
    let Claim::Answered(answer) = claim(&key, "a", NOW).await else {
        panic!("no answer");
    };
    assert_eq!(answer.as_slice(), b"made");
    assert_eq!(claim(&key, "b", NOW).await, Claim::OtherRequest);
    assert_eq!(claim(&key, "b", soon).await, Claim::New, "a day later");
    let third = AnswerKey::of("tenant:3", "one");
    let at_once = join_all((0..8).map(|_| claim(&third, "a", NOW))).await;
    let new = at_once.iter().filter(|c| **c == Claim::New).count();
    assert_eq!(new, 1);
    assert_eq!(
        store.prune_answers(NOW.plus_millis(10_000)).await.unwrap(),
        3
    );
}

pub async fn signing_keys_are_found_by_id(db: &TestDatabase) {
    let store = db.store().await;
    assert!(store.newest_signing_key().await.unwrap().is_none());
    for (n, at) in [(1_u8, NOW), (2, NOW.plus_millis(1))] {
        let key = SigningKeyRecord {
            kid: format!("k{n}"),
            public_key: [n; 32],
            seed: [n; 32].into(),
            created_at: at,
        };
        store.create_signing_key(&key).await.unwrap();
    }
    let newest = store.newest_signing_key().await.unwrap().unwrap();
    assert_eq!((newest.kid.as_str(), *newest.seed), ("k2", [2; 32]));
    let first = store.signing_key("k1").await.unwrap().unwrap();
    assert_eq!(
        (first.public_key, *first.seed, first.created_at),
        ([1; 32], [1; 32], NOW)
    );
    assert_eq!(
        store.prune_signing_keys(NOW.plus_millis(1)).await.unwrap(),
        1
    );
    assert!(store.signing_key("k1").await.unwrap().is_none());
}

pub async fn a_change_of_what_was_read_is_refused_later(db: &TestDatabase) {
    let store = db.store().await;
    let s = scope(&sign_up(&store, "abcd").await);
    let plan = AddressPlan::default();
    let phone = store.add_device(&s, new_device("Phone"), &plan).await;
    let phone = phone.unwrap().value;
    let read = phone.settings();
    let change = |mesh| DeviceChange {
        mesh: Some(mesh),
        ..DeviceChange::default()
    };
    let first = store.update_device_if(&s, phone.id, change(!phone.mesh), Some(&read), NOW);
    first.await.unwrap();
    let second = store.update_device_if(&s, phone.id, change(phone.mesh), Some(&read), NOW);
    assert!(matches!(second.await, Err(StoreError::Changed)));
    assert_eq!(store.device(&s, phone.id).await.unwrap().mesh, !phone.mesh);
    let deleted = store.delete_device_if(&s, phone.id, Some(&read), NOW);
    assert!(matches!(deleted.await, Err(StoreError::Changed)));
    store.device(&s, phone.id).await.unwrap();

    let zone = |name| store.set_time_zone_if(&s, name, Some("UTC"), NOW);
    zone("Europe/Berlin").await.unwrap();
    assert!(matches!(zone("Asia/Tokyo").await, Err(StoreError::Changed)));
    assert_eq!(store.tenant(&s).await.unwrap().time_zone, "Europe/Berlin");

    let terms = TenantTerms {
        plan: store.tenant(&s).await.unwrap().plan.id,
        state: TenantState::Active,
    };
    let change = async |plan, state| {
        let change = TenantChange {
            plan: Some(plan),
            state: Some(state),
        };
        store.change_tenant_if(&s, change, Some(&terms), NOW).await
    };
    let unknown = change("nothing", TenantState::Suspended).await;
    assert!(matches!(unknown, Err(StoreError::PlanUnknown)));
    assert_eq!(store.tenant(&s).await.unwrap().state, TenantState::Active);
    change("studio", TenantState::Suspended).await.unwrap();
    let late = change("home", TenantState::Active).await;
    assert!(matches!(late, Err(StoreError::Changed)));
    let now = store.tenant(&s).await.unwrap();
    assert_eq!(
        (now.plan.id.as_str(), now.state),
        ("studio", TenantState::Suspended)
    );

    let node = store.node(LOCAL_NODE).await.unwrap();
    let terms = NodeTerms {
        host: node.host,
        standing: node.standing,
    };
    let change = async |standing| {
        let change = NodeChange {
            host: None,
            standing: Some(standing),
        };
        let changed = store.change_node_if(LOCAL_NODE, change, Some(&terms), "ada", NOW);
        changed.await
    };
    change(NodeStanding::Closed).await.unwrap();
    let late = change(NodeStanding::Open).await;
    assert!(matches!(late, Err(StoreError::Changed)));
    let now = store.node(LOCAL_NODE).await.unwrap();
    assert_eq!(now.standing, NodeStanding::Closed);

    let operator = OwnerScope::issue("ada");
    let read = store.plan("home").await.unwrap().unwrap();
    let named = |name: &str| domain::Plan {
        name: name.to_owned(),
        ..read.clone()
    };
    let (first, second) = (named("First"), named("Second"));
    let change = async |plan| {
        store
            .change_plan_if(&operator, plan, Some(&read), NOW)
            .await
    };
    change(&first).await.unwrap();
    assert!(matches!(change(&second).await, Err(StoreError::Changed)));
    assert_eq!(store.plan("home").await.unwrap(), Some(first));
}

pub async fn logs_are_read_from_before_an_entry(db: &TestDatabase) {
    let store = db.store().await;
    let s = scope(&sign_up(&store, "abcd").await);
    for n in 0..5 {
        store.audit(entry(&format!("test.{n}"))).await.unwrap();
    }
    let first = store.audit_before(i64::MAX, 2).await.unwrap();
    let actions = |rows: &[(i64, domain::view::AuditRow)]| -> Vec<String> {
        rows.iter().map(|(_, row)| row.action.clone()).collect()
    };
    assert_eq!(actions(&first), ["test.4", "test.3"]);
    let second = store.audit_before(first[1].0, 2).await.unwrap();
    assert_eq!(actions(&second), ["test.2", "test.1"]);
    assert!(
        store
            .tenant_events_before(&s, i64::MAX, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.events_before(i64::MAX, 9).await.unwrap().is_empty());
}
