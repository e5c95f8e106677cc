use super::*;
use async_trait::async_trait;
use protocol::SpecAnswer;
use std::path::Path;
use testkit::samples;

/// Answers what it was set to.
#[derive(Default)]
struct Feed(Mutex<NodeSpec>);

impl Feed {
    fn set(&self, generation: u64, tenants: &[(u16, u8)]) {
        let settings = samples::settings(Path::new("/nowhere"));
        let tenant = |&(slot, devices): &(u16, u8)| {
            let tenant = samples::tenant(&settings, slot, devices);
            (tenant.slot, Arc::new(tenant))
        };
        *self.0.lock().unwrap() = NodeSpec {
            generation,
            tenants: tenants.iter().map(tenant).collect(),
            ..NodeSpec::default()
        };
    }
}

#[async_trait]
impl SpecFeed for Feed {
    async fn load(&self, _in_force: u64) -> Result<SpecAnswer, Problem> {
        Ok(SpecAnswer {
            spec: self.0.lock().unwrap().clone(),
            restored: false,
        })
    }
}

fn query(since: u64, digest: Option<SpecDigest>) -> SpecQuery {
    SpecQuery {
        since,
        digest,
        wait: 0,
    }
}

fn slots(update: &SpecUpdate) -> Vec<u16> {
    update.spec.tenants.keys().map(|slot| slot.get()).collect()
}

#[tokio::test]
async fn an_update_names_what_has_changed_since_any_recent_spec() {
    let feed = Arc::new(Feed::default());
    let cache = SpecCache::new(feed.clone());
    feed.set(1, &[(1, 1), (2, 1)]);
    let first = cache.load(0).await.unwrap();
    let whole = cache.update(&query(0, None), &first).unwrap();
    assert!(whole.full);
    assert_eq!(slots(&whole), [1, 2]);
    let known = query(1, Some(whole.digest.clone()));
    assert_eq!(cache.update(&known, &first), None);

    feed.set(2, &[(1, 1), (2, 2)]);
    cache.load(1).await.unwrap();
    feed.set(3, &[(2, 2), (3, 1)]);
    let third = cache.load(1).await.unwrap();
    let update = cache.update(&known, &third).unwrap();
    assert!(!update.full);
    assert_eq!(slots(&update), [2, 3]);
    assert_eq!(update.gone.iter().map(|s| s.get()).collect::<Vec<_>>(), [1]);
    let (spec, prints) = whole
        .apply(None, &SpecFingerprints::default())
        .and_then(|(spec, prints)| update.apply(Some(&spec), &prints))
        .unwrap();
    assert_eq!(spec, *third.spec);
    assert_eq!(prints.digest(), third.digest);
}

#[tokio::test]
async fn a_new_generation_without_a_change_is_small() {
    let feed = Arc::new(Feed::default());
    let cache = SpecCache::new(feed.clone());
    feed.set(1, &[(1, 1)]);
    let digest = cache.load(0).await.unwrap().digest;
    feed.set(7, &[(1, 1)]);
    let now = cache.load(1).await.unwrap();
    let update = cache.update(&query(1, Some(digest)), &now).unwrap();
    assert!(!update.full && update.spec.tenants.is_empty());
    assert_eq!(update.spec.generation, 7);
}

#[tokio::test]
async fn a_spec_that_is_long_past_or_unknown_is_answered_with_all() {
    let feed = Arc::new(Feed::default());
    let cache = SpecCache::new(feed.clone());
    feed.set(1, &[(1, 1)]);
    let first = cache.load(0).await.unwrap().digest;
    for n in 2..=10 {
        feed.set(n.into(), &[(1, 1), (2, n)]);
        cache.load(1).await.unwrap();
    }
    let now = cache.load(1).await.unwrap();
    assert!(cache.update(&query(1, Some(first)), &now).unwrap().full);
    let other: SpecDigest = serde_json::from_str("\"00\"").unwrap();
    assert!(cache.update(&query(10, Some(other)), &now).unwrap().full);
    assert!(cache.lock().earlier.len() <= MAX_EARLIER);
}

#[tokio::test]
async fn a_tenant_that_left_is_still_known_to_have_been_here() {
    let feed = Arc::new(Feed::default());
    let cache = SpecCache::new(feed.clone());
    feed.set(1, &[(1, 1)]);
    cache.load(0).await.unwrap();
    feed.set(2, &[(2, 1)]);
    cache.load(0).await.unwrap();
    let slot = |n| Slot::new(n).unwrap();
    let name = |text: &str| TenantName::parse(text).unwrap();
    assert!(cache.concerns(slot(1), &name("tenant1")));
    assert!(cache.concerns(slot(2), &name("tenant2")));
    assert!(!cache.concerns(slot(1), &name("tenant2")));
    assert!(!cache.concerns(slot(3), &name("tenant3")));
    assert!(cache.active_tenant(slot(1), &name("tenant1")).is_none());
    assert!(cache.active_tenant(slot(2), &name("tenant2")).is_some());
    assert!(cache.has_tenant(&name("tenant2")) && !cache.has_tenant(&name("tenant1")));
}
