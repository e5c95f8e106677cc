//! One-time tickets.

use crate::test_database::{NOW, TestDatabase, operator, scope, sign_up};
use domain::{OperatorRole, Secret};
use futures_util::future::join_all;
use store::{
    AuditEntry, NewTicket, RedeemedTicket, SessionKey, Store, StoreError, TicketHolder, TokenHash,
};
use tower_sessions::session::Id;

fn token(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

/// Issues a ticket that is valid for `millis`.
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
        proof: "proof",
        stays: false,
        now: NOW,
        expires: NOW.plus_millis(millis),
        entry: None,
    };
    store.create_ticket(new).await.unwrap();
}

fn redeemed(holder: TicketHolder) -> Option<RedeemedTicket> {
    Some(RedeemedTicket {
        holder,
        parent: None,
        proof: "proof".to_owned(),
        stays: false,
    })
}

pub async fn a_ticket_is_redeemed_once_by_its_audience(db: &TestDatabase) {
    let store = db.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    let (t, until) = (token("one"), NOW.plus_millis(60_000));
    issue(&store, &t, holder, "abcd.localhost", 60_000).await;
    let redeem =
        async |t: &TokenHash, host: &str, at| store.redeem_ticket(t, host, at).await.unwrap();
    assert_eq!(redeem(&token("two"), "abcd.localhost", NOW).await, None);
    assert_eq!(redeem(&t, "efgh.localhost", NOW).await, None);
    assert_eq!(redeem(&t, "abcd.localhost", until).await, None, "too late");
    assert_eq!(redeem(&t, "abcd.localhost", NOW).await, redeemed(holder));
    assert_eq!(redeem(&t, "abcd.localhost", NOW).await, None, "used");

    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let holder = TicketHolder::Operator(ada.id);
    issue(&store, &t, holder, "admin.localhost", 60_000).await;
    assert_eq!(redeem(&t, "admin.localhost", NOW).await, redeemed(holder));
}

pub async fn a_ticket_is_redeemed_by_one_concurrent_caller(db: &TestDatabase) {
    let store = db.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    for round in 0..5 {
        let t = token(&round.to_string());
        issue(&store, &t, holder, "h", 1).await;
        let attempts = (0..16).map(|_| {
            let (store, t) = (store.clone(), t.clone());
            tokio::spawn(async move { store.redeem_ticket(&t, "h", NOW).await.unwrap() })
        });
        let redeemed = join_all(attempts)
            .await
            .into_iter()
            .filter_map(Result::unwrap)
            .count();
        assert_eq!(redeemed, 1);
    }
}

pub async fn tickets_end_with_their_tenant_or_expiry(db: &TestDatabase) {
    let store = db.store().await;
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

pub async fn a_ticket_returns_its_parent_session(db: &TestDatabase) {
    let store = db.store().await;
    let (token, parent) = (token("one"), SessionKey::of(&Id(7)));
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    let new = NewTicket {
        token: &token,
        holder,
        audience: "dns",
        parent: Some(&parent),
        proof: "proof",
        stays: false,
        now: NOW,
        expires: NOW.plus_millis(1),
        entry: None,
    };
    store.create_ticket(new).await.unwrap();
    let redeemed = store.redeem_ticket(&token, "dns", NOW).await.unwrap();
    assert_eq!(redeemed.and_then(|t| t.parent), Some(parent));
}

pub async fn a_refused_ticket_writes_no_audit_entry(db: &TestDatabase) {
    let store = db.store().await;
    let t = sign_up(&store, "abcd").await;
    let entry = |actor: &str| AuditEntry {
        at: NOW,
        actor: actor.to_owned(),
        action: "session.begin".to_owned(),
        object: "abcd".to_owned(),
        detail: String::new(),
        tenant: Some(t.id),
        ..AuditEntry::default()
    };
    let (existing, late) = (token("existing"), token("late"));
    let new = |token, actor| NewTicket {
        token,
        holder: TicketHolder::Tenant(t.id),
        audience: "h",
        parent: None,
        proof: "proof",
        stays: false,
        now: NOW,
        expires: NOW.plus_millis(1),
        entry: Some(entry(actor)),
    };
    store
        .create_ticket(new(&existing, "existing"))
        .await
        .unwrap();
    store.delete_tenant(&scope(&t), NOW).await.unwrap();
    // A tenant that was deleted between the password check and the ticket.
    let refused = store.create_ticket(new(&late, "late")).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    let entries = store.audit_recent(10).await.unwrap().into_iter();
    let begun = entries.filter(|r| r.action == "session.begin");
    assert_eq!(begun.map(|r| r.actor).collect::<Vec<_>>(), ["existing"]);
}

pub async fn the_newest_ten_tickets_stay_valid(db: &TestDatabase) {
    let store = db.store().await;
    let [abcd, efgh] = [sign_up(&store, "abcd").await, sign_up(&store, "efgh").await];
    let (holder, other) = (TicketHolder::Tenant(abcd.id), TicketHolder::Tenant(efgh.id));
    issue(&store, &token("another's"), other, "h", 1_000).await;
    for n in 0..30 {
        issue(&store, &token(&n.to_string()), holder, "h", 1_000 + n).await;
    }
    let mut valid = Vec::new();
    for n in 0..30 {
        let token = token(&n.to_string());
        if store
            .redeem_ticket(&token, "h", NOW)
            .await
            .unwrap()
            .is_some()
        {
            valid.push(n);
        }
    }
    assert_eq!(valid, (20..30).collect::<Vec<_>>());
    let another = store.redeem_ticket(&token("another's"), "h", NOW).await;
    assert!(
        another.unwrap().is_some(),
        "another tenant's is not counted"
    );
}
