//! The `DnsFilter` port: prepare, observe, set clients, count queries.

mod attempt;
mod upkeep;

use crate::{
    AdGuardSettings,
    api::Api,
    aside, clients, config, leftovers,
    lists::Lists,
    lookups::Lookups,
    names,
    policy::{Means, Object, policy_in_any_form, policy_of},
    prepare,
};
use async_trait::async_trait;
use attempt::Attempt;
use domain::{ErrorCode, FilterPolicy, Message, Slot, marks::DNS_UI_PORT, view::QueryCounts};
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

/// The first wait after an attempt in the background that failed.
const RETRY: Duration = Duration::from_secs(10);

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
    retry: Duration,
}

/// What this process has sent to an instance. It is a cache: losing it costs
/// one call.
#[derive(Debug, Default)]
struct InstanceState {
    /// The generation of the block lists that the instance read last.
    lists_generation: Option<u64>,
    /// Attempts to make it read them.
    refresh: Attempt,
    /// Whether it was seen to have the list for locked devices since its start, or was given
    /// it.
    has_lock_list: bool,
    /// Attempts to give it that list.
    lock_list: Attempt,
    /// For which state of the look-up service its locks were set.
    lookups: Option<bool>,
    /// Attempts to give its clients the form that their policy has.
    forms: Attempt,
    /// Held while its clients are changed.
    changes: Arc<tokio::sync::Mutex<()>>,
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
            retry: RETRY,
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
        let has_off = clients::without_filter(&present).next().is_some();
        let pass_rule = has_off && self.api.has_pass_rule(dns).await;
        let means = Means { lookups, pass_rule };
        // While locks are switched over, those of before are as good: a task does that. So are
        // both forms of the policy *off*.
        let is_set = self.with_state(dns.slot, |s| s.lookups == Some(lookups));
        let policy = |client: &Object| {
            let any = policy_in_any_form(client);
            let is_as_good = |p: &FilterPolicy| *p == FilterPolicy::Off || !is_set;
            policy_of(client, means).or(any.filter(is_as_good))
        };
        let mut observed = clients::our_clients(&present, policy);
        let has_locks = observed
            .values()
            .any(|c| c.policy.is_some_and(|p| p.is_lock()));
        if has_locks {
            self.lookups.probe_if_due();
        }
        let mut without_filter = clients::without_filter(&present);
        if !is_set || without_filter.any(|c| policy_of(c, means).is_none()) {
            self.set_forms(dns, lookups);
        }
        self.refresh_stale(dns);
        self.keep_lock_list(dns, has_off.then_some(pass_rule));
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

    async fn apply_clients(
        &self,
        dns: &DnsInstance,
        wanted: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        let changes = self.with_state(dns.slot, |s| Arc::clone(&s.changes));
        let _changes = changes.lock().await;
        let present = self.api.clients(dns).await?;
        let wants_off = wanted.values().any(|c| c.policy == FilterPolicy::Off);
        let means = Means {
            lookups: self.lookups.can_be_reached(),
            pass_rule: wants_off && self.api.has_pass_rule(dns).await,
        };
        for change in clients::plan(&present, wanted, means) {
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
        let means = Means {
            lookups: self.lookups.can_be_reached(),
            // The lists are written with the configuration.
            pass_rule: true,
        };
        let text = config::render(&self.settings, lists.shared(), &dns, clients, means);
        self.with_state(dns.slot, |s| {
            (s.kept_at, s.has_lock_list, s.lookups) = (None, false, None);
            for attempt in [&mut s.refresh, &mut s.lock_list, &mut s.forms] {
                attempt.forget();
            }
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

#[cfg(test)]
mod tests;
