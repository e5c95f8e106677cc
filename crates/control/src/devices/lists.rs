//! The rows of tenants' devices as they were read last. A request that knows by its credential
//! what of the tenant was changed last need not read them again.

use domain::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use store::{DeviceRecord, Revision};

/// How old rows may be: counters and handshakes are no change, and those of a worker may be
/// written by another control plane.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The most tenants whose rows are kept.
const MAX_KEPT: usize = 1_000;

#[derive(Default)]
pub(crate) struct DeviceLists(Mutex<HashMap<TenantId, CachedRows>>);

/// A tenant's rows as they were read.
struct CachedRows {
    revision: Revision,
    read_at: Instant,
    rows: Arc<Vec<DeviceRecord>>,
}

impl DeviceLists {
    /// Returns a tenant's rows, if they are of this revision.
    pub fn get(&self, tenant: TenantId, revision: Revision) -> Option<Arc<Vec<DeviceRecord>>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get(&tenant)?;
        let is_new = found.revision == revision && found.read_at.elapsed() < MAX_AGE;
        is_new.then(|| found.rows.clone())
    }

    /// Keeps rows that were read after the revision.
    pub fn keep(&self, tenant: TenantId, revision: Revision, rows: Arc<Vec<DeviceRecord>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT && !kept.contains_key(&tenant) {
            kept.retain(|_, k| k.read_at.elapsed() < MAX_AGE);
            if kept.len() >= MAX_KEPT {
                return;
            }
        }
        let read_at = Instant::now();
        kept.insert(
            tenant,
            CachedRows {
                revision,
                read_at,
                rows,
            },
        );
    }
}
