//! Operators who look in as a tenant.

use crate::test_database::{NOW, TestDatabase, name, operator, scope, sign_up};
use domain::{OperatorRole, Timestamp};
use std::{collections::HashMap, time::Duration};
use store::{
    AuditEntry, AuditFilter, ChangedBy, ClientDescription, LookRecord, NewLook, OperatorRecord,
    SessionDetails, SessionKey, Sessions, Store, StoreError, TenantRecord, TicketHolder,
};
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

const ACTOR: &str = "operator:ada";
const MINUTE: i64 = 60_000;

fn at(minutes: i64) -> Timestamp {
    NOW.plus_millis(minutes * MINUTE)
}

/// Begins a session of an operator that lasts an hour from [`NOW`].
async fn session(store: &Store, operator: &OperatorRecord, id: i128) -> SessionKey {
    let details = SessionDetails {
        holder: TicketHolder::Operator(operator.id),
        name: operator.name.clone(),
        audience: "operator".to_owned(),
        parent: None,
        proof: String::new(),
        stays: false,
        client: ClientDescription {
            browser: "Firefox".to_owned(),
            system: "Linux".to_owned(),
            address: "192.0.2.7".to_owned(),
        },
        begun: NOW,
    };
    let value = serde_json::to_value(&details).unwrap();
    let now = OffsetDateTime::from_unix_timestamp(NOW.0 / 1_000).unwrap();
    let mut record = Record {
        id: Id(id),
        data: HashMap::from([(SessionDetails::KEY.to_owned(), value)]),
        expiry_date: now + Duration::from_secs(3_600),
    };
    Sessions::new(store.clone())
        .create(&mut record)
        .await
        .unwrap();
    SessionKey::of(&Id(id))
}

async fn begin(
    store: &Store,
    session: &SessionKey,
    operator: &OperatorRecord,
    tenant: &TenantRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    let look = NewLook {
        session,
        operator: operator.id,
        tenant: tenant.id,
        actor: ACTOR,
        origin: "192.0.2.0/24",
        now,
        expires: now.plus_millis(15 * MINUTE),
    };
    store.begin_look(look).await
}

fn change(action: &str, tenant: &TenantRecord, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: ACTOR.to_owned(),
        action: action.to_owned(),
        object: "abcd".to_owned(),
        tenant: Some(tenant.id),
        ..AuditEntry::default()
    }
}

/// Returns what the audit log says that an operator did as a tenant, the oldest first.
async fn told(store: &Store) -> Vec<(String, String)> {
    let filter = AuditFilter {
        actor: Some(ACTOR.to_owned()),
        ..AuditFilter::default()
    };
    let rows = store.audit_matching(&filter, i64::MAX, 50).await.unwrap();
    let rows = rows.into_iter().rev().map(|(_, r)| (r.action, r.detail));
    rows.filter(|(action, _)| action.starts_with("look."))
        .collect()
}

fn entries<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    let owned = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
    owned.to_vec()
}

pub async fn a_look_is_of_one_session_and_tells_its_changes(db: &TestDatabase) {
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    sign_up(&store, "efgh").await;
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let [key, other] = [
        session(&store, &ada, 1).await,
        session(&store, &ada, 2).await,
    ];
    begin(&store, &key, &ada, &tenant, NOW).await.unwrap();
    let expected = LookRecord {
        tenant: tenant.id,
        operator: ada.id,
        operator_name: "ada".to_owned(),
        role: OperatorRole::Owner,
        has_factor: false,
        password_hash: ada.password_hash.clone(),
        expires: at(15),
        changes_until: None,
        session_expires: at(60),
    };
    let look = store.look(&key, &name("abcd")).await.unwrap();
    assert_eq!(look.as_ref(), Some(&expected));
    assert_eq!(store.look(&key, &name("efgh")).await.unwrap(), None);
    assert_eq!(store.look(&other, &name("abcd")).await.unwrap(), None);

    let allow = async |key: &SessionKey, now: Timestamp| {
        let entry = change("look.changes", &tenant, now);
        let allowed = store.allow_look_changes(key, tenant.id, at(10), entry);
        allowed.await.unwrap()
    };
    assert!(!allow(&other, at(1)).await, "there is no such look");
    assert!(!allow(&key, at(15)).await, "it is over");
    assert!(allow(&key, at(1)).await);
    let look = store.look(&key, &name("abcd")).await.unwrap().unwrap();
    assert_eq!(look.changes_until, Some(at(10)));

    for (action, minute) in [
        ("device.add", 2),
        ("device.add", 3),
        ("device.delete", 4),
        ("device.delete", 40),
    ] {
        let entry = change(action, &tenant, at(minute));
        store.audit(entry).await.unwrap();
    }
    store.end_look(&key, tenant.id, at(20)).await.unwrap();
    store.end_look(&key, tenant.id, at(20)).await.unwrap();
    assert_eq!(store.look(&key, &name("abcd")).await.unwrap(), None);
    let expected = entries([
        ("look.begin", ""),
        ("look.changes", ""),
        ("look.end", "device.add 2, device.delete 1"),
    ]);
    assert_eq!(told(&store).await, expected);
}

pub async fn a_second_look_ends_the_first(db: &TestDatabase) {
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let key = session(&store, &ada, 1).await;
    begin(&store, &key, &ada, &tenant, NOW).await.unwrap();
    let entry = change("look.changes", &tenant, at(1));
    let allowed = store.allow_look_changes(&key, tenant.id, at(10), entry);
    assert!(allowed.await.unwrap());
    begin(&store, &key, &ada, &tenant, at(5)).await.unwrap();
    let look = store.look(&key, &name("abcd")).await.unwrap().unwrap();
    assert_eq!((look.expires, look.changes_until), (at(20), None));
    let actions: Vec<_> = told(&store).await.into_iter().map(|(a, _)| a).collect();
    let expected = ["look.begin", "look.changes", "look.end", "look.begin"];
    assert_eq!(actions, expected);
    store.delete_tenant(&scope(&tenant), at(6)).await.unwrap();
    assert_eq!(store.look(&key, &name("abcd")).await.unwrap(), None);
    let again = begin(&store, &key, &ada, &tenant, at(7)).await;
    assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
}

pub async fn a_deleted_tenant_ends_the_looks_at_it(db: &TestDatabase) {
    let store = db.store().await;
    let (tenant, other) = (sign_up(&store, "abcd").await, sign_up(&store, "efgh").await);
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let eve = operator(&store, "eve", OperatorRole::Owner).await;
    let keys = [
        session(&store, &ada, 1).await,
        session(&store, &eve, 2).await,
    ];
    begin(&store, &keys[0], &ada, &tenant, NOW).await.unwrap();
    begin(&store, &keys[1], &eve, &tenant, at(1)).await.unwrap();
    begin(&store, &keys[1], &eve, &other, at(1)).await.unwrap();
    let entry = change("device.add", &tenant, at(2));
    store.audit(entry).await.unwrap();
    store.delete_tenant(&scope(&tenant), at(3)).await.unwrap();
    let log = told(&store).await;
    let ends: Vec<_> = log.iter().filter(|(a, _)| a == "look.end").collect();
    assert_eq!(ends.len(), 2, "of both, and not of the other tenant's");
    assert!(ends.iter().all(|(_, d)| d.contains("device.add 1")));
    let look = store.look(&keys[1], &name("efgh")).await.unwrap();
    assert!(look.is_some(), "another tenant's look lasts");
    assert_eq!(store.end_looks_that_are_over(at(4)).await.unwrap(), 0);
}

pub async fn a_look_ends_with_its_time_its_session_and_its_operator(db: &TestDatabase) {
    let store = db.store().await;
    let tenant = sign_up(&store, "abcd").await;
    let abcd = name("abcd");
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let eve = operator(&store, "eve", OperatorRole::Owner).await;
    let key = session(&store, &ada, 1).await;
    let over = async |now| store.end_looks_that_are_over(now).await.unwrap();

    begin(&store, &key, &ada, &tenant, NOW).await.unwrap();
    assert_eq!(over(at(14)).await, 0, "it lasts");
    assert!(store.look(&key, &abcd).await.unwrap().is_some());
    assert_eq!(over(at(15)).await, 1, "its time is up");

    // One that would outlast its session.
    begin(&store, &key, &ada, &tenant, at(50)).await.unwrap();
    assert_eq!(over(at(59)).await, 0);
    assert_eq!(over(at(60)).await, 1, "the session's time is up");

    begin(&store, &key, &ada, &tenant, NOW).await.unwrap();
    Sessions::new(store.clone()).delete(&Id(1)).await.unwrap();
    assert_eq!(store.look(&key, &abcd).await.unwrap(), None, "signed out");
    assert_eq!(over(at(1)).await, 1, "the session was ended");

    let key = session(&store, &eve, 2).await;
    begin(&store, &key, &eve, &tenant, NOW).await.unwrap();
    let by = ChangedBy {
        actor: ACTOR,
        origin: "",
        now: NOW,
    };
    store.remove_operator(eve.id, by).await.unwrap();
    assert_eq!(store.look(&key, &abcd).await.unwrap(), None, "removed");
    assert_eq!(over(at(1)).await, 1, "the operator was removed");
    assert_eq!(over(at(90)).await, 0, "each ends once");
    let ends = told(&store).await;
    let ends = ends.iter().filter(|(action, _)| action == "look.end");
    assert_eq!(ends.count(), 4);
}
