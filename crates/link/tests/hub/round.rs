//! What works when everything works.

use super::{
    client::ask,
    rig::{Rig, at, name, slot, until},
};
use domain::{
    Clock, ErrorCode, Message, NodeId, Problem, SystemClock, TenantStatus, view::QueryCounts,
};
use futures_util::StreamExt;
use http::Method;
use link::{
    JoinedNodes,
    worker::{JoinParts, LinkError, join},
};
use pki::JoinToken;
use protocol::{
    DriftKind, EventKind, EventTenant, MachineState, NodeState, NodeStatistics, Nodes,
    PeerStatistics, ReadingOrder, Reported, ResourceUsage, TenantState,
    wire::{SPEC, SpecUpdate},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use testkit::fakes::FakeNodes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn state(n: u16, applied: u64) -> TenantState {
    TenantState {
        name: name(&format!("tenant{n}")),
        applied,
        status: TenantStatus::default(),
    }
}

fn statistics(rx_bytes: u64) -> NodeStatistics {
    let peer = PeerStatistics {
        slot: slot(1),
        public_key: testkit::samples::key(1, 1).public(),
        last_handshake: None,
        endpoint: None,
        rx_bytes,
        tx_bytes: 2,
    };
    let taken = ReadingOrder {
        boot: "6a9f3c1e-0b7d-4f52-8e0a-5d1c2b3a4f60".to_owned(),
        nanos: u64::MAX - rx_bytes,
    };
    // A worker of the version before does not say when it read them.
    NodeStatistics {
        taken: Some(taken).filter(|_| rx_bytes != 8),
        since: None,
        peers: vec![peer],
    }
}

fn joining(token: JoinToken) -> JoinParts {
    JoinParts {
        token,
        name: "worker one".to_owned(),
        host: "203.0.113.7".to_owned(),
        version: "1.2.3".to_owned(),
    }
}

#[tokio::test]
async fn a_machine_joins_gets_its_spec_and_is_seen() {
    let rig = Rig::start().await;
    let token = JoinToken::generate(rig.memory.authority.hash()).unwrap();
    rig.memory.add_token(&token);
    let control_plane = format!("https://{}", rig.address).parse().unwrap();
    let now = SystemClock.now();
    let joined = join(&control_plane, joining(token.clone()), now)
        .await
        .unwrap();
    let again = join(&control_plane, joining(token), now).await.unwrap_err();
    assert!(matches!(again, LinkError::Refused { .. }), "{again}");
    let node = joined.node;
    assert_eq!(node, NodeId(101));

    let feed = rig.feed(node.0);
    feed.set(1, &[(1, 2), (2, 1)]);
    let worker = rig.worker(node, joined.identity, rig.address);
    let mut events = rig.nodes.events();
    worker.has(&feed.get()).await;
    feed.set(2, &[(1, 3)]);
    let nudged = Instant::now();
    rig.nodes.nudge(node);
    worker.has(&feed.get()).await;
    println!(
        "from the nudge to the worker's spec: {:?}",
        nudged.elapsed()
    );

    until("the worker reports", || rig.nodes.ids() == [node]).await;
    assert_eq!(
        rig.memory.heard().first(),
        Some(&(node, "1.2.3".to_owned()))
    );
    let here = at(node.0, 1);
    let mut other = rig.nodes.tenant_changes(at(node.0, 2));
    let mut changes = rig.nodes.tenant_changes(here);
    worker.nodes.answers().machine = Some(MachineState {
        wireguard: "kernel".to_owned(),
        ..MachineState::default()
    });
    worker.nodes.answers().holders = Some(BTreeMap::from([(slot(1), name("tenant1"))]));
    worker.nodes.set_node(NodeState {
        generation: 2,
        ..NodeState::default()
    });
    worker.nodes.set_tenant(slot(1), Some(state(1, 2)));
    changes.next().await.unwrap();
    assert_eq!(rig.nodes.tenant(here), Some(state(1, 2)));
    until("the node's state", || {
        rig.nodes.node(node).is_some_and(|n| n.generation == 2)
    })
    .await;
    until("its machine", || {
        rig.nodes
            .machine(node)
            .is_some_and(|m| m.wireguard == "kernel")
    })
    .await;
    assert_eq!(rig.nodes.used_slots(node), [slot(1)].into());
    assert!(futures_util::FutureExt::now_or_never(other.next()).is_none());

    worker.nodes.answers().statistics = Ok(statistics(7));
    assert_eq!(rig.nodes.statistics(node).await, Ok(statistics(7)));
    let busy = Problem {
        code: ErrorCode::WireguardUnavailable,
        message: Message::MemoryReadTimedOut { seconds: 3 },
    };
    worker.nodes.answers().resources = Err(busy.clone());
    assert_eq!(rig.nodes.resources(node).await, Err(busy));
    let usage = ResourceUsage {
        slot: slot(1),
        name: name("tenant1"),
        disk_bytes: Some(1),
        memory_bytes: None,
        cpu_percent: Some(0.5),
        connections: None,
        limits: Default::default(),
    };
    worker.nodes.answers().resources = Ok(vec![usage.clone()]);
    assert_eq!(rig.nodes.resources(node).await, Ok(vec![usage]));
    let counts = QueryCounts {
        total: 9,
        blocked: 4,
    };
    worker.nodes.answers().counts = Ok(counts);
    assert_eq!(
        rig.nodes.dns_counts(here, &name("tenant1")).await,
        Ok(counts)
    );

    let drift = EventKind::Drift {
        tenant: Some(EventTenant {
            slot: slot(1),
            name: name("tenant1"),
        }),
        drift: DriftKind::InterfaceGone,
    };
    worker.nodes.report(drift.clone());
    let reported = events.next().await.unwrap();
    assert_eq!(reported, Reported::Event { node, event: drift });
}

#[tokio::test]
async fn an_adguard_home_on_a_worker_is_reached() {
    let rig = Rig::start().await;
    let node = NodeId(2);
    rig.feed(2).set(1, &[(1, 1)]);
    let dns = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let worker = rig.worker(node, rig.identity(2, 0), rig.address);
    let dns_address = dns.local_addr().unwrap();
    for tenant in ["tenant1", "tenant2"] {
        let key = (slot(1), name(tenant));
        worker.nodes.answers().dns.insert(key, dns_address);
    }
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = dns.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    until("the worker reports", || rig.nodes.ids() == [node]).await;
    let message = vec![b'x'; 300_000];
    let stream = rig
        .nodes
        .dns_connect(at(2, 1), &name("tenant1"))
        .await
        .unwrap();
    let (mut from, mut to) = tokio::io::split(stream);
    let sent = message.clone();
    let sending = tokio::spawn(async move {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    from.read_to_end(&mut received).await.unwrap();
    sending.await.unwrap();
    assert!(received == message);
    drop(from);

    // What the spec does not have is not even asked for.
    for (at, tenant) in [
        (at(2, 1), "tenant2"),
        (at(2, 2), "tenant1"),
        (at(3, 1), "tenant1"),
    ] {
        let refused = rig
            .nodes
            .dns_connect(at, &name(tenant))
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code, ErrorCode::DnsUnavailable);
    }

    // Connections that are not read do not stop the others, and have a bound.
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut stream = rig
            .nodes
            .dns_connect(at(2, 1), &name("tenant1"))
            .await
            .unwrap();
        stream.write_all(&[b'y'; 30_000]).await.unwrap();
        open.push(stream);
    }
    worker.nodes.answers().statistics = Ok(statistics(8));
    assert_eq!(rig.nodes.statistics(node).await, Ok(statistics(8)));
    let full = rig
        .nodes
        .dns_connect(at(2, 1), &name("tenant1"))
        .await
        .err()
        .unwrap();
    assert_eq!(full.code, ErrorCode::DnsUnavailable);
    open.pop();
    assert!(
        rig.nodes
            .dns_connect(at(2, 1), &name("tenant1"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_query_without_news_ends_without_an_answer() {
    let rig = Rig::start().await;
    rig.feed(2).set(4, &[(1, 1)]);
    let identity = rig.identity(2, 0);
    let whole = format!("{SPEC}?since=0&wait=25");
    let (status, body) = ask(&rig, Some(&identity), (Method::GET, &whole), "")
        .await
        .unwrap();
    assert_eq!(status, 200);
    let update = SpecUpdate::from_bytes(&body).unwrap();
    assert!(update.full && update.spec == rig.feed(2).get());
    let same = format!("{SPEC}?since=4&digest={}&wait=1", update.digest);
    let (status, body) = ask(&rig, Some(&identity), (Method::GET, &same), "")
        .await
        .unwrap();
    assert_eq!((status.as_u16(), body.len()), (204, 0));
    // A node that has more than the database follows it.
    let ahead = format!("{SPEC}?since=9&digest={}&wait=1", update.digest);
    let (status, body) = ask(&rig, Some(&identity), (Method::GET, &ahead), "")
        .await
        .unwrap();
    let update = SpecUpdate::from_bytes(&body).unwrap();
    assert_eq!(
        (status.as_u16(), update.spec.generation, update.restored),
        (200, 10, true)
    );
    // One that says it has more than there ever was does not use the numbers up.
    let absurd = format!("{SPEC}?since={}&wait=1", i64::MAX);
    let (status, _) = ask(&rig, Some(&identity), (Method::GET, &absurd), "")
        .await
        .unwrap();
    assert_eq!((status.as_u16(), rig.feed(2).get().generation), (400, 10));
}

#[tokio::test]
async fn a_change_without_a_nudge_arrives() {
    let rig = Rig::start().await;
    rig.feed(2).set(1, &[(1, 1)]);
    let worker = rig.worker(NodeId(2), rig.identity(2, 0), rig.address);
    worker.has(&rig.feed(2).get()).await;
    rig.feed(2).set(2, &[(1, 2)]);
    worker.has(&rig.feed(2).get()).await;
}

#[tokio::test]
async fn the_own_node_and_the_workers_are_told_apart() {
    let rig = Rig::start().await;
    let own = FakeNodes::new(NodeId(1));
    own.answers().statistics = Ok(statistics(1));
    let nodes = JoinedNodes::new(Arc::new(own.clone()), rig.nodes.clone());
    assert_eq!(nodes.ids(), [NodeId(1)]);
    rig.feed(1).set(1, &[]);
    rig.feed(2).set(1, &[]);
    let worker = rig.worker(NodeId(2), rig.identity(2, 0), rig.address);
    worker.nodes.answers().statistics = Ok(statistics(2));
    // A certificate for the local node gives no worker its place.
    let wrong = rig.worker(NodeId(1), rig.identity(1, 0), rig.address);
    wrong.nodes.answers().statistics = Ok(statistics(3));
    let both = [NodeId(1), NodeId(2)];
    until("both workers report", || rig.nodes.ids() == both).await;
    assert_eq!(nodes.ids(), both);
    assert_eq!(nodes.statistics(NodeId(1)).await, Ok(statistics(1)));
    assert_eq!(nodes.statistics(NodeId(2)).await, Ok(statistics(2)));
    let unknown = nodes.statistics(NodeId(3)).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::NodeUnreachable);
    let mut events = nodes.events();
    wrong.nodes.report(EventKind::EventsLost { count: 1 });
    own.report(EventKind::EventsLost { count: 2 });
    let reported = events.next().await.unwrap();
    let event = EventKind::EventsLost { count: 2 };
    assert_eq!(
        reported,
        Reported::Event {
            node: NodeId(1),
            event
        }
    );
}
