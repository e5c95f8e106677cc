//! A wire that is cut without a sign.

use super::{
    proxy::Proxy,
    rig::{LIMIT, Rig, at, name, slot, until},
};
use domain::{ErrorCode, Message, NodeId, TenantStatus};
use futures_util::StreamExt;
use protocol::{NodeState, NodeStatistics, TenantState};

const NODE: NodeId = NodeId(2);

#[tokio::test]
async fn a_partition_is_noticed_and_heals() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(rig.address).await;
    rig.feed(NODE.0).set(1, &[(1, 1)]);
    let worker = rig.worker(NODE, rig.identity(NODE.0, 0), proxy.address);
    let state = TenantState {
        name: name("tenant1"),
        applied: 1,
        status: TenantStatus::default(),
    };
    worker.nodes.set_node(NodeState::default());
    worker.nodes.set_tenant(slot(1), Some(state.clone()));
    until("the worker reports", || {
        rig.nodes.tenant(at(NODE.0, 1)).is_some()
    })
    .await;
    worker.has(&rig.feed(NODE.0).get()).await;

    let mut changes = rig.nodes.node_changes(NODE);
    proxy.cut();
    let silence = |seconds: &mut u64| {
        let problems = rig.nodes.node(NODE).unwrap().problems;
        let problem = problems.first().cloned();
        problem.is_some_and(|problem| match problem.message {
            Message::WorkerSilent { seconds: found } => {
                *seconds = found;
                problem.code == ErrorCode::NodeUnreachable
            }
            _ => false,
        })
    };
    let mut seconds = 0;
    let watching = async {
        while !silence(&mut seconds) {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(LIMIT, watching)
        .await
        .expect("its watchers learn it");
    println!("noticed after {seconds} s");
    // What was heard last stays.
    assert_eq!(rig.nodes.tenant(at(NODE.0, 1)), Some(state));
    assert_eq!(rig.nodes.ids(), [NODE]);
    let call = rig.nodes.statistics(NODE).await.unwrap_err();
    assert_eq!(call.code, ErrorCode::NodeUnreachable);
    let dns = rig
        .nodes
        .dns_connect(at(NODE.0, 1), &name("tenant1"))
        .await
        .err()
        .unwrap();
    assert_eq!(dns.code, ErrorCode::DnsUnavailable);

    rig.feed(NODE.0).set(2, &[(1, 2)]);
    rig.nodes.nudge(NODE);
    proxy.heal();
    let is_back = || rig.nodes.node(NODE).unwrap().problems.is_empty();
    until("the worker is back", is_back).await;
    worker.has(&rig.feed(NODE.0).get()).await;
    assert_eq!(
        rig.nodes.statistics(NODE).await,
        Ok(NodeStatistics::default())
    );
}
