//! Tells pages when to reload what they show.

mod notifier;

pub(crate) use notifier::TenantNotifier;

use crate::Control;
use domain::{TenantScope, Timestamp};
use futures_util::stream::{self, BoxStream, StreamExt};
use provisioning::node::TenantState;
use tokio::sync::watch;

/// The sources of one stream of changes.
struct Sources {
    rows: watch::Receiver<()>,
    state: watch::Receiver<Option<TenantState>>,
    readings: watch::Receiver<u64>,
    /// Whether the stream has not yielded anything yet.
    is_first: bool,
}

impl Control {
    /// Returns the server's clock, which pages calculate with: a browser's may
    /// be years off.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns a stream that yields when a page should reload: at once, at every
    /// change of the tenant's rows or status, and with every reading of the
    /// statistics. While the stream exists, statistics are read every 2 s. It
    /// ends when the tenant is deleted.
    pub fn changes(&self, scope: &TenantScope) -> BoxStream<'static, ()> {
        let (control, scope) = (self.clone(), scope.clone());
        let begin = async move {
            let tenant = control.0.store.tenant(&scope).await.ok()?;
            Some(Sources {
                rows: control.0.notifier.watch(scope.tenant()),
                state: control.0.node.watch(tenant.slot),
                readings: control.0.meter.watch(),
                is_first: true,
            })
        };
        stream::once(begin)
            .filter_map(std::future::ready)
            .flat_map(|sources| stream::unfold(sources, next_change))
            .boxed()
    }
}

async fn next_change(mut sources: Sources) -> Option<((), Sources)> {
    if !std::mem::replace(&mut sources.is_first, false) {
        let changed = tokio::select! {
            r = sources.rows.changed() => r,
            r = sources.state.changed() => r,
            r = sources.readings.changed() => r,
        };
        changed.ok()?;
    }
    Some(((), sources))
}
