//! What the capabilities share. Each capability is a handle on it.

use crate::{
    auth::{Hasher, Limits},
    entropy::Entropy,
    events::{EventWriter, Timing},
    nodes::Capacity,
    parts::{ControlParts, ControlSettings},
    traffic::Meter,
    watch::TenantNotifier,
};
use provisioning::{Clock, NodeHandle};
use std::sync::Arc;
use store::Store;

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) node: NodeHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Entropy,
    pub(crate) settings: ControlSettings,
    pub(crate) hasher: Hasher,
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<Meter>,
    pub(crate) capacity: Capacity,
    pub(crate) events: EventWriter,
    pub(crate) notifier: TenantNotifier,
}

impl Inner {
    pub(crate) fn new(parts: ControlParts) -> Self {
        let ControlParts {
            store,
            node,
            clock,
            entropy,
            settings,
            capacity,
        } = parts;
        Self {
            meter: Arc::new(Meter::new(
                store.clone(),
                settings.node,
                node.clone(),
                clock.clone(),
            )),
            capacity: Capacity::new(capacity, node.clone()),
            events: EventWriter::new(
                store.clone(),
                node.clone(),
                clock.clone(),
                settings.node,
                Timing::default(),
            ),
            hasher: Hasher::new(),
            limits: Limits::new(settings.sign_ups_per_hour),
            notifier: TenantNotifier::default(),
            store,
            node,
            clock,
            entropy,
            settings,
        }
    }
}
