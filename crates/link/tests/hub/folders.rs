//! Folders of tenants that move, from worker to worker through the hub.

use super::{
    client::StateWriter,
    rig::{LIMIT, Rig, RunningWorker, at, name, until},
};
use bytes::Bytes;
use domain::{ErrorCode, Message, NodeId, PrivateKey, Problem};
use futures_util::StreamExt;
use protocol::{
    CopyId, FolderCopy, FolderOwner, FolderReceipt, FolderStream, NodeState, cannot_copy,
};

const FROM: i64 = 2;
const TO: i64 = 3;

fn copy(node: i64, is_last: bool) -> FolderCopy {
    FolderCopy {
        at: at(node, 7),
        name: name("lina"),
        id: CopyId::from_random([9; 16]),
        is_last,
    }
}

fn owner() -> FolderOwner {
    PrivateKey::from_random([7; 32]).public()
}

/// An archive of so many pieces of 64 kB.
fn pieces(count: usize) -> Vec<Result<Bytes, Problem>> {
    let piece = |n: usize| {
        let byte = u8::try_from(n % 251).unwrap();
        Ok(Bytes::from(vec![byte; 64 << 10]))
    };
    (0..count).map(piece).collect()
}

fn broken() -> Problem {
    Problem {
        code: ErrorCode::NodeUnreachable,
        message: Message::CopyBroken,
    }
}

async fn connected(rig: &Rig, node: i64) -> RunningWorker {
    rig.feed(node).set(1, &[(7, 1)]);
    let worker = rig.worker(NodeId(node), rig.identity(node, 0), rig.address);
    worker.nodes.set_node(NodeState::default());
    until("it reports", || rig.nodes.node(NodeId(node)).is_some()).await;
    worker
}

async fn read(rig: &Rig) -> FolderStream {
    rig.nodes.read_folder(&copy(FROM, true)).await.unwrap()
}

async fn write(rig: &Rig, archive: FolderStream) -> Result<FolderReceipt, Problem> {
    let (copy, owner) = (copy(TO, true), owner());
    let writing = rig.nodes.write_folder(&copy, &owner, archive);
    let written = tokio::time::timeout(LIMIT, writing).await;
    written.expect("writing ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_passes_from_worker_to_worker() {
    let rig = Rig::start().await;
    let (from, to) = (connected(&rig, FROM).await, connected(&rig, TO).await);
    let receipt = FolderReceipt {
        bytes: 12_345,
        files: 7,
    };
    // 1 piece, 100 MB, and none.
    for count in [1, 1_600, 0] {
        from.nodes.answers().archive = Some(pieces(count));
        to.nodes.answers().receipt = Ok(receipt);
        let archive = read(&rig).await;
        assert_eq!(write(&rig, archive).await, Ok(receipt));
        let read = from.nodes.read_folders().pop().unwrap();
        assert_eq!(read, copy(FROM, true));
        let written = to.nodes.written_folders().pop().unwrap();
        assert_eq!((written.copy, written.owner), (copy(TO, true), owner()));
        let sent = pieces(count).into_iter().map(Result::unwrap);
        assert_eq!(written.archive.unwrap(), sent.collect::<Vec<_>>().concat());
    }
    to.nodes.answers().archive = Some(Vec::new());
    let ended = rig.nodes.end_copy(at(TO, 7), &name("lina")).await;
    assert_eq!(ended, Ok(()));
    assert_eq!(to.nodes.ended_copies(), [at(TO, 7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_never_taken_for_whole() {
    let rig = Rig::start().await;
    let (from, to) = (connected(&rig, FROM).await, connected(&rig, TO).await);
    let is_cut = |n: usize| {
        let written = to.nodes.written_folders();
        assert!(written.len() <= n);
        written.len() == n && written.last().is_some_and(|w| w.archive.is_err())
    };
    // The former node's disk fails.
    let mut archive = pieces(100);
    archive.push(Err(broken()));
    from.nodes.answers().archive = Some(archive);
    let archive = read(&rig).await;
    assert!(write(&rig, archive).await.is_err());
    until("it is cut short", || is_cut(1)).await;
    // The control plane gives up: the new node sees an end, and the archive's own is missing.
    {
        let mut answers = from.nodes.answers();
        (answers.archive, answers.is_endless) = (Some(pieces(3)), true);
    }
    let archive = read(&rig).await;
    let (copy, owner) = (copy(TO, true), owner());
    let writing = rig.nodes.write_folder(&copy, &owner, archive);
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(300), writing).await;
    assert!(given_up.is_err());
    until("it ends", || to.nodes.written_folders().len() == 2).await;
    // The former node is killed.
    let archive = read(&rig).await;
    let killed = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        drop(from);
    };
    let (written, ()) = tokio::join!(write(&rig, archive), killed);
    assert!(written.is_err());
    until("it is cut short", || is_cut(3)).await;
    // Nothing answers any more.
    let gone = rig.nodes.read_folder(&self::copy(FROM, true)).await;
    assert_eq!(gone.err().unwrap().code, ErrorCode::NodeUnreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_refuses_says_why() {
    let rig = Rig::start().await;
    let (from, to) = (connected(&rig, FROM).await, connected(&rig, TO).await);
    let refused = rig.nodes.read_folder(&copy(FROM, false)).await;
    assert_eq!(refused.err(), Some(cannot_copy()));
    from.nodes.answers().archive = Some(pieces(1_600));
    let too_large = Problem {
        code: ErrorCode::MoveRefused,
        message: Message::CopyTooLarge { mebibytes: 512 },
    };
    to.nodes.answers().receipt = Err(too_large.clone());
    let archive = read(&rig).await;
    assert_eq!(write(&rig, archive).await, Err(too_large));
    // The rest of the archive hinders nothing.
    to.nodes.answers().receipt = Ok(FolderReceipt::default());
    let archive = read(&rig).await;
    assert_eq!(write(&rig, archive).await, Ok(FolderReceipt::default()));
}

#[tokio::test]
async fn a_worker_of_the_version_before_cannot_copy() {
    let rig = Rig::start().await;
    let old = StateWriter::connect(&rig, &rig.identity(TO, 0)).await;
    old.send("{\"whole\":true,\"holders\":{}}\n");
    let can_be_asked = async {
        loop {
            let asked = rig.nodes.end_copy(at(TO, 7), &name("lina")).await;
            if asked == Err(cannot_copy()) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, can_be_asked).await.unwrap();
    let read = rig.nodes.read_folder(&copy(TO, true)).await;
    assert_eq!(read.err(), Some(cannot_copy()));
    let archive = futures_util::stream::iter(pieces(40)).boxed();
    assert_eq!(write(&rig, archive).await, Err(cannot_copy()));
}
