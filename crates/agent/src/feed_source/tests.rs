//! What is loaded is stored, what is revoked is removed first, and what comes
//! back with a restored database is reported.

use super::*;
use domain::{NodeId, Problem, Slot};
use protocol::TenantSpec;
use seal::Sealer;
use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use testkit::samples;

fn spec(generation: u64, tenants: u16) -> NodeSpec {
    let s = samples::settings(Path::new("/nowhere"));
    let tenants = (1..=tenants).map(|n| {
        let mut t = samples::tenant(&s, n, (n % 5) as u8);
        t.suspended = n % 3 == 0;
        (t.slot, t.into())
    });
    NodeSpec {
        generation,
        tenants: tenants.collect(),
        ..NodeSpec::default()
    }
}

fn checkpoint_in(root: &Path) -> SpecCheckpoint {
    SpecCheckpoint::new(root.join("last_spec"), Sealer::from_key([7; 32]), NodeId(1))
}

/// A feed whose answer the test sets.
#[derive(Clone)]
struct Feed {
    answer: Arc<Mutex<SpecAnswer>>,
    /// The generation that the node had in force at the last load.
    in_force: Arc<AtomicU64>,
}

impl Feed {
    fn new(spec: NodeSpec) -> Self {
        let restored = false;
        Self {
            answer: Arc::new(Mutex::new(SpecAnswer { spec, restored })),
            in_force: Arc::default(),
        }
    }

    fn set(&self, change: impl FnOnce(&mut NodeSpec)) {
        let mut answer = self.answer.lock().unwrap();
        answer.spec.generation += 1;
        change(&mut answer.spec);
    }

    fn set_tenant(&self, n: u16, change: impl FnOnce(&mut TenantSpec)) {
        let slot = Slot::new(n).unwrap();
        self.set(|spec| change(Arc::make_mut(spec.tenants.get_mut(&slot).unwrap())));
    }

    fn spec(&self) -> NodeSpec {
        self.answer.lock().unwrap().spec.clone()
    }

    fn source(&self, checkpoint: &SpecCheckpoint) -> FeedSource {
        FeedSource::new(Arc::new(self.clone()), Some(checkpoint.clone()))
    }

    fn in_force(&self) -> u64 {
        self.in_force.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl SpecFeed for Feed {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        self.in_force.store(in_force, Ordering::Relaxed);
        Ok(self.answer.lock().unwrap().clone())
    }
}

async fn until_written(checkpoint: &SpecCheckpoint, spec: &NodeSpec) {
    while checkpoint.read().unwrap().as_ref() != Some(spec) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn many_changes_are_written_once_with_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    let feed = Feed::new(spec(1, 2));
    let source = feed.source(&checkpoint);
    source.load(0).await.unwrap();
    for _ in 0..9 {
        feed.set(|_| {});
        source.load(0).await.unwrap();
    }
    assert!(
        checkpoint.read().unwrap().is_none(),
        "no load waits for the disk"
    );
    while checkpoint.read().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(checkpoint.read().unwrap(), Some(spec(10, 2)));
    assert!(checkpoint.load(0).await.unwrap().is_earlier);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_removes_the_file() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    let feed = Feed::new(spec(1, 4));
    let source = feed.source(&checkpoint);
    let written = async || until_written(&checkpoint, &feed.spec()).await;
    source.load(0).await.unwrap();
    written().await;
    // A change that revokes nothing leaves the file: it admits nothing new.
    feed.set_tenant(4, |t| t.dns_password_hash = "another".to_owned());
    source.load(0).await.unwrap();
    assert!(checkpoint.read().unwrap().is_some());
    written().await;

    let first = |t: &TenantSpec| *t.devices.keys().next().unwrap();
    let revocations: [&dyn Fn(&mut TenantSpec); 3] = [
        &|t| t.devices.values_mut().for_each(|d| d.mesh = false),
        &|t| drop(t.devices.remove(&first(t))),
        &|t| t.suspended = true,
    ];
    for revoke in revocations {
        feed.set_tenant(4, revoke);
        source.load(0).await.unwrap();
        assert!(checkpoint.read().unwrap().is_none(), "it is in force now");
        written().await;
    }
    feed.set(|spec| drop(spec.tenants.pop_first()));
    source.load(0).await.unwrap();
    assert!(checkpoint.read().unwrap().is_none());
    written().await;
}

#[tokio::test(start_paused = true)]
async fn a_revocation_while_no_process_ran_removes_the_file() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    checkpoint.write(&spec(7, 2)).unwrap();
    let feed = Feed::new(spec(8, 1));
    feed.source(&checkpoint).load(0).await.unwrap();
    assert_eq!(feed.in_force(), 7, "the machine may still hold it");
    assert!(checkpoint.read().unwrap().is_none());
}

/// A feed that answers once the test has set something.
#[derive(Default)]
struct SilentFeed(Mutex<Option<SpecAnswer>>);

#[async_trait]
impl SpecFeed for SilentFeed {
    async fn load(&self, _in_force: u64) -> Result<SpecAnswer, Problem> {
        self.0.lock().unwrap().clone().ok_or(Problem {
            code: domain::ErrorCode::Internal,
            message: domain::Message::Unexpected,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_is_in_force_until_the_feed_answers() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    let feed = Arc::new(SilentFeed::default());
    let source = FeedSource::new(feed.clone(), Some(checkpoint.clone()));
    assert!(source.load(0).await.is_err(), "there is no checkpoint");

    checkpoint.write(&spec(7, 3)).unwrap();
    let source = FeedSource::new(feed.clone(), Some(checkpoint.clone()));
    // It may lack tenants that came after it was written: the engine is told so.
    let earlier = NodeSpec {
        is_earlier: true,
        ..spec(7, 3)
    };
    assert_eq!(source.load(0).await.unwrap(), earlier);
    assert_eq!(source.load(7).await.unwrap(), earlier, "at every tick");

    let (spec, restored) = (spec(8, 2), false);
    *feed.0.lock().unwrap() = Some(SpecAnswer {
        spec: spec.clone(),
        restored,
    });
    assert_eq!(source.load(7).await.unwrap(), spec);
    assert!(checkpoint.read().unwrap().is_none(), "a tenant was deleted");
    // From now on an error is one: the engine has the newer spec in force.
    *feed.0.lock().unwrap() = None;
    assert!(source.load(8).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_written_again() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    std::fs::write(checkpoint.path(), "v1:nothing").unwrap();
    let feed = Feed::new(spec(8, 2));
    let source = feed.source(&checkpoint);
    assert_eq!(source.load(0).await.unwrap(), spec(8, 2));
    assert_eq!(feed.in_force(), 0);
    source.load(5).await.unwrap();
    assert_eq!(feed.in_force(), 8, "the newer of what both know");
    while checkpoint.read().is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(checkpoint.read().unwrap(), Some(spec(8, 2)));
}

#[tokio::test(start_paused = true)]
async fn what_a_restored_database_brings_back_is_reported_once() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    // Of the slots 1, 2, 4 and 5, with 1, 2, 4 and 0 devices; 3 is suspended.
    let backup = spec(3, 5);
    let feed = Feed::new(backup.clone());
    let source = feed.source(&checkpoint);
    let mut events = source.events().subscribe();
    source.load(0).await.unwrap();
    feed.set(|spec| drop(spec.tenants.pop_first()));
    feed.set_tenant(2, |t| t.suspended = true);
    feed.set_tenant(4, |t| drop(t.devices.pop_first()));
    feed.set_tenant(5, |t| t.dns_password_hash = "another".to_owned());
    source.load(3).await.unwrap();
    until_written(&checkpoint, &feed.spec()).await;
    assert!(events.try_recv().is_err(), "an ordinary change");

    let restored = NodeSpec {
        generation: 8,
        ..backup
    };
    *feed.answer.lock().unwrap() = SpecAnswer {
        spec: restored.clone(),
        restored: true,
    };
    assert_eq!(source.load(7).await.unwrap(), restored);
    let reported = EventKind::DatabaseRestored {
        tenants: 2,
        devices: 1 + 2 + 1,
    };
    assert_eq!(events.try_recv().unwrap(), reported);
    feed.answer.lock().unwrap().restored = false;
    source.load(8).await.unwrap();
    assert!(events.try_recv().is_err());
    // Nothing was revoked with it, so the file stays until it is written again.
    assert!(checkpoint.read().unwrap().is_some());
    until_written(&checkpoint, &restored).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_tenant_is_kept_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint_in(root.path());
    checkpoint.write(&spec(7, 2)).unwrap();
    let feed = Feed::new(spec(8, 2));
    let (slot, lost) = (Slot::FIRST, spec(8, 2).tenants[&Slot::FIRST].clone());
    let unreadable = protocol::UnreadableTenant {
        name: Some(lost.name.clone()),
        owner: Some(lost.private_key.public()),
        place: "a row".to_owned(),
    };
    feed.set(|spec| {
        spec.tenants.remove(&slot);
        spec.unreadable.insert(slot, unreadable);
    });
    let mut kept = feed.spec();
    kept.tenants.insert(slot, lost);
    let source = feed.source(&checkpoint);
    assert_eq!(source.load(0).await.unwrap(), kept);
    // Nothing is revoked, so the file stays; and it holds what is kept.
    assert!(checkpoint.read().unwrap().is_some());
    until_written(&checkpoint, &kept).await;
    assert_eq!(feed.source(&checkpoint).load(0).await.unwrap(), kept);

    // Once the row can be read, what it says is in force and stored, even if its
    // generation is the same.
    feed.answer.lock().unwrap().spec = NodeSpec {
        generation: kept.generation,
        ..spec(0, 2)
    };
    assert_eq!(source.load(9).await.unwrap(), feed.spec());
    until_written(&checkpoint, &feed.spec()).await;
}

/// A burst of changes is written seconds later, and an orderly end does not wait for that.
#[tokio::test]
async fn an_orderly_end_stores_the_newest_spec() {
    let dir = tempfile::tempdir().unwrap();
    let (feed, checkpoint) = (Feed::new(spec(1, 1)), checkpoint_in(dir.path()));
    let source = feed.source(&checkpoint);
    source.load(0).await.unwrap();
    source.flush().await;
    assert_eq!(checkpoint.read().unwrap(), Some(feed.spec()));
    feed.set(|s| {
        *s = NodeSpec {
            generation: s.generation,
            ..spec(0, 5)
        }
    });
    source.load(1).await.unwrap();
    assert_eq!(checkpoint.read().unwrap().unwrap().tenants.len(), 1);
    source.flush().await;
    assert_eq!(checkpoint.read().unwrap(), Some(feed.spec()));
}
