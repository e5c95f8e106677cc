//! The `DnsFilter` port: prepare, observe, set clients, count queries.

use crate::policy::Object;
use crate::{
    AdGuardSettings, api::Api, aside, clients, config, kept, leftovers, lists::Lists,
    lookups::Lookups, names, policy::policy_of, prepare,
};
use async_trait::async_trait;
use domain::{ErrorCode, Message, Slot, marks::DNS_UI_PORT, view::QueryCounts};
use hostfs::BlockingPool;
use provisioning::{
    observed::ObservedDns,
    ports::{DnsFilter, DnsPart, PortError, PortResult},
    spec::{DnsClient, DnsInstance},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Timeout of an observation, as the port demands.
const OBSERVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Timeout of changing all of a tenant's clients.
const SET_CLIENTS_TIMEOUT: Duration = Duration::from_secs(30);

/// How many instances read their block lists again at the same time. Each needs
/// some 100 MB meanwhile.
const MAX_REFRESHES: usize = 2;

/// How long a copy of a running instance's configuration is not made again.
const KEEP_INTERVAL: Duration = Duration::from_secs(600);

/// How many calls to the disk run at the same time.
const MAX_DISK_CALLS: usize = 8;

/// AdGuard Home's files and API.
#[derive(Debug)]
pub struct AdGuard {
    settings: AdGuardSettings,
    lists: Arc<Lists>,
    api: Api,
    instances: Instances,
    refreshes: Arc<Semaphore>,
    lookups: Arc<Lookups>,
    disk: BlockingPool,
}

/// What this process has sent to an instance. It is a cache: losing it costs
/// one call.
#[derive(Debug, Default)]
struct InstanceState {
    /// The generation of the block lists that the instance read last.
    lists_generation: Option<u64>,
    /// Whether it was seen to have the list for locked devices since its start.
    has_lock_list: bool,
    /// For which state of the look-up service its locks were set, and whether a task sets
    /// them at present.
    lookups: Option<bool>,
    sets_lookups: bool,
    /// When its configuration was last copied since its start.
    kept_at: Option<Instant>,
    /// Names that differ from the wanted ones, by our id: the name given and the
    /// name wanted.
    renamed: BTreeMap<String, (String, String)>,
}

/// What this process has sent to each instance.
type Instances = Arc<Mutex<HashMap<Slot, InstanceState>>>;

fn with_state<T>(instances: &Instances, slot: Slot, f: impl FnOnce(&mut InstanceState) -> T) -> T {
    // Plain data: a panic of another task cannot have left it half-written.
    let mut instances = instances.lock().unwrap_or_else(PoisonError::into_inner);
    f(instances.entry(slot).or_default())
}

impl AdGuard {
    /// Creates the filter from its settings and the node's lists. The caller runs
    /// [`Lists::run`], which fetches `lists` regularly.
    ///
    /// # Errors
    /// `Internal` where no HTTP client can be created.
    pub fn new(settings: AdGuardSettings, lists: Arc<Lists>) -> PortResult<Self> {
        Ok(Self {
            settings,
            lists,
            api: Api::new(DNS_UI_PORT)?,
            instances: Instances::default(),
            refreshes: Arc::new(Semaphore::new(MAX_REFRESHES)),
            lookups: Arc::default(),
            disk: BlockingPool::new(MAX_DISK_CALLS),
        })
    }

    /// Replaces the addresses at which AdGuard's look-up service is probed.
    #[must_use]
    pub fn with_lookups(mut self, addresses: Vec<SocketAddr>) -> Self {
        self.lookups = Arc::new(Lookups::new(addresses));
        self
    }

    fn with_state<T>(&self, slot: Slot, f: impl FnOnce(&mut InstanceState) -> T) -> T {
        with_state(&self.instances, slot, f)
    }

    /// Makes an instance read the lists that changed since it last read them. Does
    /// so once for each change, in the background.
    async fn refresh_stale(&self, dns: &DnsInstance) {
        let generation = self.lists.generation();
        if self.with_state(dns.slot, |s| s.lists_generation) == Some(generation) {
            return;
        }
        let (lists, instance) = (Arc::clone(&self.lists), dns.clone());
        let stale = self
            .disk
            .run(move || Ok(prepare::is_stale(&instance, &lists)));
        let stale = stale.await;
        self.with_state(dns.slot, |s| s.lists_generation = Some(generation));
        if !matches!(stale, Ok(true)) {
            return;
        }
        let (api, dns, refreshes) = (self.api.clone(), dns.clone(), Arc::clone(&self.refreshes));
        tokio::spawn(async move {
            let Ok(_permit) = refreshes.acquire_owned().await else {
                return;
            };
            match api.refresh(&dns).await {
                Ok(()) => tracing::debug!(slot = %dns.slot, "block lists read again"),
                // AdGuard Home reads them by itself within a day.
                Err(e) => {
                    tracing::warn!(slot = %dns.slot, cause = ?e.cause, "block lists not read again: {e}")
                }
            }
        });
    }

    /// Gives an instance the list for locked devices, in the background and once after
    /// each start: its configuration may be older than that list. One that the tenant has
    /// switched off stays so.
    fn add_lock_list(&self, dns: &DnsInstance) {
        let Some(list) = self.lists.shared().last() else {
            return;
        };
        if self.with_state(dns.slot, |s| std::mem::replace(&mut s.has_lock_list, true)) {
            return;
        }
        let url = config::list_url(&self.settings.lists_mount, list);
        let (api, dns, name) = (self.api.clone(), dns.clone(), list.name.clone());
        tokio::spawn(async move {
            if let Err(e) = api.add_list(&dns, &name, &url).await {
                tracing::warn!(slot = %dns.slot, cause = ?e.cause, "the list for locked devices was not added: {e}");
            }
        });
    }

    /// Copies the configuration of an instance that has started well, in the
    /// background, and again now and then: the tenant may have changed it.
    fn keep_config(&self, dns: &DnsInstance) {
        let now = Instant::now();
        let is_due = self.with_state(dns.slot, |s| {
            let is_due = s.kept_at.is_none_or(|at| now - at >= KEEP_INTERVAL);
            if is_due {
                s.kept_at = Some(now);
            }
            is_due
        });
        if is_due {
            let (disk, dns) = (self.disk.clone(), dns.clone());
            tokio::spawn(async move {
                let slot = dns.slot;
                if let Err(e) = disk.run(move || kept::keep(&dns)).await {
                    tracing::warn!(%slot, cause = ?e.cause, "AdGuard Home's configuration not copied: {e}");
                }
            });
        }
    }

    /// Frees space on the disk by removing the oldest of a part, also while the
    /// instance runs: of the query log the older file, or, where there is none, all of
    /// it; the statistics; lists that were removed from the configuration. Never
    /// anything of the configuration. Returns whether there was anything to remove.
    ///
    /// # Errors
    /// `DiskUnavailable`; `DnsUnavailable` where AdGuard Home refuses.
    pub async fn trim(&self, dns: &DnsInstance, part: DnsPart) -> PortResult<bool> {
        let on_disk = |work: fn(&DnsInstance) -> PortResult<bool>| {
            let dns = dns.clone();
            self.disk.run(move || work(&dns))
        };
        match part {
            DnsPart::QueryLog => {
                if on_disk(leftovers::remove_older_log).await? {
                    return Ok(true);
                }
                if !on_disk(|dns| Ok(leftovers::has_log(dns))).await? {
                    return Ok(false);
                }
                match self.api.clear_log(dns).await {
                    // It does not run, so its file can go.
                    Err(e) if e.message == Message::AdguardNotYet => {
                        on_disk(leftovers::remove_log).await
                    }
                    cleared => cleared.map(|()| true),
                }
            }
            DnsPart::Statistics => self.api.clear_statistics(dns).await.map(|()| true),
            DnsPart::Lists => on_disk(|dns| leftovers::remove_old_lists(dns, false)).await,
            DnsPart::Config => Ok(false),
        }
    }

    /// Removes what was set aside of an instance, but for configurations. Returns
    /// whether there was anything to remove.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub async fn remove_set_aside(&self, dns: &DnsInstance) -> PortResult<bool> {
        let dns = dns.clone();
        self.disk.run(move || aside::remove_bulk(&dns)).await
    }

    async fn read_instance(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        if !self.api.running(dns).await? {
            return Ok(ObservedDns::default());
        }
        let present = self.api.clients(dns).await?;
        let (names, own_names) = names::observed(dns, &self.api.rewrites(dns).await?);
        let lookups = self.lookups.can_be_reached();
        // While locks are switched over, those of before are as good: a task does that.
        let is_set = self.with_state(dns.slot, |s| s.lookups == Some(lookups));
        let policy = |client: &Object| {
            let other = || policy_of(client, !lookups).filter(|_| !is_set);
            policy_of(client, lookups).or_else(other)
        };
        let mut observed = clients::our_clients(&present, policy);
        let has_locks = observed
            .values()
            .any(|c| c.policy.is_some_and(|p| p.is_lock()));
        if has_locks {
            self.lookups.probe_if_due();
        }
        if !is_set {
            self.set_lookups(dns, lookups);
        }
        // A name that we had to change is reported as the one that was wanted.
        // Otherwise the planner would try to set it at every pass.
        self.with_state(dns.slot, |state| {
            for (mark, (given, wanted)) in &state.renamed {
                if let Some(client) = observed.get_mut(mark).filter(|c| c.name == *given) {
                    client.name.clone_from(wanted);
                }
            }
        });
        Ok(ObservedDns {
            running: true,
            clients: observed,
            names,
            own_names,
            lookups_away: has_locks && !lookups,
        })
    }

    /// Switches an instance's locks over in the background: to what they do with AdGuard's
    /// look-up service, or without it.
    fn set_lookups(&self, dns: &DnsInstance, lookups: bool) {
        if self.with_state(dns.slot, |s| std::mem::replace(&mut s.sets_lookups, true)) {
            return;
        }
        let (api, dns, instances) = (self.api.clone(), dns.clone(), self.instances.clone());
        tokio::spawn(async move {
            let set = async {
                let present = api.clients(&dns).await?;
                for change in clients::lookup_changes(&present, lookups) {
                    api.change(&dns, &change).await?;
                }
                PortResult::Ok(())
            };
            let result = set.await;
            with_state(&instances, dns.slot, |s| {
                s.sets_lookups = false;
                if result.is_ok() {
                    s.lookups = Some(lookups);
                }
            });
            if let Err(e) = result {
                tracing::warn!(slot = %dns.slot, cause = ?e.cause, "locks were not switched over: {e}");
            }
        });
    }

    async fn apply_clients(
        &self,
        dns: &DnsInstance,
        wanted: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        let present = self.api.clients(dns).await?;
        let lookups = self.lookups.can_be_reached();
        for change in clients::plan(&present, wanted, lookups) {
            self.api.change(dns, &change).await?;
        }
        let given = clients::assign_names(&present, wanted);
        let renamed = given.into_iter().filter_map(|(mark, given)| {
            let name = wanted.get(&mark)?.name.clone();
            (name != given).then_some((mark, (given, name)))
        });
        self.with_state(dns.slot, |s| s.renamed = renamed.collect());
        let rewrites = self.api.rewrites(dns).await?;
        for change in names::plan(dns, &rewrites, wanted) {
            self.api.change_rewrites(dns, &change).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl DnsFilter for AdGuard {
    async fn prepare(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        let (lists, dns) = (Arc::clone(&self.lists), dns.clone());
        let text = config::render(
            &self.settings,
            lists.shared(),
            &dns,
            clients,
            self.lookups.can_be_reached(),
        );
        self.with_state(dns.slot, |s| {
            (s.kept_at, s.has_lock_list, s.lookups) = (None, false, None);
        });
        self.disk
            .run(move || prepare::write(&dns, &lists, || text))
            .await
    }

    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        let observed = tokio::time::timeout(OBSERVE_TIMEOUT, self.read_instance(dns))
            .await
            .map_err(|e| {
                let message = Message::AdguardSlow;
                PortError::because(ErrorCode::DnsUnavailable, message, e)
            })??;
        if observed.running {
            self.add_lock_list(dns);
            self.refresh_stale(dns).await;
            self.keep_config(dns);
        }
        Ok(observed)
    }

    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        tokio::time::timeout(SET_CLIENTS_TIMEOUT, self.apply_clients(dns, clients))
            .await
            .map_err(|e| {
                let message = Message::AdguardDevicesSlow;
                PortError::because(ErrorCode::DnsUnavailable, message, e)
            })?
    }

    async fn set_aside(&self, dns: &DnsInstance, part: DnsPart) -> PortResult<bool> {
        let (settings, lists) = (self.settings.clone(), Arc::clone(&self.lists));
        let dns = dns.clone();
        self.disk
            .run(move || aside::set_aside(&settings, &lists, &dns, part))
            .await
    }

    async fn counts(&self, dns: &DnsInstance) -> PortResult<QueryCounts> {
        self.api.counts(dns).await
    }
}
