//! The copies under way, and what is remembered from one pass of a copy to the next.

use super::{pack::Sent, unpack::Files};
use domain::TenantName;
use hostfs::BlockingPool;
use protocol::CopyId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Semaphore;

/// The most copies in each direction at a time.
const MAX_COPIES: usize = 2;
/// Of how many tenants the last pass is remembered.
const MAX_REMEMBERED: usize = 8;

/// What is remembered of the pass before, by tenant. Losing it costs another copy.
pub(super) type Remembered<T> = Mutex<BTreeMap<TenantName, (CopyId, T)>>;

/// The copies under way.
#[derive(Debug)]
pub(crate) struct Copies {
    pub(super) sent: Remembered<Sent>,
    pub(super) received: Remembered<Files>,
    pub(super) sending: Arc<Semaphore>,
    pub(super) receiving: Arc<Semaphore>,
    /// A slow network holds a thread, so these are not those of other work.
    pub(super) pool: BlockingPool,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            sent: Mutex::default(),
            received: Mutex::default(),
            sending: Arc::new(Semaphore::new(MAX_COPIES)),
            receiving: Arc::new(Semaphore::new(MAX_COPIES)),
            pool: BlockingPool::new(2 * MAX_COPIES),
        }
    }
}

/// Locks what is remembered.
pub(super) fn lock<T>(
    remembered: &Remembered<T>,
) -> MutexGuard<'_, BTreeMap<TenantName, (CopyId, T)>> {
    remembered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what the pass before of the same copy has left.
pub(super) fn take<T: Default>(remembered: &Remembered<T>, name: &TenantName, id: &CopyId) -> T {
    let found = lock(remembered).remove(name);
    let found = found.filter(|(of, _)| of == id);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// Remembers what a pass has left for the next one of the same copy.
pub(super) fn remember<T>(remembered: &Remembered<T>, name: TenantName, id: CopyId, value: T) {
    let mut all = lock(remembered);
    while all.len() >= MAX_REMEMBERED {
        all.pop_first();
    }
    all.insert(name, (id, value));
}
