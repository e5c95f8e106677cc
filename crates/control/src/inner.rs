//! What the capabilities share. Each capability is a handle on it.

use crate::{
    auth::{CredentialReads, Hasher, KnownCredentials, Limits, SigningKeys, VerifiedTokens},
    control_planes::{Leases, SharedClock},
    devices::DeviceLists,
    entropy::Entropy,
    events::{EventWriter, Timing},
    figures::{Counters, FiguresCache},
    mail::MailSetup,
    nodes::{EndpointNames, WorkerAccess},
    operators::Checks,
    parts::{ControlParts, ControlSettings},
    quota::Quotas,
    traffic::Meter,
    watch::TenantNotifier,
};
use domain::{Clock, Timestamp, view::DeviceView};
use protocol::{DeviceNames, Nodes};
use std::sync::Arc;
use store::{DeviceRecord, Store};

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) nodes: Arc<dyn Nodes>,
    pub(crate) clock: Arc<dyn Clock>,
    /// When this process began.
    pub(crate) started_at: Timestamp,
    pub(crate) entropy: Entropy,
    pub(crate) settings: ControlSettings,
    pub(crate) workers: WorkerAccess,
    pub(crate) names: Option<EndpointNames>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) hasher: Hasher,
    pub(crate) limits: Limits,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) verified_tokens: VerifiedTokens,
    pub(crate) meter: Arc<Meter>,
    pub(crate) events: EventWriter,
    pub(crate) notifier: Arc<TenantNotifier>,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) counters: Counters,
    pub(crate) figures: FiguresCache,
    pub(crate) lists: DeviceLists,
    pub(crate) credential_reads: CredentialReads,
    pub(crate) known_credentials: KnownCredentials,
    /// The checks of this machine.
    pub(crate) checks: Checks,
    /// How mail is sent; `None` where it is not.
    pub(crate) mail: Option<MailSetup>,
}

impl Inner {
    /// Returns a device with what is known of it at present.
    pub(crate) fn device_view(&self, device: &DeviceRecord, names: &DeviceNames) -> DeviceView {
        let prefix = self.store.known_ipv6_prefix();
        let slot = self.settings.addresses.slot_of(device.address);
        let ipv6 = prefix.zip(slot);
        let ipv6 = ipv6.map(|(prefix, slot)| prefix.subnet(slot).device(device.address));
        let only_ipv4 = device.options.ipv4_only;
        DeviceView {
            ipv6: ipv6.filter(|_| !only_ipv4).map(|at| at.to_string()),
            host_name: names.get(device.id).to_owned(),
            ..self.meter.device_view(device)
        }
    }

    pub(crate) fn new(parts: ControlParts, mail: Option<MailSetup>) -> Self {
        let ControlParts {
            store,
            nodes,
            clock,
            entropy,
            settings,
            workers,
            names,
        } = parts;
        if mail.is_some() {
            store.enable_mail();
        }
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
            verified_tokens: VerifiedTokens::default(),
            limits: Limits::new(&store, &settings),
            counters: Counters::default(),
            figures: FiguresCache::default(),
            lists: DeviceLists::default(),
            credential_reads: CredentialReads::default(),
            known_credentials: KnownCredentials::default(),
            checks: Checks::default(),
            mail,
            notifier,
            leases,
            store,
            nodes,
            clock,
            entropy,
            settings,
            workers,
            names,
        }
    }
}
