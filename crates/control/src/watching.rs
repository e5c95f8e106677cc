//! Who watches which tenant, so that a change reaches the pages that show it.

use domain::TenantId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

type Senders = HashMap<TenantId, watch::Sender<()>>;

/// See the module. A slow watcher misses nothing but intermediate states: a
/// watch channel holds one value.
#[derive(Debug, Default)]
pub(crate) struct Watching(Mutex<Senders>);

impl Watching {
    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A receiver that notices every later change of that tenant's rows.
    pub(crate) fn watch(&self, tenant: TenantId) -> watch::Receiver<()> {
        let mut senders = self.senders();
        senders.retain(|_, s| s.receiver_count() > 0);
        senders
            .entry(tenant)
            .or_insert_with(|| watch::Sender::new(()))
            .subscribe()
    }

    /// That tenant's rows have changed.
    pub(crate) fn changed(&self, tenant: TenantId) {
        if let Some(sender) = self.senders().get(&tenant) {
            sender.send_replace(());
        }
    }
}
