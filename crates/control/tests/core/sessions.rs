//! Which sessions have a permission, and for how long.

use crate::rig::{FROM, PASSWORD, Rig, code};
use control::{Audience, PresentedTicket, TenantSession};
use domain::{Clock, ErrorCode, Secret, TenantName, TenantScope, Timestamp};
use store::{SessionKey, Sessions};
use tower_sessions::{
    SessionStore,
    cookie::time::{Duration, OffsetDateTime},
    session::{Id, Record},
};

const HOUR: i64 = 3_600_000;

/// Returns what the session of that tenant stores.
fn session<'a>(scope: &'a TenantScope, begun: Timestamp, proof: &'a str) -> TenantSession<'a> {
    TenantSession {
        tenant: scope.tenant(),
        name: scope.name(),
        begun,
        proof,
        stays: true,
    }
}

/// Returns the value of a tenant's password, as a session that begins stores it.
async fn proof(rig: &Rig, name: &str) -> String {
    let password = Secret::new(PASSWORD);
    let step = rig.control.auth().sign_in(name, &password, FROM).await;
    let ticket = step.unwrap().done().unwrap();
    let presented = PresentedTicket::Cookie(ticket.ticket.expose());
    let auth = rig.control.auth();
    let redeemed = auth.redeem(Audience::Dashboard, &ticket.name, presented, FROM);
    redeemed.await.unwrap().session.proof
}

/// Stores a dashboard's session in the database.
async fn store_session(rig: &Rig) -> (Sessions, Id) {
    let sessions = Sessions::new(rig.store.clone());
    let mut record = Record {
        id: Id::default(),
        data: Default::default(),
        expiry_date: OffsetDateTime::now_utc() + Duration::days(1),
    };
    sessions.create(&mut record).await.unwrap();
    (sessions, record.id)
}

#[tokio::test]
async fn a_session_is_valid_on_its_own_host() {
    let rig = Rig::new().await;
    let (lina, omar) = (rig.tenant("lina").await, rig.tenant("omar").await);
    let begun = rig.clock.now();
    let proof = proof(&rig, "lina").await;
    let auth = rig.control.auth();
    let own = auth
        .dashboard_session(lina.name(), session(&lina, begun, &proof))
        .await;
    assert_eq!(own.unwrap(), Some(lina.clone()));
    let other_host = auth
        .dashboard_session(omar.name(), session(&lina, begun, &proof))
        .await;
    assert_eq!(other_host.unwrap(), None);
    // Another tenant's id under this host's name.
    let forged = TenantSession {
        tenant: omar.tenant(),
        ..session(&lina, begun, &proof)
    };
    let forged = auth.dashboard_session(lina.name(), forged).await;
    assert_eq!(forged.unwrap(), None);
}

#[tokio::test]
async fn a_session_that_does_not_stay_ends_after_a_day() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let proof = proof(&rig, "lina").await;
    let of_lina = TenantSession {
        stays: false,
        ..session(&lina, rig.clock.now(), &proof)
    };
    let auth = rig.control.auth();
    let granted = async || auth.dashboard_session(lina.name(), of_lina).await.unwrap();
    rig.clock.advance(24 * HOUR - 1);
    assert_eq!(granted().await, Some(lina.clone()));
    rig.clock.advance(1);
    assert_eq!(granted().await, None);
}

#[tokio::test]
async fn the_next_tenant_of_a_name_is_another_one() {
    let rig = Rig::new().await;
    let first = rig.tenant("lina").await;
    let begun = rig.clock.now();
    let proof = proof(&rig, "lina").await;
    rig.control.tenants().delete(&first).await.unwrap();
    let permission = async || {
        let auth = rig.control.auth();
        let session = session(&first, begun, &proof);
        auth.dashboard_session(first.name(), session).await.unwrap()
    };
    assert_eq!(permission().await, None);
    rig.tenant("lina").await;
    assert_eq!(permission().await, None);
}

#[tokio::test]
async fn a_session_inside_adguard_home_ends_with_its_origin() {
    let rig = Rig::new().await;
    let (lina, omar) = (rig.tenant("lina").await, rig.tenant("omar").await);
    let begun = rig.clock.now();
    let (sessions, id) = store_session(&rig).await;
    let proof = proof(&rig, "lina").await;
    let permission = async |host: &TenantName, parent: &Id| {
        let auth = rig.control.auth();
        let session = session(&lina, begun, &proof);
        let parent = SessionKey::of(parent);
        auth.dns_session(host, session, &parent).await.unwrap()
    };
    assert_eq!(permission(lina.name(), &id).await, Some(lina.clone()));
    assert_eq!(permission(omar.name(), &id).await, None);
    assert_eq!(permission(lina.name(), &Id::default()).await, None);
    sessions.delete(&id).await.unwrap();
    assert_eq!(permission(lina.name(), &id).await, None);
}

#[tokio::test]
async fn a_session_ends_at_its_age() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let auth = rig.control.auth();
    let (name, password) = rig.first_operator().await;
    let operator = auth.operator_sign_in(&name, &password, FROM).await.unwrap();
    let operator = operator.done().unwrap();
    let proof = proof(&rig, "lina").await;
    let (_, id) = store_session(&rig).await;
    let parent = SessionKey::of(&id);
    let begun = rig.clock.now();
    let granted = async || {
        let of_lina = session(&lina, begun, &proof);
        let dashboard = auth.dashboard_session(lina.name(), of_lina).await.unwrap();
        let dns = auth.dns_session(lina.name(), of_lina, &parent).await;
        let operator = auth
            .operator_session(&name, &operator.session.proof, begun)
            .await;
        (
            dashboard.is_some(),
            dns.unwrap().is_some(),
            operator.unwrap().is_some(),
        )
    };
    rig.clock.advance(12 * HOUR - 1);
    assert_eq!(granted().await, (true, true, true));
    rig.clock.advance(1);
    assert_eq!(granted().await, (true, true, false), "12 hours");
    rig.clock.advance((30 * 24 - 12) * HOUR - 1);
    assert_eq!(granted().await, (true, true, false));
    rig.clock.advance(1);
    assert_eq!(granted().await, (false, false, false), "30 days");
}

#[tokio::test]
async fn a_session_keeps_its_answer_to_an_outage() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let begun = rig.clock.now();
    let parent = SessionKey::of(&Id::default());
    let proof = proof(&rig, "lina").await;
    rig.store.close().await;
    let auth = rig.control.auth();
    let of_lina = session(&lina, begun, &proof);
    let dashboard = auth.dashboard_session(lina.name(), of_lina).await;
    assert_eq!(code(dashboard), ErrorCode::DatabaseUnavailable);
    let dns = auth.dns_session(lina.name(), of_lina, &parent).await;
    assert_eq!(code(dns), ErrorCode::DatabaseUnavailable);
    let operator = auth.operator_session("admin", "proof", begun).await;
    assert_eq!(code(operator), ErrorCode::DatabaseUnavailable);
}

#[tokio::test]
async fn the_command_line_acts_as_an_operator() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let auth = rig.control.auth();
    let scope = auth.command_line(lina.name()).await.unwrap();
    assert_eq!(scope.tenant(), lina.tenant());
    assert_eq!(scope.actor(), "operator:cli");
    let owner = auth.command_line_operator();
    let tenants = rig.control.tenants();
    tenants.operator_delete(&owner, &scope).await.unwrap();
    let audit = rig.operator_view().await.audit;
    assert_eq!(
        (audit[0].action.as_str(), audit[0].actor.as_str()),
        ("tenant.delete", "operator:cli")
    );
    let gone = auth.command_line(lina.name()).await;
    assert_eq!(code(gone), ErrorCode::NotFound);
    let password = Secret::new(PASSWORD);
    let refused = auth.sign_in("lina", &password, FROM).await;
    assert_eq!(code(refused), ErrorCode::SignInRefused);
}
