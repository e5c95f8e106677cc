//! Notifies the pages that show a tenant of changes of its rows.

use domain::TenantId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

type Senders = HashMap<TenantId, watch::Sender<()>>;

/// A watch channel for each tenant that a page shows. A channel holds one value,
/// so a slow receiver misses nothing but intermediate states.
#[derive(Debug, Default)]
pub(crate) struct TenantNotifier(Mutex<Senders>);

impl TenantNotifier {
    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a receiver that notices every later change of that tenant's rows.
    pub(crate) fn watch(&self, tenant: TenantId) -> watch::Receiver<()> {
        let mut senders = self.senders();
        senders.retain(|_, s| s.receiver_count() > 0);
        senders
            .entry(tenant)
            .or_insert_with(|| watch::Sender::new(()))
            .subscribe()
    }

    /// Notifies the receivers that the tenant's rows have changed.
    pub(crate) fn changed(&self, tenant: TenantId) {
        if let Some(sender) = self.senders().get(&tenant) {
            sender.send_replace(());
        }
    }
}
