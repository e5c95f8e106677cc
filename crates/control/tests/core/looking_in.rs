//! Operators who look in as a tenant: what it lets them do, until when, and what the audit log
//! says of it.

use crate::{
    account::with_totp,
    rig::{FROM, PASSWORD, Rig, code, device},
};
use control::{AccountScope, LookingIn, PresentedTicket, SignInTicket, browser_hash};
use domain::{
    Clock, ErrorCode, OperatorAdmission, OperatorPermission, OperatorRole, OwnerScope, Secret,
    TenantHolderScope, TenantPermission,
};
use std::collections::HashMap;
use store::{SessionDetails, SessionKey, Sessions};
use tower_sessions::{
    SessionStore,
    cookie::time::{Duration, OffsetDateTime},
    session::{Id, Record},
};

const MINUTE: i64 = 60_000;

/// An operator of a role in a browser's session.
struct Operator {
    permission: OperatorPermission,
    account: AccountScope,
    session: Id,
}

async fn operator(rig: &Rig, role: OperatorRole) -> Operator {
    let control = &rig.control;
    let (name, password) = rig.first_operator().await;
    let auth = control.auth();
    let signed_in = auth.operator_sign_in(&name, &password, FROM).await.unwrap();
    let signed_in = signed_in.done().unwrap();
    let value = serde_json::to_value(&signed_in.session).unwrap();
    let mut record = Record {
        id: Id::default(),
        data: HashMap::from([(SessionDetails::KEY.to_owned(), value)]),
        expiry_date: OffsetDateTime::now_utc() + Duration::days(1),
    };
    let sessions = Sessions::new(rig.store.clone());
    sessions.create(&mut record).await.unwrap();
    if let OperatorAdmission::FactorNeeded(owner) = &signed_in.admission {
        let own = auth.owner_enrolment(owner, SessionKey::of(&record.id));
        with_totp(rig, &own).await;
    }
    let admission = OperatorAdmission::issue(role, name, true).with_origin("192.0.2.7");
    let permission = admission.permission().unwrap().clone();
    Operator {
        account: auth.operator_account(&permission, SessionKey::of(&record.id)),
        permission,
        session: record.id,
    }
}

/// Follows the ticket to the tenant's host, as a browser does.
async fn arrive(rig: &Rig, ticket: &SignInTicket) -> SessionDetails {
    let auth = rig.control.auth();
    let nonce = auth.browser_nonce().unwrap();
    let text = ticket.ticket.expose();
    auth.bind_ticket(text, &browser_hash(nonce.expose()))
        .await
        .unwrap();
    let other = PresentedTicket::Address {
        ticket: text,
        nonce: "another-browser",
    };
    let stolen = auth.arrive_to_look(&ticket.name, other, FROM).await;
    assert_eq!(code(stolen), ErrorCode::TicketInvalid);
    let presented = PresentedTicket::Address {
        ticket: text,
        nonce: nonce.expose(),
    };
    let arrived = auth.arrive_to_look(&ticket.name, presented, FROM).await;
    arrived.unwrap()
}

async fn now(
    rig: &Rig,
    lina: &TenantHolderScope,
    session: &SessionDetails,
) -> Option<(TenantPermission, LookingIn)> {
    let auth = rig.control.auth();
    auth.look_session(lina.name(), session).await.unwrap()
}

/// Returns what the log says of looks, the newest first.
async fn logged(rig: &Rig) -> Vec<(String, String, String)> {
    let rows = rig.store.audit_recent(100).await.unwrap().into_iter();
    let looks = rows.filter(|r| r.action.starts_with("look."));
    looks.map(|r| (r.action, r.actor, r.detail)).collect()
}

#[tokio::test]
async fn a_look_reads_and_changes_for_a_while_what_it_was_allowed() {
    let rig = Rig::new().await;
    let (control, auth) = (&rig.control, rig.control.auth());
    let lina = rig.tenant("lina").await;
    let omar = rig.tenant("omar").await;
    let ada = operator(&rig, OperatorRole::Owner).await;
    let ticket = auth
        .look_in(&ada.permission, &ada.account, lina.tenant())
        .await
        .unwrap();
    let session = arrive(&rig, &ticket).await;
    let (permission, look) = now(&rig, &lina, &session).await.unwrap();
    assert_eq!(code(permission.change().cloned()), ErrorCode::NotPermitted);
    assert_eq!(permission.actor(), "operator:admin");
    assert_eq!(
        (look.operator.as_str(), look.changes_until),
        ("admin", None)
    );
    assert!(control.tenants().network(&permission).await.is_ok());
    assert!(
        now(&rig, &omar, &session).await.is_none(),
        "another tenant's host"
    );

    let presence = control.account().presence(&ada.account).await.unwrap();
    let support = ada.permission.support().unwrap();
    auth.allow_changes(support, &ada.account, presence, lina.tenant())
        .await
        .unwrap();
    let (permission, look) = now(&rig, &lina, &session).await.unwrap();
    let change = permission.change().unwrap();
    control
        .devices()
        .add(change, device("Phone"))
        .await
        .unwrap();
    assert_eq!(code(permission.holder().cloned()), ErrorCode::NotPermitted);
    rig.clock.advance(15 * MINUTE);
    let (permission, _) = now(&rig, &lina, &session).await.unwrap();
    assert_eq!(code(permission.change().cloned()), ErrorCode::NotPermitted);

    auth.leave(&look).await.unwrap();
    assert!(now(&rig, &lina, &session).await.is_none());
    let of = |action: &str, detail: &str| {
        let actor = "operator:admin".to_owned();
        (action.to_owned(), actor, detail.to_owned())
    };
    assert_eq!(
        logged(&rig).await,
        [
            of("look.end", "device.add 1"),
            of("look.change", ""),
            of("look.begin", "")
        ]
    );
}

#[tokio::test]
async fn a_look_ends_with_its_time_its_operator_and_its_session() {
    let rig = Rig::new().await;
    let auth = rig.control.auth();
    let lina = rig.tenant("lina").await;
    let ada = operator(&rig, OperatorRole::Owner).await;
    let begin = async || {
        let ticket = auth.look_in(&ada.permission, &ada.account, lina.tenant());
        arrive(&rig, &ticket.await.unwrap()).await
    };
    let session = begin().await;
    rig.clock.advance(60 * MINUTE - 1);
    assert!(now(&rig, &lina, &session).await.is_some());
    rig.clock.advance(1);
    assert!(now(&rig, &lina, &session).await.is_none());
    let end = async || rig.store.end_looks_that_are_over(rig.clock.now()).await;
    end().await.unwrap();

    let session = begin().await;
    let sessions = Sessions::new(rig.store.clone());
    sessions.delete(&ada.session).await.unwrap();
    assert!(now(&rig, &lina, &session).await.is_none(), "signed out");
    end().await.unwrap();
    assert_eq!(end().await.unwrap(), 0, "each is ended once");
    let ends = logged(&rig).await;
    assert_eq!(ends.iter().filter(|l| l.0 == "look.end").count(), 2);
}

/// Makes a second owner, who may lower and remove the first.
async fn second_owner(rig: &Rig) -> OwnerScope {
    let operators = rig.control.operators();
    let owner = OwnerScope::issue("admin");
    let link = operators.invite(&owner, "olga", OperatorRole::Owner);
    let (token, password) = (link.await.unwrap().token, Secret::new(PASSWORD));
    operators.accept(&token, "", &password, FROM).await.unwrap();
    OwnerScope::issue("olga")
}

#[tokio::test]
async fn a_lowered_operators_look_changes_nothing_with_the_next_request() {
    let rig = Rig::new().await;
    let auth = rig.control.auth();
    let lina = rig.tenant("lina").await;
    let ada = operator(&rig, OperatorRole::Owner).await;
    let olga = second_owner(&rig).await;
    let ticket = auth.look_in(&ada.permission, &ada.account, lina.tenant());
    let session = arrive(&rig, &ticket.await.unwrap()).await;
    let account = rig.control.account();
    let presence = account.presence(&ada.account).await.unwrap();
    let support = ada.permission.support().unwrap();
    auth.allow_changes(support, &ada.account, presence, lina.tenant())
        .await
        .unwrap();
    let (permission, _) = now(&rig, &lina, &session).await.unwrap();
    assert!(permission.change().is_ok());
    let operators = rig.control.operators();
    let role = OperatorRole::ReadOnly;
    operators.set_role(&olga, "admin", role).await.unwrap();
    // No time passes, and no job runs: the next request reads the role.
    let (permission, look) = now(&rig, &lina, &session).await.unwrap();
    assert_eq!(code(permission.change().cloned()), ErrorCode::NotPermitted);
    assert!(!look.may_allow_changes);
}

#[tokio::test]
async fn a_removed_operators_look_ends_with_the_next_request() {
    let rig = Rig::new().await;
    let auth = rig.control.auth();
    let lina = rig.tenant("lina").await;
    let ada = operator(&rig, OperatorRole::Owner).await;
    let olga = second_owner(&rig).await;
    let ticket = auth.look_in(&ada.permission, &ada.account, lina.tenant());
    let session = arrive(&rig, &ticket.await.unwrap()).await;
    assert!(now(&rig, &lina, &session).await.is_some());
    rig.control
        .operators()
        .remove(&olga, "admin")
        .await
        .unwrap();
    assert!(now(&rig, &lina, &session).await.is_none());
    let now = rig.clock.now();
    assert_eq!(rig.store.end_looks_that_are_over(now).await.unwrap(), 1);
    let log = logged(&rig).await;
    assert_eq!(
        (log[0].0.as_str(), log[0].1.as_str()),
        ("look.end", "operator:admin")
    );
}

#[tokio::test]
async fn a_tenant_deleted_while_looked_at_ends_the_look_in_the_log() {
    let rig = Rig::new().await;
    let auth = rig.control.auth();
    let lina = rig.tenant("lina").await;
    let ada = operator(&rig, OperatorRole::Owner).await;
    let ticket = auth.look_in(&ada.permission, &ada.account, lina.tenant());
    let session = arrive(&rig, &ticket.await.unwrap()).await;
    let owner = ada.permission.owner().unwrap();
    let scope = auth.operator_tenant(owner, lina.tenant()).await.unwrap();
    let tenants = rig.control.tenants();
    tenants.operator_delete(owner, &scope).await.unwrap();
    assert!(now(&rig, &lina, &session).await.is_none());
    let log = logged(&rig).await;
    assert_eq!(
        (log[0].0.as_str(), log[0].1.as_str()),
        ("look.end", "operator:admin")
    );
}
