//! Puts tenants to sleep of which no device has connected for a while after the sign-up,
//! and wakes them.
//!
//! What sleeps is the container, which takes nearly all of a tenant's memory. The tunnel
//! stays, which costs little: a configuration that was printed at the sign-up works on the
//! day on which it is first used, and the first handshake wakes the tenant within seconds.
//! Until its AdGuard Home answers, names are resolved without a filter, as after any other
//! start of it. Without the tunnel the tenant could only be woken by signing in, which the
//! person with the printed configuration does not know.

use crate::{failures::store_failure, inner::Inner};
use domain::{Failure, TenantId};
use std::time::Duration;
use store::{Committed, StoreError};

/// How often tenants are looked for that have been used, or not.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many are put to sleep or woken at a time, so that a node is not handed hundreds of
/// containers to start or remove at once.
const BATCH: u32 = 50;

/// Puts tenants to sleep and wakes them, until the future is dropped.
pub(crate) async fn run_sleep(inner: &Inner) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        inner.leases.jobs_are_held().await;
        if let Err(error) = settle(inner).await {
            tracing::warn!(
                ?error,
                "unused tenants could not be read; it is tried again"
            );
        }
    }
}

async fn settle(inner: &Inner) -> Result<(), StoreError> {
    let store = &inner.store;
    let now = inner.clock.now();
    for tenant in store.newly_used_tenants().await? {
        inner.woken(tenant, store.note_first_use(tenant, now).await)?;
    }
    let after = i64::try_from(inner.settings.sleep_after.as_millis()).unwrap_or(i64::MAX);
    if after == 0 {
        for tenant in store.sleeping_tenants(BATCH).await? {
            inner.woken(tenant, store.wake(tenant, "system", now).await)?;
        }
        return Ok(());
    }
    let until = now.plus_millis(after.saturating_neg());
    for tenant in store.tenants_due_to_sleep(until, BATCH).await? {
        let slept = store.put_to_sleep(tenant, until, now).await;
        if inner.changed(tenant, slept)? {
            tracing::info!(%tenant, "a tenant without connected devices was put to sleep");
        }
    }
    Ok(())
}

impl Inner {
    /// Wakes a tenant that sleeps, for `actor`, and does not wait for the node.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub(crate) async fn wake(&self, tenant: TenantId, actor: &str) -> Result<(), Failure> {
        let woken = self.store.wake(tenant, actor, self.clock.now()).await;
        self.woken(tenant, woken).map_err(store_failure)
    }

    fn woken(
        &self,
        tenant: TenantId,
        woken: Result<Option<Committed<()>>, StoreError>,
    ) -> Result<(), StoreError> {
        if self.changed(tenant, woken)? {
            tracing::info!(%tenant, "a tenant that slept was woken");
        }
        Ok(())
    }

    /// Tells the node and the tenant's pages of a change, if there was one. Returns whether
    /// there was.
    fn changed(
        &self,
        tenant: TenantId,
        changed: Result<Option<Committed<()>>, StoreError>,
    ) -> Result<bool, StoreError> {
        match changed {
            Ok(Some(committed)) => {
                self.nodes.nudge(committed.node);
                self.notifier.changed(tenant);
                Ok(true)
            }
            // Deleted meanwhile.
            Ok(None) | Err(StoreError::NotFound) => Ok(false),
            Err(e) => Err(e),
        }
    }
}
