//! A node's spec as it was loaded last, and what earlier ones were like, so that an answer
//! names only what has changed. It belongs to one node: nothing here can name another.

use domain::{ErrorCode, Message, Problem, Slot, TenantName};
use protocol::{
    NodeSpec, SpecFeed, TenantSpec,
    wire::{SpecDigest, SpecFingerprints, SpecQuery, SpecUpdate},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many specs before the present one are known by their fingerprints: a worker that
/// asks about an older one gets all.
const MAX_EARLIER: usize = 8;

/// A spec that was loaded.
#[derive(Clone)]
pub(super) struct LoadedSpec {
    pub spec: Arc<NodeSpec>,
    fingerprints: Arc<SpecFingerprints>,
    digest: SpecDigest,
    restored: bool,
}

#[derive(Default)]
struct Cached {
    now: Option<LoadedSpec>,
    /// The newest first.
    earlier: VecDeque<(SpecDigest, Arc<SpecFingerprints>)>,
    /// The last tenant that left each slot: its node may still report of it.
    left: BTreeMap<Slot, TenantName>,
}

/// The spec of a node.
pub(super) struct SpecCache {
    feed: Arc<dyn SpecFeed>,
    cached: Mutex<Cached>,
    /// Held while it is loaded, so that what is cached never becomes older.
    loading: tokio::sync::Mutex<()>,
}

impl SpecCache {
    pub fn new(feed: Arc<dyn SpecFeed>) -> Self {
        Self {
            feed,
            cached: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        // Every change is complete before anything can panic.
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads the spec for a worker that has this generation in force, 0 for none.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn load(&self, in_force: u64) -> Result<LoadedSpec, Problem> {
        let _loading = self.loading.lock().await;
        let answer = self.feed.load(in_force).await?;
        let before = self.lock().now.clone();
        let known = before.as_ref().map(|b| (&*b.spec, &*b.fingerprints));
        let unreadable = |e| {
            tracing::error!(error = %e, "a spec cannot be written");
            Problem {
                code: ErrorCode::Internal,
                message: Message::WorkerRequestDamaged,
            }
        };
        let fingerprints = SpecFingerprints::of(&answer.spec, known).map_err(unreadable)?;
        let loaded = LoadedSpec {
            digest: fingerprints.digest(),
            fingerprints: Arc::new(fingerprints),
            spec: Arc::new(answer.spec),
            restored: answer.restored,
        };
        let mut cached = self.lock();
        if let Some(before) = before {
            for (slot, tenant) in &before.spec.tenants {
                let now = loaded.spec.tenants.get(slot);
                if now.is_none_or(|now| now.name != tenant.name) {
                    cached.left.insert(*slot, tenant.name.clone());
                }
            }
            if before.digest != loaded.digest {
                cached
                    .earlier
                    .retain(|(digest, _)| *digest != loaded.digest);
                let earlier = (before.digest, before.fingerprints);
                cached.earlier.push_front(earlier);
                cached.earlier.truncate(MAX_EARLIER);
            }
        }
        cached.now = Some(loaded.clone());
        Ok(loaded)
    }

    /// Returns the generation that was loaded last.
    pub fn generation(&self) -> Option<u64> {
        self.lock().now.as_ref().map(|now| now.spec.generation)
    }

    /// Returns what leads from what a worker has to a spec; `None` if it is the same.
    pub fn update(&self, query: &SpecQuery, to: &LoadedSpec) -> Option<SpecUpdate> {
        let has = query.digest.as_ref();
        if has == Some(&to.digest) && query.since == to.spec.generation {
            return None;
        }
        let before = match has {
            Some(digest) if *digest == to.digest => Some(to.fingerprints.clone()),
            Some(digest) => {
                let cached = self.lock();
                // Another request may have loaded a newer spec meanwhile.
                let now = cached
                    .now
                    .iter()
                    .map(|now| (&now.digest, &now.fingerprints));
                let earlier = cached
                    .earlier
                    .iter()
                    .map(|(digest, prints)| (digest, prints));
                let found = now.chain(earlier).find(|(earlier, _)| *earlier == digest);
                found.map(|(_, prints)| prints.clone())
            }
            None => None,
        };
        let before = before.as_deref();
        Some(SpecUpdate::between(
            before,
            &to.spec,
            &to.fingerprints,
            to.restored,
        ))
    }

    /// Returns a tenant that is not suspended.
    pub fn active_tenant(&self, slot: Slot, name: &TenantName) -> Option<Arc<TenantSpec>> {
        let cached = self.lock();
        let tenant = cached.now.as_ref()?.spec.tenants.get(&slot)?;
        (tenant.name == *name && !tenant.suspended).then(|| tenant.clone())
    }

    /// Returns whether the node has this tenant, or had it before.
    pub fn concerns(&self, slot: Slot, name: &TenantName) -> bool {
        let cached = self.lock();
        let spec = cached.now.as_ref().map(|now| &now.spec);
        let is_present = spec.is_some_and(|spec| {
            let tenant = spec.tenants.get(&slot).map(|tenant| &tenant.name);
            let unreadable = spec.unreadable.get(&slot).and_then(|t| t.name.as_ref());
            tenant == Some(name) || unreadable == Some(name)
        });
        is_present || cached.left.get(&slot) == Some(name)
    }

    /// Returns whether a tenant of this name is in the spec.
    pub fn has_tenant(&self, name: &TenantName) -> bool {
        let cached = self.lock();
        let mut tenants = cached.now.iter().flat_map(|now| now.spec.tenants.values());
        tenants.any(|tenant| tenant.name == *name)
    }
}

#[cfg(test)]
mod tests;
