//! What is known of a node's spec: the fingerprint and the name of each tenant, so that an
//! answer names only what has changed, and reports are compared with it. The tenants
//! themselves are read when they are sent and not kept: a control plane has those of
//! hundreds of nodes. It belongs to one node: nothing here can name another.

use domain::{ErrorCode, Message, NodeId, Problem, Slot, TenantName};
use protocol::{
    MovedTenant, NodeSpec, SpecAnswer, SpecChanges, SpecFeed,
    wire::{SpecDigest, SpecFingerprints, SpecQuery, SpecUpdate},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// How many specs before the present one are known by their digests: a worker that asks
/// about another one gets what has changed by its generation.
const MAX_EARLIER: usize = 64;
/// How long only changes are read. After that all of it is read again, so that a row that
/// was changed by hand, without a new generation, is not overlooked forever. Reading 1,000
/// tenants takes a tenth of a second of a processor, and there may be 200 nodes.
const WHOLE_INTERVAL: Duration = Duration::from_secs(3600);
/// By so much longer for each node, so that they do not come together.
const WHOLE_SPREAD: Duration = Duration::from_secs(17);
/// The same while a tenant's rows cannot be read: they are corrected by hand.
const UNREADABLE_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of a tenant.
struct KnownTenant {
    /// `None` where it cannot be read.
    name: Option<TenantName>,
    /// Whether it can be read and is not suspended.
    is_active: bool,
}

/// What is known of a spec.
struct KnownSpec {
    generation: u64,
    fingerprints: SpecFingerprints,
    digest: SpecDigest,
    tenants: BTreeMap<Slot, KnownTenant>,
    moved: BTreeMap<Slot, MovedTenant>,
    is_all_readable: bool,
    /// When all of it was read.
    read_at: Instant,
}

#[derive(Default)]
struct Cached {
    now: Option<KnownSpec>,
    /// The digests before it with their generations, the newest first.
    earlier: VecDeque<(SpecDigest, u64)>,
    /// The last tenant that left each slot: its node may still report of it.
    left: BTreeMap<Slot, TenantName>,
}

/// An update with the permit for it, if it is a whole spec.
pub(super) struct Sending {
    pub update: SpecUpdate,
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What there is for a worker.
pub(super) struct Answer {
    /// The generation of the spec.
    pub generation: u64,
    /// What leads from what the worker has to it; `None` if it is the same.
    pub update: Option<Sending>,
}

/// All of a spec, as it was read.
struct Whole {
    spec: NodeSpec,
    prints: SpecFingerprints,
    restored: bool,
}

/// How many whole specs of all nodes are in memory.
#[derive(Clone)]
pub(super) struct WholeSpecs {
    /// That are read.
    reading: Arc<Semaphore>,
    /// That are read for a worker, written and sent.
    sending: Arc<Semaphore>,
}

impl WholeSpecs {
    /// At most so many are read, and so many are sent.
    pub fn new(most: usize) -> Self {
        Self {
            reading: Arc::new(Semaphore::new(most)),
            sending: Arc::new(Semaphore::new(most)),
        }
    }
}

async fn permit(of: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // It is never closed.
    of.clone().acquire_owned().await.ok()
}

/// The spec of a node.
pub(super) struct SpecCache {
    feed: Arc<dyn SpecFeed>,
    limits: WholeSpecs,
    whole_interval: Duration,
    cached: Mutex<Cached>,
    /// Held while it is loaded, so that what is known never becomes older.
    loading: tokio::sync::Mutex<()>,
}

fn unwritable(e: &dyn Display) -> Problem {
    tracing::error!(error = %e, "a spec cannot be written");
    Problem {
        code: ErrorCode::Internal,
        message: Message::WorkerRequestDamaged,
    }
}

impl SpecCache {
    pub fn new(node: NodeId, feed: Arc<dyn SpecFeed>, limits: WholeSpecs) -> Self {
        let number = u32::try_from(node.0 % 211).unwrap_or(0);
        Self {
            feed,
            limits,
            whole_interval: WHOLE_INTERVAL + WHOLE_SPREAD * number,
            cached: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        // Every change is complete before anything can panic.
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loads what a worker does not have.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn answer(&self, query: &SpecQuery) -> Result<Answer, Problem> {
        let _loading = self.loading.lock().await;
        if let Some(answer) = self.answer_by_changes(query).await? {
            return Ok(answer);
        }
        let sending = match query.digest {
            Some(_) => None,
            None => permit(&self.limits.sending).await,
        };
        self.answer_by_all(query, sending).await
    }

    /// Loads the spec if nothing is known of it.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn ensure(&self) -> Result<(), Problem> {
        match self.generation() {
            Some(_) => Ok(()),
            None => self.refresh().await,
        }
    }

    /// Loads what has changed.
    ///
    /// # Errors
    /// Why it cannot be loaded.
    pub async fn refresh(&self) -> Result<(), Problem> {
        let digest = self.lock().now.as_ref().map(|now| now.digest.clone());
        let query = SpecQuery {
            digest,
            ..SpecQuery::default()
        };
        let _loading = self.loading.lock().await;
        match self.answer_by_changes(&query).await? {
            Some(_) => Ok(()),
            None => self.read_all(0).await.map(drop),
        }
    }

    /// Reads what has changed since what the worker has; `None` where that is not known, or
    /// all is to be read.
    async fn answer_by_changes(&self, query: &SpecQuery) -> Result<Option<Answer>, Problem> {
        let Some((since, slots)) = self.base(query) else {
            return Ok(None);
        };
        let changes = self.feed.changes(since, &slots, query.since).await?;
        let Some(changes) = changes.filter(|changes| changes.generation >= query.since) else {
            return Ok(None);
        };
        let mut cached = self.lock();
        let prints = cached.take(&changes).map_err(|e| unwritable(&e))?;
        let Some(now) = &cached.now else {
            return Ok(None);
        };
        // Those that left before what the worker has do no harm.
        let free = cached.left.keys().filter(|s| !now.tenants.contains_key(s));
        let update = (!now.is_what_has(query)).then(|| Sending {
            update: now.update(changes, prints, free.copied().collect()),
            permit: None,
        });
        Ok(Some(Answer {
            generation: now.generation,
            update,
        }))
    }

    /// Returns the generation of what the worker has, and the slots of what is known; `None`
    /// where one of them is not known, or that was long ago.
    fn base(&self, query: &SpecQuery) -> Option<(u64, BTreeSet<Slot>)> {
        let cached = self.lock();
        let now = cached.now.as_ref()?;
        let longest = match now.is_all_readable {
            true => self.whole_interval,
            false => UNREADABLE_INTERVAL,
        };
        let digest = query.digest.as_ref()?;
        let mut all = std::iter::once((&now.digest, now.generation)).chain(
            cached
                .earlier
                .iter()
                .map(|(d, generation)| (d, *generation)),
        );
        let (_, since) = all.find(|(known, _)| *known == digest)?;
        (now.read_at.elapsed() < longest).then(|| (since, now.fingerprints.slots().collect()))
    }

    /// Reads all, and notes it.
    async fn read_all(&self, in_force: u64) -> Result<Whole, Problem> {
        let _reading = permit(&self.limits.reading).await;
        let SpecAnswer { spec, restored } = self.feed.load(in_force).await?;
        // 5 MB take longer than other tasks should wait.
        let computed = tokio::task::spawn_blocking(move || {
            let prints = SpecFingerprints::of(&spec, None);
            prints.map(|prints| (spec, prints))
        });
        let computed = computed.await.map_err(|e| unwritable(&e))?;
        let (spec, prints) = computed.map_err(|e| unwritable(&e))?;
        self.lock().replace(KnownSpec::new(&spec, prints.clone()));
        Ok(Whole {
            spec,
            prints,
            restored,
        })
    }

    /// Reads all. The worker gets all as well, unless changes by generation may lead from
    /// what it has; if they do not, it asks again.
    async fn answer_by_all(
        &self,
        query: &SpecQuery,
        sending: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, Problem> {
        let whole = self.read_all(query.since).await?;
        let generation = whole.spec.generation;
        let answer = |update| Answer { generation, update };
        if query.digest.is_none() || whole.restored {
            return Ok(answer(Some(whole.sending(sending))));
        }
        if query.digest == Some(whole.prints.digest()) && query.since == generation {
            return Ok(answer(None));
        }
        let slots = whole.prints.slots().collect();
        let changes = self.feed.changes(query.since, &slots, query.since).await?;
        if let Some(update) = self.update_by_generation(changes)? {
            drop(whole);
            let permit = None;
            return Ok(answer(Some(Sending { update, permit })));
        }
        let sending = permit(&self.limits.sending).await;
        Ok(answer(Some(whole.sending(sending))))
    }

    /// Makes an update of changes since what the worker had before this process began, of
    /// which the free slots are not known.
    fn update_by_generation(
        &self,
        changes: Option<SpecChanges>,
    ) -> Result<Option<SpecUpdate>, Problem> {
        let Some(changes) = changes else {
            return Ok(None);
        };
        let mut cached = self.lock();
        let prints = cached.take(&changes).map_err(|e| unwritable(&e))?;
        let Some(now) = &cached.now else {
            return Ok(None);
        };
        let gone = Slot::all().filter(|slot| !now.tenants.contains_key(slot));
        Ok(Some(now.update(changes, prints, gone.collect())))
    }

    /// Returns the generation that was loaded last.
    pub fn generation(&self) -> Option<u64> {
        self.lock().now.as_ref().map(|now| now.generation)
    }

    /// Returns whether the node has this tenant, and it is not suspended.
    pub fn is_active(&self, slot: Slot, name: &TenantName) -> bool {
        let cached = self.lock();
        let tenant = cached.now.as_ref().and_then(|now| now.tenants.get(&slot));
        tenant.is_some_and(|tenant| tenant.is_active && tenant.name.as_ref() == Some(name))
    }

    /// Returns whether the node has this tenant, or had it before.
    pub fn concerns(&self, slot: Slot, name: &TenantName) -> bool {
        let cached = self.lock();
        let tenant = cached.now.as_ref().and_then(|now| now.tenants.get(&slot));
        tenant.is_some_and(|tenant| tenant.name.as_ref() == Some(name))
            || cached.left.get(&slot) == Some(name)
    }

    /// Returns whether a tenant of this name is in the spec.
    pub fn has_tenant(&self, name: &TenantName) -> bool {
        let cached = self.lock();
        let mut tenants = cached.now.iter().flat_map(|now| now.tenants.values());
        tenants.any(|tenant| tenant.name.as_ref() == Some(name))
    }
}

impl Whole {
    fn sending(&self, permit: Option<OwnedSemaphorePermit>) -> Sending {
        Sending {
            update: SpecUpdate::between(None, &self.spec, &self.prints, self.restored),
            permit,
        }
    }
}

impl KnownSpec {
    fn new(spec: &NodeSpec, fingerprints: SpecFingerprints) -> Self {
        let unreadable = spec.unreadable.iter().map(|(slot, tenant)| {
            let known = KnownTenant {
                name: tenant.name.clone(),
                is_active: false,
            };
            (*slot, known)
        });
        let readable = spec.tenants.iter().map(|(slot, tenant)| {
            let known = KnownTenant {
                name: Some(tenant.name.clone()),
                is_active: !tenant.suspended,
            };
            (*slot, known)
        });
        Self {
            generation: spec.generation,
            digest: fingerprints.digest(),
            fingerprints,
            tenants: unreadable.chain(readable).collect(),
            moved: spec.moved.clone(),
            is_all_readable: spec.unreadable.is_empty(),
            read_at: Instant::now(),
        }
    }

    fn is_what_has(&self, query: &SpecQuery) -> bool {
        query.digest.as_ref() == Some(&self.digest) && query.since == self.generation
    }

    /// Makes an update with these tenants.
    fn update(
        &self,
        changes: SpecChanges,
        fingerprints: SpecFingerprints,
        gone: BTreeSet<Slot>,
    ) -> SpecUpdate {
        let tenants = changes.changed.into_iter().map(|t| (t.slot, t));
        SpecUpdate {
            spec: NodeSpec {
                generation: self.generation,
                tenants: tenants.collect(),
                unreadable: changes.unreadable,
                moved: self.moved.clone(),
                is_earlier: false,
            },
            full: false,
            gone,
            restored: false,
            fingerprints,
            digest: self.digest.clone(),
        }
    }
}

impl Cached {
    /// Applies changes to what is known. Returns the fingerprints of the changed tenants.
    fn take(&mut self, changes: &SpecChanges) -> Result<SpecFingerprints, protocol::SpecError> {
        let Some(now) = &mut self.now else {
            return Ok(SpecFingerprints::default());
        };
        let prints = now.fingerprints.update(changes)?;
        for slot in &changes.removed {
            if let Some(name) = now.tenants.remove(slot).and_then(|tenant| tenant.name) {
                self.left.insert(*slot, name);
            }
        }
        let readable = changes.changed.iter().map(|t| {
            let known = KnownTenant {
                name: Some(t.name.clone()),
                is_active: !t.suspended,
            };
            (t.slot, known)
        });
        let unreadable = changes.unreadable.iter().map(|(slot, t)| {
            let known = KnownTenant {
                name: t.name.clone(),
                is_active: false,
            };
            (*slot, known)
        });
        for (slot, tenant) in readable.chain(unreadable) {
            let before = now.tenants.remove(&slot).and_then(|before| before.name);
            if let Some(before) = before.filter(|name| tenant.name.as_ref() != Some(name)) {
                self.left.insert(slot, before);
            }
            now.tenants.insert(slot, tenant);
        }
        if let Some(moved) = &changes.moved {
            now.moved.clone_from(moved);
        }
        now.is_all_readable &= changes.unreadable.is_empty();
        let has_changed = prints.slots().next().is_some() || !changes.removed.is_empty();
        let digest = match has_changed {
            true => now.fingerprints.digest(),
            false => now.digest.clone(),
        };
        let before = std::mem::replace(&mut now.digest, digest);
        let generation = std::mem::replace(&mut now.generation, changes.generation);
        self.note_earlier(before, generation);
        Ok(prints)
    }

    /// Replaces what is known.
    fn replace(&mut self, now: KnownSpec) {
        let Some(before) = self.now.replace(now) else {
            return;
        };
        for (slot, tenant) in before.tenants {
            let same = self.now.as_ref().and_then(|now| now.tenants.get(&slot));
            if let Some(name) = tenant.name
                && same.is_none_or(|same| same.name.as_ref() != Some(&name))
            {
                self.left.insert(slot, name);
            }
        }
        self.note_earlier(before.digest, before.generation);
    }

    fn note_earlier(&mut self, digest: SpecDigest, generation: u64) {
        let Some(now) = &self.now else {
            return;
        };
        if now.digest != digest {
            self.earlier.retain(|(known, _)| *known != now.digest);
            self.earlier.push_front((digest, generation));
            self.earlier.truncate(MAX_EARLIER);
        }
    }
}

#[cfg(test)]
mod tests;
