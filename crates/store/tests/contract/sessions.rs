//! Sessions.

use crate::test_database::{NOW, TestDatabase, scope, sign_up};
use std::{collections::HashMap, time::Duration};
use store::{ClientDescription, SessionDetails, SessionKey, Sessions, TicketHolder};
use time::OffsetDateTime;
use tower_sessions::{
    ExpiredDeletion, SessionStore,
    session::{Id, Record},
};

pub async fn sessions_meet_the_contract_of_tower_sessions(db: &TestDatabase) {
    let sessions = Sessions::new(db.store().await);
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let mut record = Record {
        id: Id(7),
        data: HashMap::from([("name".to_owned(), "abcd".into())]),
        expiry_date: now + Duration::from_secs(60),
    };
    sessions.create(&mut record).await.unwrap();
    assert_eq!(record.id, Id(7));
    assert_eq!(sessions.load(&Id(7)).await.unwrap().as_ref(), Some(&record));
    let mut second = record.clone();
    second.data.clear();
    sessions.create(&mut second).await.unwrap();
    assert_ne!(second.id, Id(7), "an existing id is not overwritten");
    assert_eq!(sessions.load(&Id(7)).await.unwrap().as_ref(), Some(&record));
    record.data.insert("more".to_owned(), 1.into());
    sessions.save(&record).await.unwrap();
    assert_eq!(sessions.load(&Id(7)).await.unwrap().as_ref(), Some(&record));
    assert!(sessions.is_active(&SessionKey::of(&Id(7))).await.unwrap());
    sessions.delete(&Id(7)).await.unwrap();
    assert_eq!(sessions.load(&Id(7)).await.unwrap(), None);
    assert!(!sessions.is_active(&SessionKey::of(&Id(7))).await.unwrap());
    sessions.save(&record).await.unwrap();
    assert_eq!(
        sessions.load(&Id(7)).await.unwrap(),
        None,
        "saving does not restore a deleted session"
    );
    assert_eq!(
        sessions.load(&second.id).await.unwrap().as_ref(),
        Some(&second)
    );

    let mut expired = Record {
        id: Id(-1),
        data: HashMap::new(),
        expiry_date: now - Duration::from_secs(1),
    };
    sessions.create(&mut expired).await.unwrap();
    assert_eq!(sessions.load(&expired.id).await.unwrap(), None, "expired");
    assert_eq!(sessions.prune().await.unwrap(), 1);
    sessions.delete_expired().await.unwrap();
    assert!(sessions.load(&second.id).await.unwrap().is_some());
}

pub async fn a_session_has_columns_that_outlive_its_data(db: &TestDatabase) {
    let store = db.store().await;
    let sessions = Sessions::new(store.clone());
    let tenant = sign_up(&store, "abcd").await;
    let details = SessionDetails {
        holder: TicketHolder::Tenant(tenant.id),
        name: "abcd".to_owned(),
        audience: "dashboard".to_owned(),
        parent: None,
        proof: "before".to_owned(),
        stays: true,
        client: ClientDescription {
            browser: "Firefox".to_owned(),
            system: "Linux".to_owned(),
            address: "192.0.2.7".to_owned(),
        },
        begun: NOW,
    };
    let value = serde_json::to_value(&details).unwrap();
    let mut record = Record {
        id: Id(1),
        data: HashMap::from([(SessionDetails::KEY.to_owned(), value)]),
        expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(60),
    };
    sessions.create(&mut record).await.unwrap();
    db.raw("UPDATE sessions SET proof = 'after'").await;
    // A request that began before saves what it has read.
    sessions.save(&record).await.unwrap();
    let loaded = sessions.load(&Id(1)).await.unwrap().unwrap();
    let read = loaded.data[SessionDetails::KEY].clone();
    let read: SessionDetails = serde_json::from_value(read).unwrap();
    let expected = SessionDetails {
        proof: "after".to_owned(),
        ..details
    };
    assert_eq!(read, expected);
    store.delete_tenant(&scope(&tenant), NOW).await.unwrap();
    assert_eq!(
        sessions.load(&Id(1)).await.unwrap(),
        None,
        "with its tenant"
    );
}
