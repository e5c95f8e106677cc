//! Several control planes on one PostgreSQL: what is counted and written is counted and
//! written once, what is limited is limited for all together, and where one ends another
//! goes on.

// A failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod credentials;
mod failover;
#[path = "../../../store/tests/contract/pair.rs"]
mod pair;
#[path = "../../../store/tests/contract/postgres.rs"]
mod postgres;
mod rig;
#[path = "../rig/settings.rs"]
mod settings;

use control::{Audience, PresentedTicket, SignUp, StoreSpecs};
use domain::{Clock, ErrorCode, OwnerScope, Secret, SystemClock, TenantName, Timestamp, Topic};
use futures_util::StreamExt;
use protocol::{DriftKind, EventKind, SpecFeed};
use rig::{Rig, WrongClock, until};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};
use store::{LOCAL_NODE, StoreError};

const NODE: &str = "node/1";
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const PASSWORD: &str = "correct horse battery staple";

fn form(name: &str) -> SignUp {
    SignUp {
        name: name.to_owned(),
        password: Secret::new(PASSWORD),
        plan: "personal".to_owned(),
        invitation: None,
        mail: String::new(),
    }
}

fn rules_gone() -> EventKind {
    EventKind::Drift {
        tenant: None,
        drift: DriftKind::RulesGone,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_is_counted_once_with_two_control_planes() {
    let rig = Rig::new().await;
    let (scope, devices) = rig.tenant("lina", 3).await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    // Pages are open at both: both read every 2 s.
    let streams = [&a, &b].map(|c| c.control.watch().changes(&scope, Topic::Overview));
    let watching = tokio::spawn(async move {
        let all = futures_util::stream::select_all(streams);
        all.for_each(async |()| {}).await;
    });
    let mut bytes = 0;
    let mut removed = 0;
    for n in 1..=240_u64 {
        bytes = n * 1_000;
        rig.show(&devices, bytes, n * 1_000_000);
        tokio::time::sleep(Duration::from_millis(100)).await;
        if n == 120 {
            // The control plane that does not count the node counts before a removal.
            let holder = rig.holder(NODE).await.unwrap();
            let other = if holder == "a" { &b } else { &a };
            let removing = other.control.devices().delete(&scope, devices[2].id);
            let refused = removing.await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::NotYetInForce, "a fake node");
            removed = bytes + bytes / 2;
        }
    }
    let totals = async || {
        let devices = rig.store.devices(&scope).await.unwrap();
        let totals = devices.iter().map(|d| (d.rx_total, d.tx_total));
        totals.collect::<Vec<_>>()
    };
    until(async || totals().await.iter().all(|(rx, _)| *rx >= bytes)).await;
    // Nothing is added that has been counted.
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(totals().await, [(bytes, bytes / 2); 2]);
    let quotas = rig.store.quotas(LOCAL_NODE, SystemClock.now()).await;
    let used = quotas.unwrap()[0].used_bytes;
    assert_eq!(used, 2 * (bytes + bytes / 2) + removed);
    // Every page shows the same total, whichever control plane stored it.
    for plane in [&a, &b] {
        let shown = plane.control.devices().get(&scope, devices[0].id).await;
        let shown = shown.unwrap();
        assert_eq!((shown.up_bytes, shown.down_bytes), (bytes, bytes / 2));
    }
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_one_goes_on_where_one_has_died() {
    let rig = Rig::new().await;
    let (scope, devices) = rig.tenant("lina", 1).await;
    let a = rig.control_plane("a").await;
    rig.held_by(NODE, "a").await;
    let b = rig.control_plane("b").await;
    rig.node.report(rules_gone());
    until(async || rig.events("drift.rules_gone").await > 0).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(
        rig.events("drift.rules_gone").await,
        1,
        "one has written it"
    );
    assert_eq!(rig.holder("jobs").await.as_deref(), Some("a"));

    a.kill();
    // What happens now only the other one can write, once it knows that it has to.
    rig.node.report(EventKind::Drift {
        tenant: None,
        drift: DriftKind::InterfaceDown,
    });
    rig.show(&devices, 5_000, 1);
    let took = rig.held_by(NODE, "b").await;
    assert!(took > Duration::from_secs(5), "{took:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert_eq!(rig.holder("jobs").await.as_deref(), Some("b"));
    until(async || rig.events("drift.interface_down").await == 1).await;
    let counted = async || rig.store.devices(&scope).await.unwrap()[0].rx_total;
    until(async || counted().await == 5_000).await;
    // Moves too. There is no other node, which is found out by the one that carries it out.
    let operator = OwnerScope::issue("admin");
    let nodes = b.control.nodes();
    let begun = nodes.move_tenant(&operator, &scope, None, true).await;
    begun.unwrap();
    let problem = async || {
        let open = rig.store.move_of(scope.tenant()).await.unwrap();
        open.and_then(|open| open.problem)
    };
    until(async || problem().await.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_ends_in_order_hands_its_work_over() {
    let rig = Rig::new().await;
    let a = rig.control_plane("a").await;
    rig.held_by(NODE, "a").await;
    let b = rig.control_plane("b").await;
    let names = |plane: &rig::ControlPlane| -> Vec<String> {
        let all = plane.control.nodes().control_planes();
        all.into_iter().map(|c| c.id).collect()
    };
    until(async || names(&a) == ["a", "b"] && names(&b) == ["a", "b"]).await;
    let other = b.control.nodes().control_planes().remove(0);
    assert_eq!(other.address.as_deref(), Some("https://a.example:8443"));

    rig.node.report(rules_gone());
    until(async || rig.events("drift.rules_gone").await == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    a.kill();
    a.control.nodes().leave().await;
    let took = rig.held_by(NODE, "b").await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    until(async || names(&b) == ["b"]).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(rig.events("drift.rules_gone").await, 1, "not written again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_are_counted_together() {
    let rig = Rig::new().await;
    rig.tenant("lina", 0).await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    let wrong = Secret::new("wrong");
    let mut codes = Vec::new();
    for plane in [&a, &b, &a, &b, &a, &b, &a] {
        let operator = plane.control.auth().operator_sign_in("admin", &wrong, FROM);
        codes.push(operator.await.unwrap_err().code);
    }
    let (refused, many) = (ErrorCode::SignInRefused, ErrorCode::TooManyTries);
    assert_eq!(
        codes,
        [refused, refused, refused, refused, refused, many, many]
    );
    let audit = rig.store.audit_recent(100).await.unwrap();
    let logged = audit.iter().filter(|e| e.action == "session.limited");
    assert_eq!(logged.count(), 1, "the lock-out is in the log once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ups_are_counted_together() {
    let rig = Rig::new().await;
    let clock = || Arc::new(SystemClock);
    let a = rig.control_plane_with("a", clock(), 2).await;
    let b = rig.control_plane_with("b", clock(), 2).await;
    let sign_up = async |plane: &rig::ControlPlane, name: &str| {
        let signed_up = plane.control.tenants().sign_up(form(name), FROM).await;
        signed_up.map(drop).map_err(|f| f.code)
    };
    assert_eq!(sign_up(&a, "lina-1").await, Ok(()));
    // A name that is taken is free of charge.
    assert_eq!(sign_up(&b, "lina-1").await, Err(ErrorCode::NameTaken));
    assert_eq!(sign_up(&b, "lina-2").await, Ok(()));
    assert_eq!(sign_up(&a, "lina-3").await, Err(ErrorCode::TooManyTries));
    assert_eq!(sign_up(&b, "lina-3").await, Err(ErrorCode::TooManyTries));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_an_hour_apart_change_nothing() {
    const HOUR: i64 = 3_600_000;
    let rig = Rig::new().await;
    let late = Arc::new(WrongClock(-HOUR));
    let early = Arc::new(WrongClock(HOUR));
    let a = rig.control_plane_with("a", late, 0).await;
    let b = rig.control_plane_with("b", early, 0).await;
    until(async || a.control.nodes().control_planes().len() == 2).await;
    until(async || b.control.nodes().control_planes().len() == 2).await;
    let name = TenantName::parse("lina").unwrap();
    let ticket = a.control.tenants().sign_up(form("lina"), FROM).await;
    let ticket = ticket.unwrap().ticket;
    let redeemed = b.control.auth().redeem(
        Audience::Dashboard,
        &name,
        PresentedTicket::Cookie(ticket.expose()),
        FROM,
    );
    redeemed.await.unwrap();
    let record = rig.store.tenant_by_name(&name).await.unwrap().unwrap();
    let age = SystemClock.now().0 - record.created_at.0;
    assert!(age.abs() < 60_000, "{age}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_first_links_one_makes_the_operator() {
    let rig = Rig::new().await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    let (first, second) = tokio::join!(
        a.control.operators().first_link(),
        b.control.operators().first_link()
    );
    // Each shows a link that works, until one is used.
    let links = [first.unwrap().unwrap(), second.unwrap().unwrap()];
    let password = Secret::new(PASSWORD);
    let accept = |plane: &control::Control, link: usize, name: &'static str| {
        let (plane, token) = (plane.clone(), links[link].token.clone());
        let password = password.clone();
        async move {
            let operators = plane.operators();
            operators.accept(&token, name, &password, FROM).await
        }
    };
    let (ada, ben) = tokio::join!(accept(&a.control, 0, "ada"), accept(&b.control, 1, "ben"));
    let made: Vec<_> = [ada, ben].into_iter().flatten().collect();
    assert_eq!(
        made.len(),
        1,
        "the other link is for the first operator too"
    );
    let entered = b.control.auth().operator_sign_in(&made[0], &password, FROM);
    entered.await.unwrap();
}

/// A change that no node has to know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_learn_of_a_change_at_another_control_plane() {
    let rig = Rig::new().await;
    let (scope, devices) = rig.tenant("lina", 1).await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    for (topic, within) in [
        (Topic::Overview, 5),
        (Topic::Device(devices[0].id), 5),
        (Topic::Progress, 15),
    ] {
        let mut page = a.control.watch().changes(&scope, topic);
        assert_eq!(page.next().await, Some(()), "{topic} yields at once");
        b.control
            .tenants()
            .set_suspended(&OwnerScope::issue("admin"), &scope, true)
            .await
            .unwrap();
        let next = tokio::time::timeout(Duration::from_secs(within), page.next());
        assert_eq!(next.await.ok().flatten(), Some(()), "{topic}");
    }
}

/// The one that found the restore out may be away when the node asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_is_told_by_every_control_plane() -> Result<(), StoreError> {
    let rig = Rig::new().await;
    rig.tenant("lina", 1).await;
    let specs = || StoreSpecs::new(rig.store.clone(), LOCAL_NODE, Arc::new(SystemClock));
    let (a, b) = (specs(), specs());
    let generation = rig.store.generation(LOCAL_NODE).await?;
    assert!(!b.load(generation).await.unwrap().restored);
    let answer = a.load(generation + 50).await.unwrap();
    assert!(answer.restored && answer.spec.generation == generation + 51);
    // The answer was lost.
    assert!(b.load(generation + 50).await.unwrap().restored);
    assert!(!b.load(generation + 51).await.unwrap().restored);
    assert!(
        !b.load(0).await.unwrap().restored,
        "it has nothing in force"
    );
    let audit = rig.store.audit_recent(10).await?;
    let raised = audit.iter().filter(|a| a.action == "node.restored");
    assert_eq!(raised.count(), 1);
    assert!(audit.iter().all(|a| a.at > Timestamp(0)));
    Ok(())
}
