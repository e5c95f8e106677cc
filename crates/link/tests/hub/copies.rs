//! Two machines with one certificate.

use super::rig::{LIMIT, Rig, until};
use domain::{Clock, NodeId, SystemClock};
use futures_util::StreamExt;
use link::worker::Identity;
use pki::NodeKey;
use protocol::{EventKind, NodeState, Reported, SpecFeed};
use std::time::Duration;

const NODE: NodeId = NodeId(2);

/// The first of two workers goes on, the second gets nothing, and the operator learns it.
async fn assert_second_is_refused(rig: &Rig, first: Identity, second: Identity) {
    rig.feed(NODE.0).set(1, &[(1, 1)]);
    let mut events = rig.nodes.events();
    let original = rig.worker(NODE, first, rig.address);
    original.nodes.set_node(NodeState {
        generation: 1,
        ..NodeState::default()
    });
    until("the original reports", || rig.nodes.node(NODE).is_some()).await;
    let copy = rig.worker(NODE, second, rig.address);
    copy.nodes.set_node(NodeState {
        generation: 99,
        ..NodeState::default()
    });
    let reported = tokio::time::timeout(LIMIT, events.next()).await.unwrap();
    let event = EventKind::NodeCopied {
        address: "127.0.0.1".to_owned(),
    };
    assert_eq!(reported, Some(Reported::Event { node: NODE, event }));
    // It tries again, and is refused again, but that is not reported again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(copy.feed.load(0).await.is_err(), "the copy got keys");
    assert_eq!(rig.nodes.node(NODE).map(|node| node.generation), Some(1));
    assert!(futures_util::FutureExt::now_or_never(events.next()).is_none());
    rig.feed(NODE.0).set(2, &[(1, 2)]);
    rig.nodes.nudge(NODE);
    original.has(&rig.feed(NODE.0).get()).await;
    // Once the original is gone, the other one is it.
    drop(original);
    copy.has(&rig.feed(NODE.0).get()).await;
    until("the other reports", || {
        rig.nodes.node(NODE).is_some_and(|n| n.generation == 99)
    })
    .await;
}

#[tokio::test]
async fn a_copied_disk_is_refused_while_the_original_is_there() {
    let rig = Rig::start().await;
    let identity = rig.identity(NODE.0, 0);
    assert_second_is_refused(&rig, identity.clone(), identity).await;
}

#[tokio::test]
async fn a_copy_with_a_renewed_certificate_is_refused_too() {
    let rig = Rig::start().await;
    let first = rig.identity(NODE.0, 0);
    let key = NodeKey::from_pem(&first.key).unwrap();
    let csr = key.csr().unwrap();
    let second = Identity {
        certificate: rig.memory.issue(&csr, NODE, SystemClock.now()),
        ..first.clone()
    };
    assert_second_is_refused(&rig, first, second).await;
}

#[tokio::test]
async fn a_worker_that_starts_again_is_no_copy() {
    let rig = Rig::start().await;
    rig.feed(NODE.0).set(1, &[(1, 1)]);
    let identity = rig.identity(NODE.0, 0);
    let mut events = rig.nodes.events();
    for generation in 1..4 {
        let worker = rig.worker(NODE, identity.clone(), rig.address);
        worker.nodes.set_node(NodeState {
            generation,
            ..NodeState::default()
        });
        worker.has(&rig.feed(NODE.0).get()).await;
        let is_new = || {
            rig.nodes
                .node(NODE)
                .is_some_and(|n| n.generation == generation)
        };
        until("the worker reports", is_new).await;
    }
    assert!(futures_util::FutureExt::now_or_never(events.next()).is_none());
}
