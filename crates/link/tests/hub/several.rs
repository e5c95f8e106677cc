//! Several control planes over one database, and a worker.

use super::{
    client::{StateWriter, ask},
    proxy::Proxy,
    rig::{LIMIT, Memory, Rig, RunningWorker, Stored, at, name, slot, until},
};
use domain::{Clock, Message, NodeId, SystemClock, Timestamp};
use futures_util::{FutureExt, StreamExt};
use http::Method;
use link::worker::{ControlPlane, LinkError, probe};
use protocol::{
    EventKind, NodeState, NodeStatistics, PeerStatistics, Reported, wire::SpecFingerprints,
};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const NODE: NodeId = NodeId(2);
/// Sooner than a control plane that gets no nudge compares generations.
const SOON: Duration = Duration::from_secs(6);

fn url(address: SocketAddr) -> String {
    format!("https://{address}")
}

fn list(memory: &Memory, addresses: &[SocketAddr]) {
    memory.list(addresses.iter().map(|a| url(*a)).collect());
}

/// Two control planes that list both, and the feed with a first spec.
async fn two() -> (Rig, Rig) {
    let first = Rig::start().await;
    let second = Rig::beside(&first.memory).await;
    list(&first.memory, &[first.address, second.address]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    (first, second)
}

async fn reports_to(rig: &Rig, worker: &RunningWorker) {
    worker.nodes.set_node(NodeState::default());
    until("the worker reports", || rig.nodes.node(NODE).is_some()).await;
}

/// Changes the spec at a control plane, and returns how long the worker took to get it.
async fn change(rig: &Rig, worker: &RunningWorker) -> Duration {
    let feed = rig.feed(NODE.0);
    let generation = feed.get().generation + 1;
    let devices = 1 + u8::try_from(generation % 5).unwrap();
    feed.set(generation, &[(1, devices)]);
    let begun = Instant::now();
    rig.nodes.nudge(NODE);
    worker.has(&feed.get()).await;
    begun.elapsed()
}

fn no_copy_was_reported(events: &mut futures_util::stream::BoxStream<'static, Reported>) {
    while let Some(Some(reported)) = events.next().now_or_never() {
        let is_copy = matches!(
            reported,
            Reported::Event {
                event: EventKind::NodeCopied { .. },
                ..
            }
        );
        assert!(!is_copy, "{reported:?}");
    }
}

#[tokio::test]
async fn a_change_at_any_control_plane_is_in_force_at_once() {
    let (first, second) = two().await;
    let mut events = second.nodes.events();
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    for rig in [&first, &second] {
        reports_to(rig, &worker).await;
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        for rig in [&second, &first, &second] {
            let took = change(rig, &worker).await;
            println!("in force after {took:?}");
            slowest = slowest.max(took);
            // As between two changes of a person.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    assert!(slowest < SOON, "{slowest:?}");
    no_copy_was_reported(&mut events);
}

#[tokio::test]
async fn changes_that_come_fast_at_both_are_not_lost() {
    let (first, second) = two().await;
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    for rig in [&first, &second] {
        reports_to(rig, &worker).await;
    }
    let feed = first.feed(NODE.0);
    let begun = Instant::now();
    for generation in 2..102 {
        feed.set(
            generation,
            &[(1, 1 + u8::try_from(generation % 5).unwrap())],
        );
        let rig = [&first, &second][usize::try_from(generation % 2).unwrap()];
        rig.nodes.nudge(NODE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.has(&feed.get()).await;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_control_plane_that_dies_is_left_for_another() {
    let (first, second) = two().await;
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    for rig in [&first, &second] {
        reports_to(rig, &worker).await;
    }
    worker.has(&first.feed(NODE.0).get()).await;
    let (memory, address) = (first.memory.clone(), first.address);
    first.kill().await;
    let took = change(&second, &worker).await;
    println!("in force after {took:?}");
    assert!(took < SOON, "{took:?}");
    assert!(second.nodes.node(NODE).unwrap().problems.is_empty());
    // It comes back, and sees the worker without being asked by it.
    let first = Rig::start_at(memory, address).await;
    reports_to(&first, &worker).await;
    let took = change(&first, &worker).await;
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_control_plane_that_falls_silent_delays_no_change_at_another() {
    let first = Rig::start().await;
    let second = Rig::beside(&first.memory).await;
    let wire = Proxy::start(first.address).await;
    list(&first.memory, &[wire.address, second.address]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    let worker = first.worker(NODE, first.identity(NODE.0, 0), wire.address);
    for rig in [&first, &second] {
        reports_to(rig, &worker).await;
    }
    worker.has(&first.feed(NODE.0).get()).await;
    // Its end is not noticed: the question waits there.
    wire.cut();
    let took = change(&second, &worker).await;
    println!("in force after {took:?}");
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_control_plane_that_falls_silent_is_left() {
    let first = Rig::start().await;
    let second = Rig::beside(&first.memory).await;
    let wire = Proxy::start(first.address).await;
    list(&first.memory, &[wire.address, second.address]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    let worker = first.worker(NODE, first.identity(NODE.0, 0), wire.address);
    for rig in [&first, &second] {
        reports_to(rig, &worker).await;
    }
    wire.cut();
    // It is noticed after 16 s; the worker dials for 2 s, and waits for up to 4 s.
    tokio::time::sleep(Duration::from_secs(26)).await;
    let took = change(&second, &worker).await;
    println!("in force after {took:?}");
    assert!(took < Duration::from_secs(1), "its question is not here");
}

#[tokio::test]
async fn a_detour_ends_when_the_listed_address_answers() {
    let first = Rig::start().await;
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    list(&first.memory, &[address]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    reports_to(&first, &worker).await;
    let second = Rig::start_at(first.memory.clone(), address).await;
    reports_to(&second, &worker).await;
}

#[tokio::test]
async fn a_control_plane_that_joins_later_is_called() {
    let first = Rig::start().await;
    list(&first.memory, &[first.address]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    reports_to(&first, &worker).await;
    worker.has(&first.feed(NODE.0).get()).await;
    let second = Rig::beside(&first.memory).await;
    assert_eq!(second.nodes.ids(), []);
    list(&first.memory, &[first.address, second.address]);
    let begun = Instant::now();
    reports_to(&second, &worker).await;
    println!("seen after {:?}", begun.elapsed());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let took = change(&second, &worker).await;
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_worker_finds_the_others_while_the_named_one_is_away() {
    let (first, second) = two().await;
    let stored = Arc::new(Stored::default());
    let identity = first.identity(NODE.0, 0);
    let worker = first.worker_with(NODE, identity.clone(), first.address, stored.clone());
    let both: Vec<ControlPlane> = [first.address, second.address]
        .map(|a| url(a).parse().unwrap())
        .into();
    until("the list is stored", || stored.get() == both).await;
    drop(worker);
    let address = first.address;
    first.kill().await;
    // After a restart.
    let worker = second.worker_with(NODE, identity.clone(), address, stored.clone());
    worker.has(&second.feed(NODE.0).get()).await;
    reports_to(&second, &worker).await;
    drop(worker);
    // The list is lost with the disk's file: it is learned again.
    stored.set(Vec::new());
    let worker = second.worker_with(NODE, identity, second.address, stored.clone());
    worker.has(&second.feed(NODE.0).get()).await;
    until("the list is learned", || stored.get() == both).await;
}

#[tokio::test]
async fn two_addresses_of_one_control_plane_are_no_copy() {
    let first = Rig::start().await;
    let other_way = Proxy::start(first.address).await;
    list(&first.memory, &[first.address, other_way.address]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    let mut events = first.nodes.events();
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    reports_to(&first, &worker).await;
    // Long enough for several attempts at the second address.
    tokio::time::sleep(Duration::from_secs(8)).await;
    no_copy_was_reported(&mut events);
    assert_eq!(
        first.nodes.statistics(NODE).await.map(|read| read.peers),
        Ok(Vec::new())
    );
    let took = change(&first, &worker).await;
    assert!(took < SOON, "{took:?}");
}

#[tokio::test]
async fn one_that_cannot_be_reached_at_its_listed_address_calls_all_the_same() {
    let first = Rig::start().await;
    // As a public address that is not routed from inside.
    first.memory.list(vec!["https://127.0.0.1:1".to_owned()]);
    first.feed(NODE.0).set(1, &[(1, 1)]);
    let worker = first.worker(NODE, first.identity(NODE.0, 0), first.address);
    worker.has(&first.feed(NODE.0).get()).await;
    reports_to(&first, &worker).await;
}

#[tokio::test]
async fn one_nudge_is_on_its_way_and_the_others_are_one() {
    let rig = Rig::start().await;
    // Its question is at another control plane.
    let calls = StateWriter::connect(&rig, &rig.identity(NODE.0, 0)).await;
    calls.send("{\"whole\":true,\"node\":{\"generation\":1,\"problems\":[],\"foreign_slots\":[],\"leaving\":null}}\n");
    until("the worker reports", || rig.nodes.node(NODE).is_some()).await;
    let begun = || calls.nudges.begun.load(Ordering::Relaxed);
    let settles = || tokio::time::sleep(Duration::from_millis(200));
    (0..5).for_each(|_| rig.nodes.nudge(NODE));
    until("a nudge", || begun() == 1).await;
    (0..5).for_each(|_| rig.nodes.nudge(NODE));
    settles().await;
    assert_eq!(begun(), 1);
    // It is answered with 404, as by a worker of the version before.
    calls.nudges.answers.add_permits(1);
    until("another nudge", || begun() == 2).await;
    calls.nudges.answers.add_permits(1);
    settles().await;
    assert_eq!(begun(), 2);
    rig.nodes.nudge(NODE);
    until("a third nudge", || begun() == 3).await;
    assert!(calls.is_open());
}

#[tokio::test]
async fn a_worker_whose_question_was_lost_is_told_soon() {
    let rig = Rig::start().await;
    let identity = rig.identity(NODE.0, 0);
    rig.feed(NODE.0).set(1, &[(1, 1)]);
    let calls = StateWriter::connect(&rig, &identity).await;
    calls.send("{\"whole\":true,\"holders\":{}}\n");
    let asking = |since: u64| {
        let spec = rig.feed(NODE.0).get();
        let digest = SpecFingerprints::of(&spec, None).unwrap().digest();
        let path = format!("/node/v1/spec?since={since}&digest={digest}&wait=25");
        let (rig, identity) = (&rig, &identity);
        async move { ask(rig, Some(identity), (Method::GET, &path), "").await }
    };
    let begun = || calls.nudges.begun.load(Ordering::Relaxed);
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.feed(NODE.0).set(2, &[(1, 2)]);
        rig.nodes.nudge(NODE);
    };
    // It is answered on a connection that may be dead: the worker does not ask again.
    let (answered, ()) = tokio::join!(asking(1), change);
    assert_eq!(answered.unwrap().0, 200);
    assert_eq!(begun(), 0, "it had asked");
    let lost = Instant::now();
    until("it is told", || begun() == 1).await;
    assert!(
        lost.elapsed() < Duration::from_secs(2),
        "{:?}",
        lost.elapsed()
    );
    calls.nudges.answers.add_permits(9);
    // One that asks again is not.
    let again = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.feed(NODE.0).set(3, &[(1, 3)]);
        rig.nodes.nudge(NODE);
    };
    let (answered, ()) = tokio::join!(asking(2), again);
    assert_eq!(answered.unwrap().0, 200);
    let asks_again = tokio::time::timeout(Duration::from_secs(2), asking(3)).await;
    assert!(asks_again.is_err(), "there is nothing newer");
    assert_eq!(begun(), 1);
}

/// A clock that is wrong by so many milliseconds.
struct WrongClock(i64);

impl Clock for WrongClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(self.0)
    }
}

#[tokio::test]
async fn a_handshake_is_told_by_the_control_planes_clock() {
    let rig = Rig::start().await;
    for (node, wrong) in [(2, -3_600_000), (3, 3_600_000), (4, 0)] {
        let node = NodeId(node);
        let clock = Arc::new(WrongClock(wrong));
        let identity = rig.identity(node.0, 0);
        let worker = rig.worker_of(node, identity, rig.address, Arc::default(), clock.clone());
        until("the worker reports", || rig.nodes.ids().contains(&node)).await;
        let at = clock.now().plus_millis(-7000);
        worker.nodes.answers().statistics = Ok(NodeStatistics {
            peers: vec![PeerStatistics {
                slot: slot(1),
                public_key: testkit::samples::key(1, 1).public(),
                last_handshake: Some(at),
                endpoint: None,
                rx_bytes: 1,
                tx_bytes: 2,
            }],
            ..NodeStatistics::default()
        });
        let handshake = async || {
            let read = rig.nodes.statistics(node).await.unwrap();
            read.peers[0].last_handshake.unwrap()
        };
        let first = handshake().await;
        let ago = SystemClock.now().0 - first.0;
        assert!((5000..9500).contains(&ago), "{ago} ms ago at node {node}");
        // What has not changed does not seem to.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(handshake().await, first);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_used_everywhere_at_once() {
    let (first, second) = two().await;
    let dns = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // It is due for renewal.
    let worker = first.worker(NODE, first.identity(NODE.0, 16), first.address);
    let key = (slot(1), name("tenant1"));
    let address = dns.local_addr().unwrap();
    worker.nodes.answers().dns.insert(key, address);
    until("a renewal", || first.memory.renewals() == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for rig in [&first, &second] {
        reports_to(rig, &worker).await;
    }
    let tenant = name("tenant1");
    let connecting = second.nodes.dns_connect(at(NODE.0, 1), &tenant);
    let (stream, accepted) = tokio::join!(connecting, dns.accept());
    let (mut stream, (mut server, _)) = (stream.unwrap(), accepted.unwrap());
    // The worker connects again, and the former certificate would be refused elsewhere.
    let (memory, address) = (first.memory.clone(), first.address);
    first.kill().await;
    let first = Rig::start_at(memory, address).await;
    reports_to(&first, &worker).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    stream.write_all(b"x").await.unwrap();
    stream.flush().await.unwrap();
    let mut byte = [0];
    let reading = tokio::time::timeout(LIMIT, server.read_exact(&mut byte));
    reading
        .await
        .unwrap()
        .expect("the connection is still there");
    assert_eq!(first.memory.renewals(), 1);
}

#[tokio::test]
async fn a_revoked_worker_learns_it_at_once() {
    let rig = Rig::start().await;
    rig.feed(NODE.0).set(1, &[(1, 1)]);
    let identity = rig.identity(NODE.0, 0);
    let (_, body) = ask(
        &rig,
        Some(&identity),
        (Method::GET, "/node/v1/spec?since=0"),
        "",
    )
    .await
    .unwrap();
    let digest = protocol::wire::SpecUpdate::from_bytes(&body)
        .unwrap()
        .digest;
    let path = format!("/node/v1/spec?since=1&digest={digest}&wait=25");
    let begun = Instant::now();
    let waiting = super::client::refusal(&rig, Some(&identity), (Method::GET, &path), "");
    let revoking = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        rig.memory.revoke(NODE);
        rig.nodes.nudge(NODE);
    };
    let ((status, problem), ()) = tokio::join!(waiting, revoking);
    let refused = (status, problem.message);
    assert_eq!(refused, (403, Message::WorkerCertificateRefused));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_probe_reads_no_spec() {
    let rig = Rig::start().await;
    let identity = rig.identity(NODE.0, 0);
    let to = url(rig.address).parse().unwrap();
    let date = probe(&to, &identity).await.unwrap();
    assert!(date.is_some());
    assert_eq!(rig.feed(NODE.0).loads(), 0);
    rig.memory.revoke(NODE);
    let refused = tokio::time::timeout(LIMIT, probe(&to, &identity)).await;
    let refused = refused.unwrap().unwrap_err();
    assert!(matches!(refused, LinkError::Refused { .. }), "{refused}");
}
