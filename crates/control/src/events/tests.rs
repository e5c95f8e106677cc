//! Tests of the writer with made-up drifts, some of them beside a database that
//! is locked.

use super::{
    EventWriter, Timing, record,
    writer::{MAX_BATCH, MAX_PENDING},
};
use crate::test_node::{self, NOW};
use agent::{Agent, LocalNodes};
use domain::{Message, NodeHost, NodeId, NodeName, Secret, Slot, TenantName, TenantScope};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use protocol::{DriftKind, EventKind, EventTenant, Reported, recorded_message};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{CertificateRecord, Event, JoiningNode, LOCAL_NODE, NewJoinToken, Store, StoreError};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    wait::NodeWait,
};
use tokio::{sync::broadcast, task::JoinHandle};

const TIMEOUT: Duration = Duration::from_secs(20);

struct Rig {
    writer: Arc<EventWriter>,
    store: Store,
    machine: FakeMachine,
    nodes: LocalNodes,
    agent: Option<Agent>,
    reports: broadcast::Sender<EventKind>,
    running: JoinHandle<()>,
    root: tempfile::TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.running.abort();
    }
}

type Reports = BoxStream<'static, Reported>;

/// Returns what a node reports through a channel.
fn reports(channel: &broadcast::Sender<EventKind>) -> Reports {
    let node = LOCAL_NODE;
    stream::unfold(channel.subscribe(), move |mut events| async move {
        let report = match events.recv().await {
            Ok(event) => Reported::Event { node, event },
            Err(broadcast::error::RecvError::Lagged(count)) => Reported::Missed { node, count },
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((report, events))
    })
    .boxed()
}

impl Rig {
    /// Builds a writer that, once it runs, reads events from a channel of that
    /// capacity.
    async fn new(capacity: usize) -> (Self, Reports) {
        Self::with(capacity, Timing::default().min_interval).await
    }

    async fn with(capacity: usize, min_interval: Duration) -> (Self, Reports) {
        let root = tempfile::tempdir().unwrap();
        let store = test_node::store(root.path()).await;
        let machine = FakeMachine::new();
        let agent = test_node::agent(&machine, test_node::specs(&store), root.path());
        let nodes = agent.nodes();
        let timing = Timing {
            gather: Duration::from_millis(50),
            retry: Duration::from_millis(50),
            check: Duration::from_millis(20),
            min_duration: Duration::from_millis(200),
            min_interval,
        };
        let clock = Arc::new(FakeClock::at(NOW));
        let writer = Arc::new(EventWriter::new(
            store.clone(),
            Arc::new(nodes.clone()),
            clock,
            test_node::leases(&store, Arc::new(nodes.clone())),
            timing,
        ));
        let channel = broadcast::Sender::new(capacity);
        let receiver = reports(&channel);
        let rig = Self {
            writer,
            store,
            machine,
            nodes,
            agent: Some(agent),
            reports: channel,
            running: tokio::spawn(async {}),
            root,
        };
        (rig, receiver)
    }

    fn run(&mut self, reports: Reports) {
        let writer = self.writer.clone();
        self.running = tokio::spawn(async move {
            tokio::join!(writer.record_reports(reports), writer.write_when_due());
        });
    }

    async fn tenant(&self, name: &str) -> TenantScope {
        test_node::tenant(&self.store, name).await
    }

    fn send(&self, slot: u16, name: &str, kind: DriftKind) {
        let tenant = Some(EventTenant {
            slot: Slot::new(slot).unwrap(),
            name: TenantName::parse(name).unwrap(),
        });
        let drift = EventKind::Drift {
            tenant,
            drift: kind,
        };
        self.reports.send(drift).unwrap();
    }

    /// Returns the log once it has that many events and does not grow any more.
    async fn log(&self, events: usize) -> Vec<Event> {
        let until = Instant::now() + TIMEOUT;
        loop {
            let log = self.store.events_recent(u32::MAX).await.unwrap();
            if log.len() >= events {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let later = self.store.events_recent(u32::MAX).await.unwrap();
                assert_eq!(later.len(), events, "{:?}", later.first());
                return later;
            }
            assert!(Instant::now() < until, "{} of {events}", log.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn lost(lost: &BTreeMap<NodeId, u64>) -> u64 {
    lost.get(&LOCAL_NODE).copied().unwrap_or_default()
}

fn message(event: &Event) -> Message {
    recorded_message(&event.kind, &event.detail)
}

#[tokio::test]
async fn a_drift_is_written_once_a_minute_for_its_tenant() {
    let (mut rig, drifts) = Rig::new(64).await;
    let lina = rig.tenant("lina").await;
    let omar = rig.tenant("omar-1").await;
    rig.run(drifts);
    for _ in 0..50 {
        rig.send(1, "lina", DriftKind::InterfaceGone);
        tokio::task::yield_now().await;
    }
    rig.send(1, "lina", DriftKind::InterfaceDown);
    let rules = EventKind::Drift {
        tenant: None,
        drift: DriftKind::RulesGone,
    };
    rig.reports.send(rules).unwrap();
    let log = rig.log(3).await;
    let kinds: Vec<_> = log.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "drift.rules_gone",
            "drift.interface_down",
            "drift.interface_gone"
        ]
    );
    assert_eq!(
        message(&log[2]),
        Message::DriftInterfaceGone {
            name: "lina".into(),
            interface: "wg1".into(),
        }
    );
    let of_lina = rig.store.tenant_events(&lina, 9).await.unwrap();
    assert_eq!(of_lina, log[1..]);
    assert_eq!(rig.store.tenant_events(&omar, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_flood_is_few_transactions_and_losses_are_counted() {
    let (mut rig, drifts) = Rig::new(2_048).await;
    for slot in 1..=1_000 {
        for kind in [DriftKind::InterfaceGone, DriftKind::ContainerGone] {
            rig.send(slot, &format!("tenant{slot}"), kind);
        }
    }
    let recording = rig.writer.record_reports(drifts);
    let recording = tokio::time::timeout(Duration::from_millis(500), recording);
    recording.await.unwrap_err();
    let start = Instant::now();
    let batches: Vec<_> =
        std::iter::from_fn(|| Some(rig.writer.next_batch()).filter(|b| !b.is_empty()))
            .inspect(|batch| assert!(batch[&LOCAL_NODE].len() <= MAX_BATCH))
            .collect();
    assert_eq!(batches.len(), 2, "transactions");
    for batch in &batches {
        rig.writer.write(LOCAL_NODE, &batch[&LOCAL_NODE]).await;
    }
    println!("2,000 drifts were written in {:?}", start.elapsed());
    rig.log(2_000).await;

    // More at once than the channel's capacity: the oldest are missed.
    let drifts = reports(&rig.reports);
    for slot in 1..=1_000 {
        for kind in [
            DriftKind::KeyChanged,
            DriftKind::FolderGone,
            DriftKind::ConfChanged,
        ] {
            rig.send(slot, &format!("tenant{slot}"), kind);
        }
    }
    rig.run(drifts);
    let log = rig.log(2_000 + 2_048 + 1).await;
    assert_eq!(log[0].kind, "events.lost");
    assert_eq!(message(&log[0]), Message::EventsLost { count: 952 });
    assert_eq!(log[0].tenant, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_delays_nothing_and_losses_are_logged() {
    let (mut rig, drifts) = Rig::new(512).await;
    let lina = rig.tenant("lina").await;
    rig.run(drifts);
    // Another process locks the file: a write fails after five seconds.
    let other = test_node::store(rig.root.path()).await;
    let lock = other.lock_writes_for_test().await.unwrap();
    let since = Instant::now();
    rig.send(1, "lina", DriftKind::InterfaceGone);
    // Long enough for the first batch to wait for the database.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sent = 10_000_usize;
    for n in 0..sent {
        let slot = u16::try_from(n % 1_000 + 1).unwrap();
        // Every one is different, so that none is left out as repeated.
        let kind = [
            DriftKind::KeyChanged,
            DriftKind::InterfaceDown,
            DriftKind::AddressChanged,
            DriftKind::ElementsChanged,
            DriftKind::ContainerGone,
            DriftKind::ContainerStopped,
            DriftKind::ContainerPaused,
            DriftKind::ConfChanged,
            DriftKind::KeysDamaged,
            DriftKind::FolderGone,
        ][n / 1_000];
        rig.send(slot, "somebody", kind);
        // The sender waits for nothing, and the writer keeps up with it.
        let until = Instant::now() + TIMEOUT;
        while rig.reports.len() > 256 {
            assert!(Instant::now() < until, "drifts are not recorded");
            tokio::task::yield_now().await;
        }
    }
    let until = Instant::now() + TIMEOUT;
    // The last drift leaves the channel before it is counted.
    let counted = || {
        let queue = rig.writer.queue();
        queue.pending.len() + lost(&queue.lost) as usize
    };
    while counted() < sent {
        assert!(Instant::now() < until, "drifts are not recorded");
        tokio::task::yield_now().await;
    }
    {
        let queue = rig.writer.queue();
        assert_eq!(queue.pending.len(), MAX_PENDING);
        assert_eq!(lost(&queue.lost), (sent - MAX_PENDING) as u64);
    }
    // Until the first attempt has failed.
    tokio::time::sleep(Duration::from_secs(6).saturating_sub(since.elapsed())).await;
    assert_eq!(rig.store.events_recent(9).await.unwrap(), []);

    drop(lock);
    let log = rig.log(1 + MAX_PENDING + 1).await;
    let lost = sent - MAX_PENDING;
    let count = lost as u64;
    assert_eq!(message(&log[0]), Message::EventsLost { count });
    let of_lina = rig.store.tenant_events(&lina, 9).await.unwrap();
    assert_eq!(of_lina, log[MAX_PENDING + 1..], "the first is not lost");
    rig.send(1, "lina", DriftKind::PortChanged { port: 1 });
    assert_eq!(rig.log(MAX_PENDING + 3).await[0].kind, "drift.port_changed");
}

#[tokio::test]
async fn a_failing_part_is_logged_once_for_its_tenant() {
    let (mut rig, _drifts) = Rig::with(64, Duration::from_millis(500)).await;
    tokio::spawn(rig.agent.take().unwrap().run(std::future::pending()));
    let writer = rig.writer.clone();
    rig.running = tokio::spawn(async move { writer.run().await });
    let omar = rig.tenant("omar-1").await;
    assert!(rig.nodes.engine().applied(Slot::FIRST, 1, TIMEOUT).await);
    let ready = async |slot: u16| {
        let mut state = rig.nodes.engine().watch(Slot::new(slot).unwrap());
        let ready = state.wait_for(|s| s.as_ref().is_some_and(|s| s.status.is_ready()));
        let ready = tokio::time::timeout(TIMEOUT, ready).await;
        assert!(ready.is_ok_and(|r| r.is_ok()), "slot {slot} is not ready");
    };
    ready(1).await;
    rig.machine.fail("containers.start", true);
    let lina = rig.tenant("lina").await;
    rig.nodes.engine().nudge();
    let failed = rig.log(1).await;
    assert_eq!(failed[0].kind, "part.dns.failed");
    assert_eq!(failed[0].tenant, Some(lina.tenant()));
    // Long enough for more attempts.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.log(1).await, failed);
    rig.machine.fail("containers.start", false);
    ready(2).await;
    let log = rig.log(2).await;
    assert_eq!(log[0].kind, "part.dns.back");
    let name = "lina".to_owned();
    assert_eq!(message(&log[0]), Message::DnsPartBack { name });
    assert_eq!(rig.store.tenant_events(&lina, 9).await.unwrap(), log);

    // A problem of the node itself belongs to no tenant.
    rig.machine.fail("folders.observe", true);
    assert_eq!(rig.log(3).await[0].kind, "node.internal.failed");
    rig.machine.fail("folders.observe", false);
    let log = rig.log(4).await;
    assert_eq!(log[0].kind, "node.internal.back");
    assert_eq!((log[0].tenant, log[1].tenant), (None, None));
    assert_eq!(rig.store.tenant_events(&omar, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_batch_that_the_database_rejects_is_dropped() {
    let (rig, _drifts) = Rig::new(64).await;
    let events = [record::row(&EventKind::EventsLost { count: 1 }, NOW)];
    let written = rig.writer.write(NodeId(77), &events);
    let written = tokio::time::timeout(TIMEOUT, written).await;
    assert!(written.is_ok(), "it is retried forever");
    rig.log(0).await;
}

#[tokio::test]
async fn a_report_before_the_jobs_begin_is_written() {
    let (mut rig, _reports) = Rig::new(64).await;
    let agent = rig.agent.take().unwrap();
    tokio::spawn(agent.run(std::future::pending()));
    rig.tenant("lina").await;
    assert!(rig.nodes.engine().applied(Slot::FIRST, 1, TIMEOUT).await);
    rig.machine.state().firewall = Default::default();
    // Longer than the node's interval between two checks.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let writer = rig.writer.clone();
    rig.running = tokio::spawn(async move { writer.run().await });
    assert_eq!(rig.log(1).await[0].kind, "drift.rules_gone");
}

/// Makes a worker of that name in the database.
async fn worker(store: &Store, name: &str) -> NodeId {
    let secret = Secret::new("secret");
    let token = NewJoinToken {
        may_be_local: false,
        id: name,
        secret: &secret,
        node: None,
        actor: "test".into(),
        now: NOW,
        expires: NOW.plus_millis(1),
    };
    store.create_join_token(token).await.unwrap();
    let joining = JoiningNode {
        token: name.to_owned(),
        secret,
        name: NodeName::parse(name).unwrap(),
        host: NodeHost::parse(name).unwrap(),
        version: "1".to_owned(),
        now: NOW,
    };
    let certificate = CertificateRecord {
        serial: name.to_owned(),
        public_key: name.to_owned(),
        expires: NOW,
    };
    let issue = |_| Ok::<_, StoreError>((certificate, ()));
    store.join_node(joining, issue).await.unwrap().0
}

#[tokio::test]
async fn a_workers_silence_and_its_end_are_events() {
    let (rig, _) = Rig::with(16, Duration::ZERO).await;
    let node = worker(&rig.store, "fra1").await;
    let heard = worker(&rig.store, "fra2").await;
    rig.store.note_heard(heard, "1", NOW).await.unwrap();
    let writer = rig.writer.clone();
    let running = tokio::spawn(async move { writer.run().await });
    let log = rig.log(1).await;
    assert_eq!(
        (log[0].node, log[0].kind.as_str()),
        (node, "node.node_unreachable.failed")
    );
    assert_eq!(message(&log[0]), Message::NodeNeverHeard);
    rig.store.note_heard(node, "1", NOW).await.unwrap();
    let log = rig.log(2).await;
    assert_eq!(
        (log[0].node, log[0].kind.as_str()),
        (node, "node.node_unreachable.back")
    );
    running.abort();
}
