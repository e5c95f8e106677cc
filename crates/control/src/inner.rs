//! What the capabilities share. Each capability is a handle on it.

use crate::{
    auth::{Hasher, Limits},
    entropy::Entropy,
    events::{EventWriter, Timing},
    nodes::WorkerAccess,
    parts::{ControlParts, ControlSettings},
    quota::Quotas,
    traffic::Meter,
    watch::TenantNotifier,
};
use domain::Clock;
use protocol::Nodes;
use std::sync::Arc;
use store::Store;

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Entropy,
    pub(crate) settings: ControlSettings,
    pub(crate) workers: WorkerAccess,
    pub(crate) hasher: Hasher,
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<Meter>,
    pub(crate) events: EventWriter,
    pub(crate) notifier: Arc<TenantNotifier>,
    pub(crate) quotas: Arc<Quotas>,
}

impl Inner {
    pub(crate) fn new(parts: ControlParts) -> Self {
        let ControlParts {
            store,
            nodes,
            clock,
            entropy,
            settings,
            workers,
        } = parts;
        let notifier = Arc::<TenantNotifier>::default();
        let quotas = Quotas::new(
            store.clone(),
            nodes.clone(),
            clock.clone(),
            notifier.clone(),
        );
        let quotas = Arc::new(quotas);
        let meter = Meter::new(store.clone(), nodes.clone(), clock.clone(), quotas.clone());
        Self {
            meter: Arc::new(meter),
            quotas,
            events: EventWriter::new(
                store.clone(),
                nodes.clone(),
                clock.clone(),
                Timing::default(),
            ),
            hasher: Hasher::new(),
            limits: Limits::new(settings.sign_ups_per_hour),
            notifier,
            store,
            nodes,
            clock,
            entropy,
            settings,
            workers,
        }
    }
}
