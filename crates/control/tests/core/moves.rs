//! Moves of tenants: what is refused, where they go, and what is tried again.

use crate::{rig::code, workers::Installation};
use domain::{ErrorCode, Message, MoveReason, NodeId, Problem, TenantScope};
use std::time::Duration;
use store::LOCAL_NODE;

/// How long tests wait for a move.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Installation {
    async fn begin(&self, tenant: &TenantScope, to: Option<NodeId>) {
        let nodes = self.rig.control.nodes();
        let begun = nodes.move_tenant(&self.operator, tenant, to, true).await;
        begun.unwrap();
    }

    async fn node_of(&self, tenant: &TenantScope) -> NodeId {
        let nodes = self.rig.control.nodes();
        nodes.node_of(&self.operator, tenant).await.unwrap()
    }

    /// Waits until no move is open, or each has failed, and returns why.
    async fn settled(&self) -> Vec<Problem> {
        let settled = async {
            loop {
                let view = self.rig.control.nodes().list(&self.operator).await;
                let moves = view.unwrap().moves;
                let problems: Vec<_> = moves.iter().filter_map(|m| m.problem.clone()).collect();
                if problems.len() == moves.len() {
                    return problems;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, settled).await.unwrap()
    }

    /// Lets moves that have failed be tried again, and waits until none is open.
    async fn carried_out_later(&self) {
        self.rig.clock.advance(15_000);
        let done = async {
            let nodes = self.rig.control.nodes();
            while !nodes.list(&self.operator).await.unwrap().moves.is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, done).await.unwrap();
    }
}

#[tokio::test]
async fn a_move_that_cannot_be_is_refused_at_once() {
    let i = Installation::new(9).await;
    let node = i.worker("fra1", 9).await;
    let lina = i.rig.tenant("lina").await;
    let home = i.node_of(&lina).await;
    let (nodes, operator) = (i.rig.control.nodes(), &i.operator);
    let refused = nodes.move_tenant(operator, &lina, Some(home), true).await;
    assert_eq!(code(refused), ErrorCode::MoveRefused);
    let unknown = nodes.move_tenant(operator, &lina, Some(NodeId(99)), true);
    assert_eq!(code(unknown.await), ErrorCode::NotFound);
    assert_eq!(
        nodes
            .cancel_move(operator, &lina)
            .await
            .unwrap_err()
            .message,
        Message::MoveUnknown {
            name: "lina".to_owned()
        }
    );
    i.begin(&lina, None).await;
    let twice = nodes.move_tenant(operator, &lina, None, true).await;
    assert_eq!(
        twice.unwrap_err().message,
        Message::MovePending {
            name: "lina".to_owned()
        }
    );
    nodes.cancel_move(operator, &lina).await.unwrap();
    assert_eq!(nodes.move_of(operator, &lina).await.unwrap(), None);
    // A worker that is heard is not lost, and the local node never is.
    let heard = nodes.lose(operator, node).await.unwrap_err();
    assert_eq!(
        heard.message,
        Message::NodeNotLost {
            name: "fra1".to_owned()
        }
    );
    let local = nodes.lose(operator, LOCAL_NODE).await;
    assert_eq!(code(local), ErrorCode::NodeFixed);
}

#[tokio::test]
async fn a_tenant_moves_where_there_is_room_and_its_slot() {
    let i = Installation::with(9, true).await;
    let lina = i.rig.tenant("lina").await;
    assert_eq!(i.node_of(&lina).await, LOCAL_NODE);
    let (nodes, operator) = (i.rig.control.nodes(), &i.operator);
    i.begin(&lina, None).await;
    let nowhere = Message::MoveNowhere { slot: 1 };
    assert_eq!(i.settled().await[0].message, nowhere);
    // One that is full or closed is none either.
    let full = i.worker("full", 0).await;
    let closed = i.worker("closed", 9).await;
    nodes.set_open(operator, closed, false).await.unwrap();
    for (to, message) in [
        (
            full,
            Message::MoveTargetFull {
                node: "full".to_owned(),
            },
        ),
        (
            closed,
            Message::MoveTargetClosed {
                node: "closed".to_owned(),
            },
        ),
    ] {
        nodes.cancel_move(operator, &lina).await.unwrap();
        i.begin(&lina, Some(to)).await;
        assert_eq!(i.settled().await[0].message, message);
    }
    // As soon as there is room, it goes.
    i.workers.lock().unwrap().insert(full, 5);
    nodes.cancel_move(operator, &lina).await.unwrap();
    i.begin(&lina, None).await;
    assert_eq!(i.settled().await, []);
    assert_eq!(i.node_of(&lina).await, full);
    assert_eq!(
        (i.row(LOCAL_NODE).await.tenants, i.row(full).await.tenants),
        (0, 1)
    );
    // A silent worker is no target, until it is heard again.
    i.rig.clock.advance(61_000);
    i.begin(&lina, Some(LOCAL_NODE)).await;
    assert_eq!(i.settled().await, [], "the local node is always heard");
    i.begin(&lina, Some(full)).await;
    let silent = Message::MoveTargetSilent {
        node: "full".to_owned(),
    };
    assert_eq!(i.settled().await[0].message, silent);
    nodes.heard(full, "1.0").await;
    i.carried_out_later().await;
    assert_eq!(i.node_of(&lina).await, full);
}

#[tokio::test]
async fn what_adguard_home_has_stored_goes_along() {
    let i = Installation::with(9, true).await;
    let lina = i.rig.tenant("lina").await;
    let worker = i.worker("fra1", 9).await;
    let (nodes, operator) = (i.rig.control.nodes(), &i.operator);
    let kinds = async || {
        let events = i.rig.store.tenant_events(&lina, 20).await.unwrap();
        let kinds = events.into_iter().map(|e| e.kind);
        kinds
            .filter(|kind| kind.starts_with("tenant."))
            .collect::<Vec<_>>()
    };
    // A node of the version before: it stays where it is, and says why, once.
    let begun = nodes
        .move_tenant(operator, &lina, Some(worker), false)
        .await;
    begun.unwrap();
    assert_eq!(i.settled().await[0].message, Message::CopyUnsupported);
    let copied = nodes.move_of(operator, &lina).await.unwrap().unwrap();
    assert_eq!(copied.copied_bytes, Some(0));
    // The new node refuses what comes.
    let too_large = Problem {
        code: ErrorCode::MoveRefused,
        message: Message::CopyTooLarge { mebibytes: 512 },
    };
    let archive = vec![Ok(b"archive".as_slice().into()); 3];
    i.folders.answers().archive = Some(archive);
    i.folders.answers().receipt = Err(too_large.clone());
    for _ in 0..2 {
        let reads = i.folders.read_folders().len();
        i.rig.clock.advance(15_000);
        nodes.heard(worker, "1.0").await;
        let again = async {
            while i.folders.ended_copies().len() < 2 * (reads + 1) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, again).await.unwrap();
        assert_eq!(i.node_of(&lina).await, LOCAL_NODE);
    }
    assert_eq!(i.settled().await, [too_large]);
    assert_eq!(kinds().await, ["tenant.move_failed", "tenant.move_failed"]);
    let ended = i.folders.ended_copies();
    assert_eq!((ended[0].node, ended[1].node), (LOCAL_NODE, worker));
    // Two passes, of which the last is final.
    let reads = i.folders.read_folders().len();
    i.folders.answers().receipt = Ok(protocol::FolderReceipt {
        bytes: 5 << 20,
        files: 9,
    });
    nodes.heard(worker, "1.0").await;
    i.carried_out_later().await;
    assert_eq!(i.node_of(&lina).await, worker);
    let reads = i.folders.read_folders().split_off(reads);
    assert!(!reads[0].is_last && reads[1].is_last && reads.len() == 2);
    assert_eq!((&reads[0].id, reads[0].at.node), (&reads[1].id, LOCAL_NODE));
    let written = i.folders.written_folders().pop().unwrap();
    assert_eq!((written.copy.at.node, written.copy.is_last), (worker, true));
    let record = i.rig.store.tenant(&lina).await.unwrap();
    assert_eq!(written.owner, record.public_key);
    assert_eq!(written.archive.unwrap(), b"archivearchivearchive");
    assert_eq!(kinds().await[0], "tenant.moved_with_data");
    // Back without: what an earlier copy has left there is forgotten first.
    i.begin(&lina, Some(LOCAL_NODE)).await;
    assert_eq!(i.settled().await, []);
    assert_eq!(i.folders.written_folders().len(), 2);
    let ended = i.folders.ended_copies().pop().unwrap();
    assert_eq!(ended.node, LOCAL_NODE);
    assert_eq!(kinds().await[0], "tenant.moved");
}

#[tokio::test]
async fn a_drained_and_a_lost_node_are_left_by_all() {
    let i = Installation::with(9, true).await;
    let first = i.worker("fra1", 9).await;
    let mut tenants = Vec::new();
    for name in ["lina", "omar", "zoe"] {
        tenants.push(i.rig.tenant(name).await);
    }
    let (nodes, operator) = (i.rig.control.nodes(), &i.operator);
    let mut on_first = 0;
    for t in &tenants {
        on_first += u64::from(i.node_of(t).await == first);
    }
    assert!(on_first > 0, "sign-ups spread");
    let begun = nodes.drain(operator, first, true).await.unwrap();
    assert_eq!(begun, on_first);
    let view = nodes.list(operator).await.unwrap();
    assert!(view.moves.iter().all(|m| m.reason == MoveReason::Drain));
    let waiting = i.settled().await;
    // Those whose slot the other node has given to another tenant wait.
    assert!(
        waiting
            .iter()
            .all(|p| matches!(p.message, Message::MoveNowhere { .. }))
    );
    assert_eq!(i.row(first).await.tenants as usize, waiting.len());
    let second = i.worker("fra2", 9).await;
    i.carried_out_later().await;
    assert_eq!(i.row(first).await.tenants, 0);

    // The second machine is silent: what it had is placed again.
    let had = u64::from(i.row(second).await.tenants);
    i.rig.clock.advance(61_000);
    nodes.heard(first, "1.0").await;
    nodes.set_open(operator, first, true).await.unwrap();
    assert_eq!(nodes.lose(operator, second).await.unwrap(), had);
    i.carried_out_later().await;
    assert_eq!(i.row(second).await.tenants, 0);
    assert_eq!(
        i.row(first).await.tenants + i.row(LOCAL_NODE).await.tenants,
        3
    );
}
