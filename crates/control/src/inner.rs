//! What the capabilities share. Each capability is a handle on it.

use crate::{
    auth::{CredentialReads, Hasher, Limits, SigningKeys},
    control_planes::{Leases, SharedClock},
    devices::DeviceLists,
    entropy::Entropy,
    events::{EventWriter, Timing},
    figures::{Counters, FiguresCache},
    nodes::WorkerAccess,
    parts::{ControlParts, ControlSettings},
    quota::Quotas,
    traffic::Meter,
    watch::TenantNotifier,
};
use domain::{Clock, Timestamp};
use protocol::Nodes;
use std::sync::Arc;
use store::Store;

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) clock: Arc<dyn Clock>,
    /// When this process began.
    pub(crate) started_at: Timestamp,
    pub(crate) entropy: Entropy,
    pub(crate) settings: ControlSettings,
    pub(crate) workers: WorkerAccess,
    pub(crate) leases: Arc<Leases>,
    pub(crate) hasher: Hasher,
    pub(crate) limits: Limits,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) meter: Arc<Meter>,
    pub(crate) events: EventWriter,
    pub(crate) notifier: Arc<TenantNotifier>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) counters: Counters,
    pub(crate) figures: FiguresCache,
    pub(crate) lists: DeviceLists,
    pub(crate) credential_reads: CredentialReads,
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
        let shared_clock = Arc::new(SharedClock::new(clock));
        let clock: Arc<dyn Clock> = shared_clock.clone();
        let leases = Leases::new(store.clone(), nodes.clone(), shared_clock, &settings);
        let leases = Arc::new(leases);
        let notifier = Arc::<TenantNotifier>::default();
        let quotas = Quotas::new(
            store.clone(),
            nodes.clone(),
            clock.clone(),
            notifier.clone(),
            leases.clone(),
        );
        let quotas = Arc::new(quotas);
        let meter = Meter::new(
            store.clone(),
            nodes.clone(),
            clock.clone(),
            quotas.clone(),
            leases.clone(),
        );
        Self {
            started_at: clock.now(),
            meter: Arc::new(meter),
            quotas,
            events: EventWriter::new(
                store.clone(),
                nodes.clone(),
                clock.clone(),
                leases.clone(),
                Timing::default(),
            ),
            hasher: Hasher::new(),
            signing_keys: SigningKeys::new(),
            limits: Limits::new(&store, &settings),
            counters: Counters::default(),
            figures: FiguresCache::default(),
            lists: DeviceLists::default(),
            credential_reads: CredentialReads::default(),
            notifier,
            leases,
            store,
            nodes,
            clock,
            entropy,
            settings,
            workers,
        }
    }
}
