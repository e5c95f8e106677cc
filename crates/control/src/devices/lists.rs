//! Tenants' devices as they were read and shown last. A request that knows by its credential
//! what of the tenant was changed last need not read them again; one that is shown what the
//! one before it was shown need not make that again.

use super::peer::PeerList;
use domain::{Ipv6Prefix, TenantId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{DeviceRecord, Revision};

/// How old rows may be: counters and handshakes are no change, and those of a worker may be
/// written by another control plane.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The most tenants whose rows are kept.
const MAX_KEPT: usize = 1_000;

#[derive(Default)]
pub(crate) struct DeviceLists(Mutex<CachedLists>);

#[derive(Default)]
struct CachedLists {
    tenants: HashMap<TenantId, CachedRows>,
    /// When old ones were removed last.
    swept_at: Option<Instant>,
}

/// A tenant's rows as they were read.
struct CachedRows {
    revision: Revision,
    read_at: Instant,
    rows: Arc<Vec<DeviceRecord>>,
    /// What is shown of them.
    shown: Option<(ShownAt, Arc<PeerList>)>,
}

/// What decides, besides the rows, what is shown of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShownAt {
    /// The number of changes of the meter's readings.
    pub readings: u64,
    pub ipv6: Option<Ipv6Prefix>,
}

/// What is known of a tenant's devices.
pub(super) enum KnownList {
    Unknown,
    Rows(Arc<Vec<DeviceRecord>>),
    /// The rows, and what is shown of them.
    Shown(Arc<PeerList>),
}

impl DeviceLists {
    fn kept(&self) -> MutexGuard<'_, CachedLists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known of a tenant's devices of this revision.
    pub(super) fn get(&self, tenant: TenantId, revision: Revision, at: ShownAt) -> KnownList {
        let kept = self.kept();
        let found = kept.tenants.get(&tenant);
        let is_new = |k: &&CachedRows| k.revision == revision && k.read_at.elapsed() < MAX_AGE;
        let Some(found) = found.filter(is_new) else {
            return KnownList::Unknown;
        };
        match &found.shown {
            Some((shown_at, list)) if *shown_at == at => KnownList::Shown(list.clone()),
            _ => KnownList::Rows(found.rows.clone()),
        }
    }

    /// Keeps rows that were read after the revision.
    pub(super) fn keep(&self, tenant: TenantId, revision: Revision, rows: Arc<Vec<DeviceRecord>>) {
        let mut kept = self.kept();
        let now = Instant::now();
        let age = |at: Instant| now.saturating_duration_since(at);
        if kept.swept_at.is_none_or(|at| age(at) >= MAX_AGE) {
            kept.tenants.retain(|_, k| age(k.read_at) < MAX_AGE);
            kept.swept_at = Some(now);
        }
        if kept.tenants.len() >= MAX_KEPT && !kept.tenants.contains_key(&tenant) {
            return;
        }
        let cached = CachedRows {
            revision,
            read_at: now,
            rows,
            shown: None,
        };
        kept.tenants.insert(tenant, cached);
    }

    /// Keeps what is shown of rows, if they are still the ones that are kept.
    pub(super) fn keep_shown(
        &self,
        tenant: TenantId,
        rows: &Arc<Vec<DeviceRecord>>,
        at: ShownAt,
        list: &Arc<PeerList>,
    ) {
        let mut kept = self.kept();
        let found = kept.tenants.get_mut(&tenant);
        if let Some(found) = found.filter(|k| Arc::ptr_eq(&k.rows, rows)) {
            found.shown = Some((at, list.clone()));
        }
    }
}
