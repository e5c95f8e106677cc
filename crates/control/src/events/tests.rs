//! Tests of the writer with findings made up, some of them with a database that
//! has stopped.

use super::{BATCH, Pace, Recorder, WAITING, words};
use crate::StoreSpecs;
use domain::{AddressPlan, NodeId, Secret, Slot, TenantName, TenantScope, Timestamp};
use provisioning::{
    Node, NodeHandle, NodePorts,
    drift::{Drift, Found},
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};
use store::{DatabaseUrl, Event, LOCAL_NODE, NewTenant, Sealer, Store};
use testkit::{
    fakes::{FakeClock, FakeMachine},
    samples,
};
use tokio::{sync::broadcast, task::JoinHandle};

const NOW: Timestamp = Timestamp::from_secs(1_795_478_400);
const PATIENCE: Duration = Duration::from_secs(20);

struct Bed {
    recorder: Arc<Recorder>,
    store: Store,
    machine: FakeMachine,
    handle: NodeHandle,
    node: Option<Node>,
    drifts: broadcast::Sender<Drift>,
    running: JoinHandle<()>,
    root: tempfile::TempDir,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Bed {
    /// A writer that reads findings from a channel of ours, once it runs.
    async fn new(places: usize) -> (Self, broadcast::Receiver<Drift>) {
        Self::with(places, Pace::default().apart).await
    }

    async fn with(places: usize, apart: Duration) -> (Self, broadcast::Receiver<Drift>) {
        let root = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(root.path().join("database.sqlite"));
        let store = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
        let machine = FakeMachine::new();
        let all = Arc::new(machine.clone());
        let ports = NodePorts {
            wireguard: all.clone(),
            firewall: all.clone(),
            containers: all.clone(),
            dns: all.clone(),
            folders: all,
            specs: Arc::new(StoreSpecs::new(store.clone(), LOCAL_NODE)),
        };
        let (node, handle) = Node::new(ports, samples::settings(root.path()));
        let pace = Pace {
            gather: Duration::from_millis(50),
            retry: Duration::from_millis(50),
            look: Duration::from_millis(20),
            lasting: Duration::from_millis(200),
            apart,
        };
        let clock = Arc::new(FakeClock::at(NOW));
        let recorder = Arc::new(Recorder::new(
            store.clone(),
            handle.clone(),
            clock,
            LOCAL_NODE,
            pace,
        ));
        let (drifts, found) = broadcast::channel(places);
        let bed = Self {
            recorder,
            store,
            machine,
            handle,
            node: Some(node),
            drifts,
            running: tokio::spawn(async {}),
            root,
        };
        (bed, found)
    }

    fn run(&mut self, found: broadcast::Receiver<Drift>) {
        let recorder = self.recorder.clone();
        self.running = tokio::spawn(async move {
            tokio::join!(recorder.takes(found), recorder.writes());
        });
    }

    async fn tenant(&self, name: &str) -> TenantScope {
        let name = TenantName::parse(name).unwrap();
        let tenant = NewTenant {
            name: name.clone(),
            password_hash: Secret::new("hash"),
            plan: "home".to_owned(),
            private_key: samples::key(name.as_str().len().try_into().unwrap(), 0),
            dns_password: Secret::new("dns"),
            dns_password_hash: "hash".to_owned(),
            now: NOW,
        };
        let made = self
            .store
            .create_tenant(tenant, &AddressPlan::default(), &BTreeSet::new())
            .await
            .unwrap();
        TenantScope::issue(made.id, name, "test")
    }

    fn found(&self, slot: u16, name: &str, what: Found) {
        let tenant = Some((Slot::new(slot).unwrap(), TenantName::parse(name).unwrap()));
        self.drifts.send(Drift { tenant, what }).unwrap();
    }

    /// The log once it has so many events and does not grow any more.
    async fn log(&self, events: usize) -> Vec<Event> {
        let until = Instant::now() + PATIENCE;
        loop {
            let log = self.store.events_recent(u32::MAX).await.unwrap();
            if log.len() >= events {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let again = self.store.events_recent(u32::MAX).await.unwrap();
                assert_eq!(again.len(), events, "{:?}", again.first());
                return again;
            }
            assert!(Instant::now() < until, "{} of {events}", log.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_finding_is_written_for_its_tenant_and_told_once_a_minute() {
    let (mut bed, found) = Bed::new(64).await;
    let lina = bed.tenant("lina").await;
    let omar = bed.tenant("omar-1").await;
    bed.run(found);
    for _ in 0..50 {
        bed.found(1, "lina", Found::InterfaceGone);
        tokio::task::yield_now().await;
    }
    bed.found(1, "lina", Found::InterfaceDown);
    let rules = Drift {
        tenant: None,
        what: Found::RulesGone,
    };
    bed.drifts.send(rules).unwrap();
    let log = bed.log(3).await;
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
        log[2].detail,
        "lina's interface wg1 was gone; it is made again."
    );
    let theirs = bed.store.tenant_events(&lina, 9).await.unwrap();
    assert_eq!(theirs, log[1..]);
    assert_eq!(bed.store.tenant_events(&omar, 9).await.unwrap(), []);
}

#[tokio::test]
async fn a_flood_is_a_few_transactions_and_what_was_missed_is_told() {
    let (mut bed, found) = Bed::new(2_048).await;
    for slot in 1..=1_000 {
        for what in [Found::InterfaceGone, Found::ContainerGone] {
            bed.found(slot, &format!("tenant{slot}"), what);
        }
    }
    let taking = tokio::time::timeout(Duration::from_millis(500), bed.recorder.takes(found));
    taking.await.unwrap_err();
    let start = Instant::now();
    let batches: Vec<_> =
        std::iter::from_fn(|| Some(bed.recorder.take()).filter(|b| !b.is_empty()))
            .inspect(|batch| assert!(batch.len() <= BATCH))
            .collect();
    assert_eq!(batches.len(), 2, "transactions");
    for batch in &batches {
        bed.recorder.write(batch).await;
    }
    println!("2,000 findings were written in {:?}", start.elapsed());
    bed.log(2_000).await;

    // More in one go than the channel holds: the oldest are missed.
    let found = bed.drifts.subscribe();
    for slot in 1..=1_000 {
        for what in [Found::KeyChanged, Found::FolderGone, Found::ConfChanged] {
            bed.found(slot, &format!("tenant{slot}"), what);
        }
    }
    bed.run(found);
    let log = bed.log(2_000 + 2_048 + 1).await;
    assert_eq!(log[0].kind, "events.lost");
    assert!(log[0].detail.starts_with("952 more"), "{}", log[0].detail);
    assert_eq!(log[0].tenant, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_has_stopped_delays_nobody_and_the_log_says_what_it_cost() {
    let (mut bed, found) = Bed::new(512).await;
    let lina = bed.tenant("lina").await;
    bed.run(found);
    // Another process holds the file: writing fails after five seconds.
    let url = DatabaseUrl::Sqlite(bed.root.path().join("database.sqlite"));
    let other = Store::open(&url, Sealer::from_key([1; 32])).await.unwrap();
    let held = other.hold().await.unwrap();
    let since = Instant::now();
    bed.found(1, "lina", Found::InterfaceGone);
    // Long enough for the first batch to be at the database's door.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let sent = 10_000_usize;
    for n in 0..sent {
        let slot = u16::try_from(n % 1_000 + 1).unwrap();
        // Each tells another thing, so that none is left out as told.
        let what = [
            Found::KeyChanged,
            Found::InterfaceDown,
            Found::AddressChanged,
            Found::ElementsChanged,
            Found::ContainerGone,
            Found::ContainerStopped,
            Found::ContainerPaused,
            Found::ConfChanged,
            Found::KeysDamaged,
            Found::FolderGone,
        ][n / 1_000];
        bed.found(slot, "somebody", what);
        // Who finds waits for nobody; who reads is not asleep either.
        let until = Instant::now() + PATIENCE;
        while bed.drifts.len() > 256 {
            assert!(Instant::now() < until, "nobody takes what is found");
            tokio::task::yield_now().await;
        }
    }
    let until = Instant::now() + PATIENCE;
    // The last one is taken before it is counted.
    let counted = || {
        let queue = bed.recorder.queue();
        queue.waiting.len() + queue.lost as usize
    };
    while counted() < sent {
        assert!(Instant::now() < until, "nobody takes what is found");
        tokio::task::yield_now().await;
    }
    {
        let queue = bed.recorder.queue();
        assert_eq!(queue.waiting.len(), WAITING);
        assert_eq!(queue.lost, (sent - WAITING) as u64);
    }
    // Until a first try has failed.
    tokio::time::sleep(Duration::from_secs(6).saturating_sub(since.elapsed())).await;
    assert_eq!(bed.store.events_recent(9).await.unwrap(), []);

    drop(held);
    let log = bed.log(1 + WAITING + 1).await;
    let lost = sent - WAITING;
    assert!(
        log[0].detail.starts_with(&format!("{lost} more")),
        "{:?}",
        log[0]
    );
    let theirs = bed.store.tenant_events(&lina, 9).await.unwrap();
    assert_eq!(theirs, log[WAITING + 1..], "what came first is kept");
    bed.found(1, "lina", Found::PortChanged(1));
    assert_eq!(bed.log(WAITING + 3).await[0].kind, "drift.port_changed");
}

#[tokio::test]
async fn what_fails_and_comes_back_is_told_for_whom_it_concerns_and_not_for_each_try() {
    let (mut bed, _found) = Bed::with(64, Duration::from_millis(500)).await;
    tokio::spawn(bed.node.take().unwrap().run(std::future::pending()));
    let recorder = bed.recorder.clone();
    bed.running = tokio::spawn(async move { recorder.run().await });
    let omar = bed.tenant("omar-1").await;
    assert!(bed.handle.applied(Slot::FIRST, 1, PATIENCE).await);
    let ready = async |slot: u16| {
        let mut state = bed.handle.watch(Slot::new(slot).unwrap());
        let ready = state.wait_for(|s| s.as_ref().is_some_and(|s| s.status.is_ready()));
        let ready = tokio::time::timeout(PATIENCE, ready).await;
        assert!(ready.is_ok_and(|r| r.is_ok()), "slot {slot} is not ready");
    };
    ready(1).await;
    bed.machine.fail("containers.start", true);
    let lina = bed.tenant("lina").await;
    bed.handle.nudge();
    let failed = bed.log(1).await;
    assert_eq!(failed[0].kind, "part.dns.failed");
    assert_eq!(failed[0].tenant, Some(lina.tenant()));
    // Long enough for more tries.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(bed.log(1).await, failed);
    bed.machine.fail("containers.start", false);
    ready(2).await;
    let log = bed.log(2).await;
    assert_eq!(log[0].kind, "part.dns.back");
    assert_eq!(log[0].detail, "lina's DNS filter works again.");
    assert_eq!(bed.store.tenant_events(&lina, 9).await.unwrap(), log);

    // The node's own trouble is no tenant's.
    bed.machine.fail("folders.observe", true);
    assert_eq!(bed.log(3).await[0].kind, "node.internal.failed");
    bed.machine.fail("folders.observe", false);
    let log = bed.log(4).await;
    assert_eq!(log[0].kind, "node.internal.back");
    assert_eq!((log[0].tenant, log[1].tenant), (None, None));
    assert_eq!(bed.store.tenant_events(&omar, 9).await.unwrap(), []);
}

#[tokio::test]
async fn what_the_database_takes_for_wrong_is_given_up() {
    let (bed, _found) = Bed::new(64).await;
    let nowhere = Recorder::new(
        bed.store.clone(),
        bed.handle.clone(),
        Arc::new(FakeClock::at(NOW)),
        NodeId(77),
        bed.recorder.pace,
    );
    let event = words::lost(1, NOW);
    let written = tokio::time::timeout(PATIENCE, nowhere.write(&[event])).await;
    assert!(written.is_ok(), "it is tried for ever");
    bed.log(0).await;
}
