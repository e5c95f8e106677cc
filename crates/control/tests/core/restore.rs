//! A database that is restored from a backup, while the node runs and while it
//! does not: the node converges to the restored rows, whatever it has in force,
//! and the operator learns what came back.

use crate::rig::{FROM, PASSWORD, device, form, ports, settings::control_settings};
use agent::{Agent, FeedSource, SpecCheckpoint};
use async_trait::async_trait;
use control::{Audience, Control, ControlParts, Entropy, PresentedTicket, StoreSpecs};
use domain::{
    Message, OwnerScope, Problem, PublicKey, Secret, Slot, SystemClock, TenantHolderScope,
    TenantScope,
    view::{DeviceView, OperatorView},
};
use protocol::{Nodes, SpecAnswer, SpecFeed};
use seal::Sealer;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use store::{DatabaseUrl, LOCAL_NODE, Store};
use testkit::{fakes::FakeMachine, samples};
use tokio::task::JoinHandle;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A feed whose control plane is replaced by one with another database.
struct Feed(Mutex<Arc<StoreSpecs>>);

#[async_trait]
impl SpecFeed for Feed {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let feed = self.0.lock().unwrap().clone();
        feed.load(in_force).await
    }
}

fn feed(store: &Store) -> Arc<StoreSpecs> {
    let clock = Arc::new(SystemClock);
    Arc::new(StoreSpecs::new(store.clone(), LOCAL_NODE, clock))
}

async fn open(file: &Path) -> Store {
    let url = DatabaseUrl::Sqlite(file.to_owned());
    Store::open(&url, Sealer::from_key([1; 32])).await.unwrap()
}

/// A node, and a control plane with a database in a file.
struct Installation {
    root: tempfile::TempDir,
    machine: FakeMachine,
    feed: Arc<Feed>,
    nodes: Arc<dyn Nodes>,
    node: JoinHandle<()>,
    store: Store,
    control: Control,
    jobs: JoinHandle<()>,
}

impl Installation {
    async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = open(&root.path().join("database.sqlite")).await;
        let machine = FakeMachine::new();
        let source = Arc::new(Feed(Mutex::new(feed(&store))));
        let (nodes, node) = start_node(root.path(), &machine, &source);
        let (control, jobs) = start_control(&store, &nodes);
        Self {
            root,
            machine,
            feed: source,
            nodes,
            node,
            store,
            control,
            jobs,
        }
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("database.sqlite")
    }

    /// Ends the control plane; what it does with the closed file is done before
    /// another one begins.
    async fn restart_control(&mut self, while_down: impl FnOnce(&Path)) {
        self.jobs.abort();
        self.store.close().await;
        while_down(&self.file());
        self.store = open(&self.file()).await;
        *self.feed.0.lock().unwrap() = feed(&self.store);
        (self.control, self.jobs) = start_control(&self.store, &self.nodes);
    }

    /// Ends the whole server, and begins another one.
    async fn restart(&mut self, while_down: impl FnOnce(&Path)) {
        self.node.abort();
        self.jobs.abort();
        self.store.close().await;
        while_down(&self.file());
        self.store = open(&self.file()).await;
        self.feed = Arc::new(Feed(Mutex::new(feed(&self.store))));
        (self.nodes, self.node) = start_node(self.root.path(), &self.machine, &self.feed);
        (self.control, self.jobs) = start_control(&self.store, &self.nodes);
    }

    async fn tenant(&self, name: &str) -> TenantHolderScope {
        let ticket = self.control.tenants().sign_up(form(name), FROM).await;
        let ticket = ticket.unwrap();
        let (auth, host) = (self.control.auth(), ticket.name);
        let ticket = PresentedTicket::Cookie(ticket.ticket.expose());
        let redeemed = auth.redeem(Audience::Dashboard, &host, ticket, FROM).await;
        redeemed.unwrap().scope
    }

    async fn device(&self, scope: &TenantScope, label: &str) -> DeviceView {
        let added = self.control.devices().add(scope, device(label)).await;
        added.unwrap()
    }

    async fn overview(&self) -> OperatorView {
        let operator = OwnerScope::issue("admin");
        self.control.operators().overview(&operator).await.unwrap()
    }

    /// Returns the peers of a slot's tunnel.
    fn peers(&self, slot: u16) -> BTreeSet<String> {
        let machine = self.machine.state();
        let interface = machine.interfaces.get(&Slot::new(slot).unwrap());
        let peers = interface.into_iter().flat_map(|i| i.peers.keys());
        peers.map(PublicKey::to_string).collect()
    }

    async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let wait = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        assert!(waited.is_ok(), "never happened: {what}");
    }
}

fn checkpoint(root: &Path) -> SpecCheckpoint {
    let file = root.join("last_spec");
    SpecCheckpoint::new(file, Sealer::from_key([1; 32]), LOCAL_NODE)
}

fn start_node(
    root: &Path,
    machine: &FakeMachine,
    feed: &Arc<Feed>,
) -> (Arc<dyn Nodes>, JoinHandle<()>) {
    let source = Arc::new(FeedSource::new(feed.clone(), Some(checkpoint(root))));
    let ports = ports(machine, source.clone());
    let agent = Agent::following(LOCAL_NODE, ports, samples::settings(root), &source);
    let nodes = Arc::new(agent.nodes());
    (nodes, tokio::spawn(agent.run(std::future::pending())))
}

fn start_control(store: &Store, nodes: &Arc<dyn Nodes>) -> (Control, JoinHandle<()>) {
    let control = Control::new(ControlParts {
        names: None,
        store: store.clone(),
        nodes: nodes.clone(),
        clock: Arc::new(SystemClock),
        entropy: Entropy::system(),
        // Two slots: the second is given again while the first is held.
        settings: control_settings(Slot::all().skip(2).collect()),
        workers: control::WorkerAccess::NeedsPostgres,
    });
    let jobs = control.clone();
    (control, tokio::spawn(async move { jobs.run().await }))
}

/// Plays a history in which a backup is restored; `restarts` says whether the
/// whole server is down meanwhile.
async fn play(restarts: bool) {
    let mut here = Installation::new().await;
    let lina = here.tenant("lina").await;
    let phone = here.device(&lina, "Phone").await;
    let laptop = here.device(&lina, "Laptop").await;
    let omar = here.tenant("omar").await;
    let tablet = here.device(&omar, "Tablet").await;
    let keys = |devices: &[&DeviceView]| -> BTreeSet<String> {
        devices.iter().map(|d| d.public_key.clone()).collect()
    };
    assert_eq!(here.peers(1), keys(&[&phone, &laptop]));

    let backup = here.root.path().join("backup");
    let copy = |file: &Path| {
        fs::copy(file, &backup).unwrap();
    };
    here.restart_control(copy).await;
    // After the backup: a device and a tenant are removed, and it is confirmed;
    // another tenant takes the slot.
    here.control
        .devices()
        .delete(&lina, phone.id)
        .await
        .unwrap();
    assert!(here.control.tenants().delete(&omar).await.unwrap());
    let sara = here.tenant("sara").await;
    let watch = here.device(&sara, "Watch").await;
    assert_eq!(here.peers(1), keys(&[&laptop]));
    assert_eq!(here.peers(2), keys(&[&watch]));
    let in_force = here.store.generation(LOCAL_NODE).await.unwrap();
    // The checkpoint is written some seconds after a change.
    here.until("the checkpoint is written", || {
        let stored = checkpoint(here.root.path()).read().unwrap();
        stored.is_some_and(|spec| spec.generation == in_force)
    })
    .await;

    let restore = |file: &Path| {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", file.display()));
        }
        fs::copy(&backup, file).unwrap();
    };
    match restarts {
        true => here.restart(restore).await,
        false => here.restart_control(restore).await,
    }
    here.nodes.nudge(LOCAL_NODE);
    here.until("the restored rows are in force", || {
        here.peers(1) == keys(&[&phone, &laptop]) && here.peers(2) == keys(&[&tablet])
    })
    .await;
    here.until("nothing is left of what the backup lacks", || {
        let machine = here.machine.state();
        let containers = machine.containers.ours.iter().map(|c| &c.name);
        let expected = ["adguard_user_lina", "adguard_user_omar"];
        let names: BTreeSet<_> = containers.map(String::as_str).collect();
        names == expected.into() && !machine.folders.contains_key("user_sara")
    })
    .await;
    let generation = here.store.generation(LOCAL_NODE).await.unwrap();
    assert_eq!(generation, in_force + 1);
    let node = here.nodes.node(LOCAL_NODE).unwrap();
    assert_eq!((node.generation, node.problems), (generation, Vec::new()));

    // What came back is reported, once.
    let came_back = Message::DatabaseRestored {
        tenants: 1,
        devices: 2,
    };
    let reports = async || {
        let events = here.overview().await.events;
        events
            .into_iter()
            .filter(|e| e.message == came_back)
            .count()
    };
    for _ in 0..500 {
        if reports().await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(reports().await, 1);
    let audit = here.overview().await.audit;
    let raised = audit.iter().filter(|a| a.action == "node.restored").count();
    assert_eq!(raised, 1);

    // The node follows what comes next: nothing waits for a restart.
    here.control
        .devices()
        .delete(&lina, phone.id)
        .await
        .unwrap();
    assert_eq!(here.peers(1), keys(&[&laptop]));
    let password = Secret::new(PASSWORD);
    assert!(
        here.control
            .auth()
            .sign_in("omar", &password, FROM)
            .await
            .is_ok()
    );
    let added = here.device(&omar, "Camera").await;
    assert_eq!(here.peers(2), keys(&[&tablet, &added]));
    here.node.abort();
    here.jobs.abort();
}

#[tokio::test]
async fn a_backup_restored_while_the_node_runs_is_followed() {
    play(false).await;
}

#[tokio::test]
async fn a_backup_restored_while_the_server_is_down_is_followed() {
    play(true).await;
}
