//! What works while both ends run.

use super::control_plane::{Database, Link, NODE, Plane, spec, until};
use domain::{Clock, ErrorCode, Problem, Slot, SystemClock, TenantName, TenantStatus};
use futures_util::StreamExt;
use protocol::{EventKind, Location, NodeState, Reported, SpecFeed, TenantState};
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn at(n: u16) -> Location {
    Location {
        node: NODE,
        slot: slot(n),
    }
}

#[tokio::test]
async fn a_change_reaches_the_engine_and_leaves_other_tenants() {
    let database = Database::new(spec(1, 3));
    let plane = Plane::start(&database).await;
    let link = Link::start(database.identity(SystemClock.now()), &[plane.url()]);
    let before = link.until(1).await;
    until("a nudge", async || link.nodes.nudges() > 0).await;
    let (nudges, began) = (link.nodes.nudges(), std::time::Instant::now());
    plane.change(|spec| {
        let tenant = spec.tenants.get_mut(&slot(2)).unwrap();
        Arc::make_mut(tenant).suspended = true;
        spec.tenants.remove(&slot(3));
    });
    let after = link.until(2).await;
    assert!(began.elapsed().as_secs() < 3, "the nudge ends the wait");
    assert_eq!(after, *database.spec.lock().unwrap());
    assert!(Arc::ptr_eq(
        &before.tenants[&slot(1)],
        &after.tenants[&slot(1)]
    ));
    until("another nudge", async || link.nodes.nudges() > nudges).await;
}

#[tokio::test]
async fn the_control_plane_sees_the_node() {
    let database = Database::new(spec(1, 3));
    let plane = Plane::start(&database).await;
    let link = Link::start(database.identity(SystemClock.now()), &[plane.url()]);
    link.until(1).await;
    let hub = plane.hub.nodes();
    let mut events = hub.events();
    let name = database.spec.lock().unwrap().tenants[&slot(1)].name.clone();
    link.nodes.answers().holders = Some(BTreeMap::from([(slot(1), name.clone())]));
    link.nodes.set_node(NodeState {
        generation: 1,
        ..NodeState::default()
    });
    until("the node's state", async || {
        hub.node(NODE).is_some_and(|n| n.generation == 1)
    })
    .await;
    let state = TenantState {
        name: name.clone(),
        applied: 1,
        status: TenantStatus::default(),
    };
    link.nodes.set_tenant(slot(1), Some(state.clone()));
    until("the tenant", async || {
        hub.tenant(at(1)).as_ref() == Some(&state)
    })
    .await;
    until("the holders", async || {
        hub.holders(NODE)
            .is_some_and(|h| h.get(&slot(1)) == Some(&name))
    })
    .await;

    let event = EventKind::DatabaseRestored {
        tenants: 1,
        devices: 2,
    };
    link.nodes.report(event.clone());
    let reported = loop {
        match events.next().await.unwrap() {
            Reported::Event { event, .. } => break event,
            Reported::Missed { .. } => {}
        }
    };
    assert_eq!(reported, event);

    assert_eq!(hub.statistics(NODE).await.unwrap().peers, []);
    let problem = Problem {
        code: ErrorCode::DiskUnavailable,
        message: domain::Message::Unexpected,
    };
    link.nodes.answers().resources = Err(problem.clone());
    assert_eq!(hub.resources(NODE).await.unwrap_err().code, problem.code);
    let unknown = hub.dns_counts(at(1), &name).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::DnsUnavailable);
}

#[tokio::test]
async fn only_the_named_tenants_dns_filter_is_reached() {
    let database = Database::new(spec(1, 2));
    let plane = Plane::start(&database).await;
    let link = Link::start(database.identity(SystemClock.now()), &[plane.url()]);
    link.until(1).await;
    let hub = plane.hub.nodes();
    let name = database.spec.lock().unwrap().tenants[&slot(1)].name.clone();
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = echo.local_addr().unwrap();
    let key = (slot(1), name.clone());
    link.nodes.answers().dns.insert(key, address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    let mut stream = None;
    until("a connection", async || {
        stream = hub.dns_connect(at(1), &name).await.ok();
        stream.is_some()
    })
    .await;
    let mut stream = stream.unwrap();
    let sent: Vec<u8> = (0..300_000).map(|n| n as u8).collect();
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let copy = sent.clone();
    let writing = async move {
        write.write_all(&copy).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let (_, ended) = tokio::join!(writing, read.read_to_end(&mut received));
    ended.unwrap();
    assert!(received == sent, "{} bytes came back", received.len());

    let other = TenantName::parse("another").unwrap();
    for (place, name) in [(at(1), &other), (at(2), &name)] {
        let refused = hub.dns_connect(place, name).await;
        assert_eq!(refused.err().unwrap().code, ErrorCode::DnsUnavailable);
    }
}

#[tokio::test]
async fn a_restored_database_is_followed_and_reported_once() {
    let database = Database::new(spec(5, 2));
    let plane = Plane::start(&database).await;
    let link = Link::start(database.identity(SystemClock.now()), &[plane.url()]);
    link.until(5).await;
    // The checkpoint of this worker is newer than the database.
    assert!(link.feed.load(9).await.is_err());
    let mut answer = None;
    until("a newer spec", async || {
        answer = link.feed.load(9).await.ok();
        answer.is_some()
    })
    .await;
    let answer = answer.unwrap();
    assert!(answer.restored && answer.spec.generation == 10);
    let again = link.feed.load(10).await.unwrap();
    assert!(!again.restored);
}
