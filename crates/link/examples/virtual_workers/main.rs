//! Many workers in one process, for `./dev bench nodes`. The worker's end of the wire is
//! the real one, with its TLS, its certificate and its join token. Behind it is a node
//! that puts a spec in force at once and reports it as the agent does: only the machine
//! is virtual.
//!
//!     virtual_workers join FOLDER ADDRESS          standard input: lines "NAME TOKEN"
//!     virtual_workers run FOLDER ADDRESS [FIRST]   only the first so many
//!
//! `join` stores each identity in FOLDER. `run` prints a line for each spec that a worker
//! puts in force: the node, the generation, the number of tenants, and how many of them
//! have changed; and a line `stream NODE` when a control plane asks for a worker's state.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    missing_docs
)]

mod node;

use async_trait::async_trait;
use domain::{Clock, NodeId, SystemClock};
use link::worker::{
    ControlPlane, Identity, IdentityStore, JoinParts, RemoteFeed, Worker, WorkerParts, join,
};
use node::VirtualNode;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinSet;

/// How many machines join at a time.
const JOINING: usize = 8;

/// A certificate is renewed after 15 days, so nothing is stored.
struct Nowhere;

#[async_trait]
impl IdentityStore for Nowhere {
    async fn store(&self, _identity: &Identity) -> io::Result<()> {
        Ok(())
    }
}

fn file(folder: &Path, node: NodeId, part: &str) -> PathBuf {
    folder.join(format!("{}.{part}.pem", node.0))
}

async fn join_one(folder: PathBuf, to: ControlPlane, line: String) {
    let (name, token) = line.split_once(' ').unwrap();
    let parts = JoinParts {
        token: token.parse().unwrap(),
        name: name.to_owned(),
        host: "198.51.100.1".to_owned(),
        version: "virtual".to_owned(),
    };
    let joined = join(&to, parts, SystemClock.now()).await.unwrap();
    let Identity {
        authority,
        certificate,
        key,
    } = joined.identity;
    let (node, folder) = (joined.node, &folder);
    fs::write(file(folder, node, "authority"), authority).unwrap();
    fs::write(file(folder, node, "certificate"), certificate).unwrap();
    fs::write(file(folder, node, "key"), key.as_bytes()).unwrap();
}

async fn join_all(folder: &Path, to: &ControlPlane) {
    let mut joining = JoinSet::new();
    for line in io::stdin().lines() {
        joining.spawn(join_one(folder.to_owned(), to.clone(), line.unwrap()));
        if joining.len() >= JOINING {
            joining.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(joined) = joining.join_next().await {
        joined.unwrap();
    }
}

/// Returns the nodes that have joined, by id.
fn joined(folder: &Path) -> Vec<NodeId> {
    let id = |name: String| name.strip_suffix(".key.pem")?.parse().ok();
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut nodes: Vec<_> = names.filter_map(id).map(NodeId).collect();
    nodes.sort_unstable();
    nodes
}

fn start(folder: &Path, to: &ControlPlane, node: NodeId, running: &mut JoinSet<()>) {
    let read = |part| fs::read_to_string(file(folder, node, part)).unwrap();
    let feed = Arc::new(RemoteFeed::default());
    let machine = Arc::new(VirtualNode::new(node, feed.clone()));
    let worker = Worker::new(WorkerParts {
        node,
        identity: Identity {
            authority: read("authority"),
            certificate: read("certificate"),
            key: read("key").into(),
        },
        control_plane: to.clone(),
        more_control_planes: Vec::new(),
        feed,
        nodes: machine.clone(),
        store: Arc::new(Nowhere),
        clock: Arc::new(SystemClock),
        version: "virtual".to_owned(),
    });
    running.spawn(worker.unwrap().run(std::future::pending()));
    running.spawn(async move { machine.run().await });
}

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, folder, to, rest @ ..] = arguments.as_slice() else {
        panic!("virtual_workers join|run FOLDER ADDRESS [FIRST]");
    };
    let (folder, to) = (Path::new(folder), to.parse().unwrap());
    if command == "join" {
        join_all(folder, &to).await;
        return;
    }
    let first = rest.first().map_or(usize::MAX, |n| n.parse().unwrap());
    let mut running = JoinSet::new();
    for node in joined(folder).into_iter().take(first) {
        start(folder, &to, node, &mut running);
    }
    let ended = running.join_next().await;
    panic!("a worker ended: {ended:?}");
}
