//! The port's calls: prepare, observe, set clients, count.

use crate::{AdGuardSettings, UI_PORT, api::Api, clients, config, lists::Lists, prepare};
use async_trait::async_trait;
use domain::{ErrorCode, Slot, view::QueryCounts};
use provisioning::{
    Turns,
    observed::ObservedDns,
    ports::{DnsFilter, PortError, PortResult},
    spec::{DnsClient, DnsInstance},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Longest observation, as the port demands.
const OBSERVE: Duration = Duration::from_secs(2);

/// Longest change of all of a tenant's clients.
const SET_CLIENTS: Duration = Duration::from_secs(30);

/// Instances that read their lists again at one time: each needs some 100 MB
/// while it does.
const REFRESHES: usize = 2;

/// Calls on their way to the disk at one time.
const AT_ONCE: usize = 8;

/// AdGuard Home's files and API.
#[derive(Debug)]
pub struct AdGuard {
    settings: AdGuardSettings,
    lists: Arc<Lists>,
    api: Api,
    told: Mutex<HashMap<Slot, Told>>,
    refreshes: Arc<Semaphore>,
    disk: Turns,
}

/// What an instance was told since this process runs. Forgetting it costs a
/// call, nothing else.
#[derive(Debug, Default)]
struct Told {
    /// The lists' generation it was told to read.
    lists: Option<u64>,
    /// Names we gave otherwise than wanted, by our id: given, wanted.
    names: BTreeMap<String, (String, String)>,
}

impl AdGuard {
    /// The filter with its settings and the node's lists. `lists` is kept up
    /// to date by its own [`Lists::run`].
    ///
    /// # Errors
    /// `Internal` where no HTTP client can be made.
    pub fn new(settings: AdGuardSettings, lists: Arc<Lists>) -> PortResult<Self> {
        Ok(Self {
            settings,
            lists,
            api: Api::new(UI_PORT)?,
            told: Mutex::default(),
            refreshes: Arc::new(Semaphore::new(REFRESHES)),
            disk: Turns::of(AT_ONCE),
        })
    }

    fn told<T>(&self, slot: Slot, with: impl FnOnce(&mut Told) -> T) -> T {
        // Plain data: a panic elsewhere cannot have left it half-written.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        with(told.entry(slot).or_default())
    }

    /// Has an instance read lists that changed since it looked, once per
    /// change and in the background.
    async fn refresh_stale(&self, dns: &DnsInstance) {
        let generation = self.lists.generation();
        if self.told(dns.slot, |t| t.lists) == Some(generation) {
            return;
        }
        let (lists, at) = (Arc::clone(&self.lists), dns.clone());
        let looked = self.disk.run(move || Ok(prepare::is_stale(&at, &lists)));
        let looked = looked.await;
        self.told(dns.slot, |t| t.lists = Some(generation));
        if !matches!(looked, Ok(true)) {
            return;
        }
        let (api, dns, gate) = (self.api.clone(), dns.clone(), Arc::clone(&self.refreshes));
        tokio::spawn(async move {
            let Ok(_permit) = gate.acquire_owned().await else {
                return;
            };
            match api.refresh(&dns).await {
                Ok(()) => tracing::debug!(slot = %dns.slot, "block lists read again"),
                // It reads them by itself within a day.
                Err(e) => {
                    tracing::warn!(slot = %dns.slot, cause = ?e.cause, "block lists not read again: {e}")
                }
            }
        });
    }

    async fn look(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        if !self.api.running(dns).await? {
            return Ok(ObservedDns::default());
        }
        let mut seen = clients::ours(&self.api.clients(dns).await?);
        // A name we had to give is told as the one that was wanted, or the
        // planner would never be content.
        self.told(dns.slot, |told| {
            for (mark, (given, wanted)) in &told.names {
                if let Some(client) = seen.get_mut(mark).filter(|c| c.name == *given) {
                    client.name.clone_from(wanted);
                }
            }
        });
        Ok(ObservedDns {
            running: true,
            clients: seen,
        })
    }

    async fn bring(
        &self,
        dns: &DnsInstance,
        wanted: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        let there = self.api.clients(dns).await?;
        for change in clients::plan(&there, wanted) {
            self.api.change(dns, &change).await?;
        }
        let given = clients::names(&there, wanted);
        let numbered = given.into_iter().filter_map(|(mark, given)| {
            let name = wanted.get(&mark)?.name.clone();
            (name != given).then_some((mark, (given, name)))
        });
        self.told(dns.slot, |t| t.names = numbered.collect());
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
        let text = config::render(&self.settings, lists.lists(), &dns, clients);
        self.disk
            .run(move || prepare::write(&dns, &lists, || text))
            .await
    }

    async fn observe(&self, dns: &DnsInstance) -> PortResult<ObservedDns> {
        let seen = tokio::time::timeout(OBSERVE, self.look(dns))
            .await
            .map_err(|e| {
                let sentence = "AdGuard Home answers too slowly.";
                PortError::because(ErrorCode::DnsUnavailable, sentence, e)
            })??;
        if seen.running {
            self.refresh_stale(dns).await;
        }
        Ok(seen)
    }

    async fn set_clients(
        &self,
        dns: &DnsInstance,
        clients: &BTreeMap<String, DnsClient>,
    ) -> PortResult<()> {
        tokio::time::timeout(SET_CLIENTS, self.bring(dns, clients))
            .await
            .map_err(|e| {
                let sentence = "AdGuard Home takes its devices too slowly; the rest follows.";
                PortError::because(ErrorCode::DnsUnavailable, sentence, e)
            })?
    }

    async fn counts(&self, dns: &DnsInstance) -> PortResult<QueryCounts> {
        self.api.counts(dns).await
    }
}
