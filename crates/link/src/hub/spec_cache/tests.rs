use super::*;
use async_trait::async_trait;
use std::path::Path;
use testkit::samples;

#[derive(Default)]
struct Rows {
    spec: NodeSpec,
    /// The generation of each tenant's last change.
    changed: BTreeMap<Slot, u64>,
    /// How often all was read.
    wholes: u32,
}

/// Answers what it was set to.
#[derive(Default)]
struct Feed(Mutex<Rows>);

impl Feed {
    /// Sets the tenants of a generation: their slots and numbers of devices.
    fn set(&self, generation: u64, tenants: &[(u16, u8)]) {
        let settings = samples::settings(Path::new("/nowhere"));
        let mut rows = self.0.lock().unwrap();
        let before = std::mem::take(&mut rows.spec.tenants);
        for &(slot, devices) in tenants {
            let tenant = Arc::new(samples::tenant(&settings, slot, devices));
            if before.get(&tenant.slot) != Some(&tenant) {
                rows.changed.insert(tenant.slot, generation);
            }
            rows.spec.tenants.insert(tenant.slot, tenant);
        }
        rows.spec.generation = generation;
    }

    fn spec(&self) -> NodeSpec {
        self.0.lock().unwrap().spec.clone()
    }

    fn wholes(&self) -> u32 {
        self.0.lock().unwrap().wholes
    }
}

#[async_trait]
impl SpecFeed for Feed {
    async fn load(&self, _in_force: u64) -> Result<SpecAnswer, Problem> {
        let mut rows = self.0.lock().unwrap();
        rows.wholes += 1;
        Ok(SpecAnswer {
            spec: rows.spec.clone(),
            restored: false,
        })
    }

    async fn changes(
        &self,
        since: u64,
        known: &BTreeSet<Slot>,
        _in_force: u64,
    ) -> Result<Option<SpecChanges>, Problem> {
        let rows = self.0.lock().unwrap();
        let tenants = rows.spec.tenants.values();
        let changed = tenants.filter(|t| rows.changed[&t.slot] > since);
        let removed = known.iter().filter(|s| !rows.spec.tenants.contains_key(s));
        Ok(Some(SpecChanges {
            generation: rows.spec.generation,
            changed: changed.cloned().collect(),
            unreadable: BTreeMap::new(),
            removed: removed.copied().collect(),
            moved: Some(rows.spec.moved.clone()),
        }))
    }
}

/// A worker: what it has, and its cache.
struct Worker {
    feed: Arc<Feed>,
    cache: SpecCache,
    spec: NodeSpec,
    prints: Option<SpecFingerprints>,
}

impl Worker {
    fn new() -> Self {
        let feed = Arc::new(Feed::default());
        Self {
            cache: cache(&feed),
            feed,
            spec: NodeSpec::default(),
            prints: None,
        }
    }

    fn query(&self) -> SpecQuery {
        SpecQuery {
            since: self.spec.generation,
            digest: self.prints.as_ref().map(SpecFingerprints::digest),
            wait: 0,
        }
    }

    /// Asks, and takes the answer. Returns the slots that were sent and those that are gone;
    /// `None` if there was nothing.
    async fn ask(&mut self) -> Option<(bool, Vec<u16>, Vec<u16>)> {
        let update = self
            .cache
            .answer(&self.query())
            .await
            .unwrap()
            .update?
            .update;
        let numbers = |slots: BTreeSet<Slot>| slots.iter().map(|s| s.get()).collect();
        let sent = numbers(update.spec.tenants.keys().copied().collect());
        let answer = (update.full, sent, numbers(update.gone.clone()));
        let known = self.prints.take().unwrap_or_default();
        let (spec, prints) = update.apply(Some(&self.spec), &known).unwrap();
        assert_eq!(spec, self.feed.spec());
        (self.spec, self.prints) = (spec, Some(prints));
        Some(answer)
    }
}

fn cache(feed: &Arc<Feed>) -> SpecCache {
    SpecCache::new(NodeId(2), feed.clone(), WholeSpecs::new(1))
}

#[tokio::test]
async fn an_update_names_what_has_changed_since_any_recent_spec() {
    let mut worker = Worker::new();
    worker.feed.set(1, &[(1, 1), (2, 1)]);
    assert_eq!(worker.ask().await, Some((true, vec![1, 2], vec![])));
    assert_eq!(worker.ask().await, None);

    worker.feed.set(2, &[(1, 1), (2, 2)]);
    // Another reader has learned of it before.
    worker.cache.refresh().await.unwrap();
    worker.feed.set(3, &[(2, 2), (3, 1)]);
    assert_eq!(worker.ask().await, Some((false, vec![2, 3], vec![1])));
    assert_eq!(worker.ask().await, None);
    assert_eq!(worker.feed.wholes(), 1);
}

#[tokio::test]
async fn a_new_generation_without_a_change_is_small() {
    let mut worker = Worker::new();
    worker.feed.set(1, &[(1, 1)]);
    worker.ask().await.unwrap();
    worker.feed.set(7, &[(1, 1)]);
    assert_eq!(worker.ask().await, Some((false, vec![], vec![])));
    assert_eq!(worker.spec.generation, 7);
    assert_eq!(worker.ask().await, None);
}

#[tokio::test]
async fn a_control_plane_that_was_restarted_sends_what_has_changed_meanwhile() {
    let mut worker = Worker::new();
    worker.feed.set(1, &[(1, 1), (2, 1), (3, 1)]);
    worker.ask().await.unwrap();
    worker.cache = cache(&worker.feed);
    assert_eq!(worker.ask().await, None, "nothing has");
    worker.feed.set(2, &[(1, 1), (3, 2)]);
    worker.cache = cache(&worker.feed);
    let (full, sent, gone) = worker.ask().await.unwrap();
    assert_eq!((full, sent), (false, vec![3]));
    assert!(gone.contains(&2) && !gone.contains(&1) && !gone.contains(&3));
}

#[tokio::test]
async fn what_cannot_be_an_earlier_spec_is_answered_with_all() {
    let mut worker = Worker::new();
    worker.feed.set(1, &[(1, 1)]);
    worker.ask().await.unwrap();
    // A digest that never was leads to something that does not fit.
    let query = SpecQuery {
        digest: serde_json::from_str("\"00\"").unwrap(),
        ..worker.query()
    };
    let update = worker.cache.answer(&query).await.unwrap().update.unwrap();
    assert!(!update.update.full);
    let known = SpecFingerprints::default();
    assert!(update.update.apply(Some(&worker.spec), &known).is_err());
    worker.prints = None;
    assert_eq!(worker.ask().await, Some((true, vec![1], vec![])));
    for n in 2..=100 {
        worker.feed.set(n.into(), &[(1, 1), (2, n)]);
        worker.cache.refresh().await.unwrap();
    }
    assert_eq!(worker.cache.lock().earlier.len(), MAX_EARLIER);
    let (full, sent, _) = worker.ask().await.unwrap();
    assert_eq!((full, sent), (false, vec![2]), "by its generation");
}

#[tokio::test(start_paused = true)]
async fn a_row_changed_by_hand_is_sent_after_an_hour() {
    let mut worker = Worker::new();
    worker.feed.set(1, &[(1, 1), (2, 1)]);
    worker.ask().await.unwrap();
    worker.feed.set(1, &[(1, 2), (2, 1)]);
    worker.feed.0.lock().unwrap().changed.clear();
    let all = [1, 2].map(|n| (Slot::new(n).unwrap(), 1));
    worker.feed.0.lock().unwrap().changed.extend(all);
    assert_eq!(worker.ask().await, None);
    tokio::time::advance(WHOLE_INTERVAL + 3 * WHOLE_SPREAD).await;
    let query = worker.query();
    let update = worker.cache.answer(&query).await.unwrap().update.unwrap();
    let known = worker.prints.take().unwrap();
    assert!(update.update.apply(Some(&worker.spec), &known).is_err());
    assert_eq!(worker.ask().await, Some((true, vec![1, 2], vec![])));
}

#[tokio::test]
async fn whole_specs_wait_for_each_other() {
    let feed = Arc::new(Feed::default());
    feed.set(1, &[(1, 1)]);
    let limits = WholeSpecs::new(1);
    let caches: Vec<_> = (2..4)
        .map(|n| SpecCache::new(NodeId(n), feed.clone(), limits.clone()))
        .collect();
    let first = caches[0].answer(&SpecQuery::default()).await.unwrap();
    let query = SpecQuery::default();
    let mut second = std::pin::pin!(caches[1].answer(&query));
    let at_once = tokio::time::timeout(Duration::from_millis(50), &mut second);
    assert!(at_once.await.is_err(), "the first is not sent yet");
    // What the state of a worker is compared with does not wait for that.
    SpecCache::new(NodeId(9), feed.clone(), limits.clone())
        .ensure()
        .await
        .unwrap();
    drop(first);
    assert!(second.await.unwrap().update.is_some());
}

#[tokio::test]
async fn a_tenant_that_left_is_still_known_to_have_been_here() {
    let worker = Worker::new();
    worker.feed.set(1, &[(1, 1)]);
    worker.cache.ensure().await.unwrap();
    worker.feed.set(2, &[(2, 1)]);
    worker.cache.refresh().await.unwrap();
    let cache = &worker.cache;
    let slot = |n| Slot::new(n).unwrap();
    let name = |text: &str| TenantName::parse(text).unwrap();
    assert!(cache.concerns(slot(1), &name("tenant1")));
    assert!(cache.concerns(slot(2), &name("tenant2")));
    assert!(!cache.concerns(slot(1), &name("tenant2")));
    assert!(!cache.concerns(slot(3), &name("tenant3")));
    assert!(!cache.is_active(slot(1), &name("tenant1")));
    assert!(cache.is_active(slot(2), &name("tenant2")));
    assert!(cache.has_tenant(&name("tenant2")) && !cache.has_tenant(&name("tenant1")));
}
