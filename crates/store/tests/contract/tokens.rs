//! Tickets, sessions, the audit log, health.

use crate::bed::{Bed, NOW, scope, sign_up};
use domain::Secret;
use futures_util::future::join_all;
use std::{collections::HashMap, time::Duration};
use store::{
    AuditEntry, NewTicket, SessionKey, Sessions, Store, StoreError, TakenTicket, TicketHolder,
    TokenHash,
};
use time::OffsetDateTime;
use tower_sessions::{
    ExpiredDeletion, SessionStore,
    session::{Id, Record},
};

fn token(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

/// Issues a ticket that is good for `millis`.
async fn issue(
    store: &Store,
    token: &TokenHash,
    holder: TicketHolder,
    audience: &str,
    millis: i64,
) {
    let new = NewTicket {
        token,
        holder,
        audience,
        parent: None,
        now: NOW,
        expires: NOW.plus_millis(millis),
        entry: None,
    };
    store.create_ticket(new).await.unwrap();
}

fn taken(holder: TicketHolder) -> Option<TakenTicket> {
    Some(TakenTicket {
        holder,
        parent: None,
    })
}

pub async fn a_ticket_works_once_in_time_and_for_its_host(bed: &Bed) {
    let store = bed.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    let (t, until) = (token("one"), NOW.plus_millis(60_000));
    issue(&store, &t, holder, "abcd.localhost", 60_000).await;
    let redeem =
        async |t: &TokenHash, host: &str, at| store.redeem_ticket(t, host, at).await.unwrap();
    assert_eq!(redeem(&token("two"), "abcd.localhost", NOW).await, None);
    assert_eq!(redeem(&t, "efgh.localhost", NOW).await, None);
    assert_eq!(redeem(&t, "abcd.localhost", until).await, None, "too late");
    assert_eq!(redeem(&t, "abcd.localhost", NOW).await, taken(holder));
    assert_eq!(redeem(&t, "abcd.localhost", NOW).await, None, "used");

    let ada = store
        .create_operator("ada", &Secret::new("h"), NOW)
        .await
        .unwrap();
    let holder = TicketHolder::Operator(ada.id);
    issue(&store, &t, holder, "admin.localhost", 60_000).await;
    assert_eq!(redeem(&t, "admin.localhost", NOW).await, taken(holder));
}

pub async fn a_ticket_redeemed_by_many_at_once_works_for_one(bed: &Bed) {
    let store = bed.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    for round in 0..5 {
        let t = token(&round.to_string());
        issue(&store, &t, holder, "h", 1).await;
        let tries = (0..16).map(|_| {
            let (store, t) = (store.clone(), t.clone());
            tokio::spawn(async move { store.redeem_ticket(&t, "h", NOW).await.unwrap() })
        });
        let won = join_all(tries)
            .await
            .into_iter()
            .filter_map(Result::unwrap)
            .count();
        assert_eq!(won, 1);
    }
}

pub async fn tickets_end_with_their_tenant_and_when_they_expire(bed: &Bed) {
    let store = bed.store().await;
    let t = sign_up(&store, "abcd").await;
    let holder = TicketHolder::Tenant(t.id);
    for (text, ms) in [("old", 10), ("new", 20)] {
        issue(&store, &token(text), holder, "h", ms).await;
    }
    assert_eq!(store.prune_tickets(NOW.plus_millis(10)).await.unwrap(), 1);
    store.delete_tenant(&scope(&t), NOW).await.unwrap();
    assert_eq!(
        store.redeem_ticket(&token("new"), "h", NOW).await.unwrap(),
        None
    );
}

pub async fn a_ticket_tells_the_session_it_came_from(bed: &Bed) {
    let store = bed.store().await;
    let (token, parent) = (token("one"), SessionKey::of(&Id(7)));
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    let new = NewTicket {
        token: &token,
        holder,
        audience: "dns",
        parent: Some(&parent),
        now: NOW,
        expires: NOW.plus_millis(1),
        entry: None,
    };
    store.create_ticket(new).await.unwrap();
    let taken = store.redeem_ticket(&token, "dns", NOW).await.unwrap();
    assert_eq!(taken.and_then(|t| t.parent), Some(parent));
}

pub async fn a_ticket_is_written_down_with_it_and_not_without(bed: &Bed) {
    let store = bed.store().await;
    let t = sign_up(&store, "abcd").await;
    let entry = |actor: &str| AuditEntry {
        at: NOW,
        actor: actor.to_owned(),
        action: "session.begin".to_owned(),
        object: "abcd".to_owned(),
        detail: String::new(),
        tenant: Some(t.id),
    };
    let (here, late) = (token("here"), token("late"));
    let new = |token, actor| NewTicket {
        token,
        holder: TicketHolder::Tenant(t.id),
        audience: "h",
        parent: None,
        now: NOW,
        expires: NOW.plus_millis(1),
        entry: Some(entry(actor)),
    };
    store.create_ticket(new(&here, "here")).await.unwrap();
    store.delete_tenant(&scope(&t), NOW).await.unwrap();
    // Whoever was deleted between a right password and the ticket.
    let refused = store.create_ticket(new(&late, "late")).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    let written = store.audit_recent(10).await.unwrap().into_iter();
    let begun = written.filter(|r| r.action == "session.begin");
    assert_eq!(begun.map(|r| r.actor).collect::<Vec<_>>(), ["here"]);
}

pub async fn of_many_tickets_the_newest_ten_are_good(bed: &Bed) {
    let store = bed.store().await;
    let [abcd, efgh] = [sign_up(&store, "abcd").await, sign_up(&store, "efgh").await];
    let (holder, other) = (TicketHolder::Tenant(abcd.id), TicketHolder::Tenant(efgh.id));
    issue(&store, &token("another's"), other, "h", 1_000).await;
    for n in 0..30 {
        issue(&store, &token(&n.to_string()), holder, "h", 1_000 + n).await;
    }
    let mut good = Vec::new();
    for n in 0..30 {
        let token = token(&n.to_string());
        if store
            .redeem_ticket(&token, "h", NOW)
            .await
            .unwrap()
            .is_some()
        {
            good.push(n);
        }
    }
    assert_eq!(good, (20..30).collect::<Vec<_>>());
    let kept = store.redeem_ticket(&token("another's"), "h", NOW).await;
    assert!(kept.unwrap().is_some(), "another tenant's is not counted");
}

pub async fn sessions_keep_tower_sessions_contract(bed: &Bed) {
    let sessions = Sessions::new(bed.store().await);
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
    assert_ne!(second.id, Id(7), "an id that is taken is not overwritten");
    assert_eq!(sessions.load(&Id(7)).await.unwrap().as_ref(), Some(&record));
    record.data.insert("more".to_owned(), 1.into());
    sessions.save(&record).await.unwrap();
    assert_eq!(sessions.load(&Id(7)).await.unwrap().as_ref(), Some(&record));
    assert!(sessions.is_kept(&SessionKey::of(&Id(7))).await.unwrap());
    sessions.delete(&Id(7)).await.unwrap();
    assert_eq!(sessions.load(&Id(7)).await.unwrap(), None);
    assert!(!sessions.is_kept(&SessionKey::of(&Id(7))).await.unwrap());
    sessions.save(&record).await.unwrap();
    assert_eq!(
        sessions.load(&Id(7)).await.unwrap(),
        None,
        "a session that was ended is not saved back to life"
    );
    assert_eq!(
        sessions.load(&second.id).await.unwrap().as_ref(),
        Some(&second)
    );

    let mut late = Record {
        id: Id(-1),
        data: HashMap::new(),
        expiry_date: now - Duration::from_secs(1),
    };
    sessions.create(&mut late).await.unwrap();
    assert_eq!(sessions.load(&late.id).await.unwrap(), None, "expired");
    assert_eq!(sessions.prune().await.unwrap(), 1);
    sessions.delete_expired().await.unwrap();
    assert!(sessions.load(&second.id).await.unwrap().is_some());
}

pub async fn the_audit_log_is_newest_first_and_outlives_the_tenant(bed: &Bed) {
    let store = bed.store().await;
    let t = sign_up(&store, "abcd").await;
    let entry = AuditEntry {
        at: NOW.plus_millis(5),
        actor: "operator:ada".to_owned(),
        action: "session.refused".to_owned(),
        object: "abcd".to_owned(),
        detail: "x".to_owned(),
        tenant: Some(t.id),
    };
    store.audit(entry).await.unwrap();
    store.delete_tenant(&scope(&t), NOW).await.unwrap();
    let log = store.audit_recent(2).await.unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!(
        (log[0].action.as_str(), log[0].actor.as_str()),
        ("tenant.delete", "abcd")
    );
    assert_eq!(
        (log[1].action.as_str(), log[1].at),
        ("session.refused", NOW.plus_millis(5))
    );
    assert_eq!(store.prune_audit(NOW.plus_millis(5)).await.unwrap(), 2);
    let left = store.audit_recent(9).await.unwrap();
    assert_eq!(left.len(), 1, "what is younger stays: {left:?}");
}

pub async fn the_database_says_that_it_is_well(bed: &Bed) {
    let store = bed.store().await;
    store.health().await.unwrap();
    assert_eq!(store.kind() == "SQLite", bed.is_sqlite());
    sign_up(&store, "abcd").await;
    let rows = store.counts().await.unwrap();
    assert_eq!((rows.tenants, rows.devices, rows.audit), (1, 0, 1));
    assert_eq!((rows.sessions, rows.tickets), (0, 0));
    store.close().await;
    let e = store.health().await.unwrap_err();
    assert_eq!(e.failure().code, domain::ErrorCode::DatabaseUnavailable);
}
