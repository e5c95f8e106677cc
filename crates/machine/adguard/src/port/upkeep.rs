//! What is done for a running instance in the background: its lists, the form of its clients,
//! and the copy of its configuration.

use super::{AdGuard, with_state};
use crate::{clients, config, kept, policy::Means, prepare};
use provisioning::{ports::PortResult, spec::DnsInstance};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a copy of a running instance's configuration is not made again.
const KEEP_INTERVAL: Duration = Duration::from_secs(600);

/// The longest wait after a failure to add or read lists. AdGuard Home fetches the tenant's
/// own each time.
const LISTS_RETRY: Duration = Duration::from_secs(6 * 3600);

/// The longest wait after a failure to change clients.
const FORMS_RETRY: Duration = Duration::from_secs(60);

impl AdGuard {
    /// Makes an instance read the lists that changed since it last read them: in the
    /// background, once for each change, and again later where that fails.
    pub(super) fn refresh_stale(&self, dns: &DnsInstance) {
        let generation = self.lists.generation();
        let is_due = self.with_state(dns.slot, |s| {
            s.lists_generation != Some(generation) && s.refresh.begin(self.retry, LISTS_RETRY)
        });
        if !is_due {
            return;
        }
        let (lists, instance) = (Arc::clone(&self.lists), dns.clone());
        let stale = move || Ok(prepare::is_stale(&instance, &lists));
        let (disk, api, dns) = (self.disk.clone(), self.api.clone(), dns.clone());
        let (refreshes, instances) = (Arc::clone(&self.refreshes), self.instances.clone());
        tokio::spawn(async move {
            let work = async {
                if disk.run(stale).await? {
                    let _permit = refreshes.acquire().await;
                    api.refresh(&dns).await?;
                    tracing::debug!(slot = %dns.slot, "block lists read again");
                }
                PortResult::Ok(())
            };
            let result = work.await;
            with_state(&instances, dns.slot, |s| {
                s.refresh.end(result.is_ok());
                if result.is_ok() {
                    s.lists_generation = Some(generation);
                }
            });
            if let Err(e) = result {
                // AdGuard Home reads them by itself too, within a day.
                tracing::warn!(slot = %dns.slot, cause = ?e.cause, "block lists not read again: {e}");
            }
        });
    }

    /// Gives an instance the list for locked devices, in the background and once after each
    /// start: its configuration may be older than that list. One that the tenant has switched
    /// off or removed stays so. `pass_rule` says whether the list's rules for devices without
    /// a filter apply, where there is such a device: where they do not although the list is
    /// on, the instance reads it again.
    pub(super) fn keep_lock_list(&self, dns: &DnsInstance, pass_rule: Option<bool>) {
        let Some(list) = self.lists.shared().last() else {
            return;
        };
        let generation = self.lists.generation();
        let due = self.with_state(dns.slot, |s| {
            if pass_rule == Some(true) {
                s.lock_list.forget();
            }
            // While a changed list is being read, that it is not in force says nothing.
            let is_read = s.lists_generation == Some(generation);
            let is_missed = pass_rule == Some(false) && is_read;
            let is_due =
                (is_missed || !s.has_lock_list) && s.lock_list.begin(self.retry, LISTS_RETRY);
            is_due.then_some((is_missed, s.has_lock_list))
        });
        let Some((is_missed, has_list)) = due else {
            return;
        };
        let url = config::list_url(&self.settings.lists_mount, list);
        let (api, dns, name) = (self.api.clone(), dns.clone(), list.name.clone());
        let (refreshes, instances) = (Arc::clone(&self.refreshes), self.instances.clone());
        tokio::spawn(async move {
            let work = async {
                match api.is_list_on(&dns, &url).await? {
                    None if !has_list => api.add_list(&dns, &name, &url).await,
                    Some(true) if is_missed => {
                        let _permit = refreshes.acquire().await;
                        api.refresh(&dns).await
                    }
                    _ => Ok(()),
                }
            };
            let result = work.await;
            with_state(&instances, dns.slot, |s| {
                s.has_lock_list |= result.is_ok();
                // Only when the rules are seen in force, no more attempts are needed.
                s.lock_list.end(result.is_ok() && !is_missed);
            });
            if let Err(e) = result {
                tracing::warn!(slot = %dns.slot, cause = ?e.cause, "the list for locked devices was not added or read: {e}");
            }
        });
    }

    /// Gives an instance's clients the form that their policy has, in the background: locks
    /// with AdGuard's look-up service or without it, and the policy *off* with the rule that
    /// lets every name pass or without it.
    pub(super) fn set_forms(&self, dns: &DnsInstance, lookups: bool) {
        let begun = self.with_state(dns.slot, |s| {
            let begins = s.forms.begin(self.retry, FORMS_RETRY);
            begins.then(|| Arc::clone(&s.changes))
        });
        let Some(changes) = begun else {
            return;
        };
        let (api, dns, instances) = (self.api.clone(), dns.clone(), self.instances.clone());
        tokio::spawn(async move {
            let set = async {
                let _changes = changes.lock().await;
                // Asked again: it may have changed meanwhile.
                let pass_rule = api.has_pass_rule(&dns).await;
                let present = api.clients(&dns).await?;
                for change in clients::form_changes(&present, Means { lookups, pass_rule }) {
                    api.change(&dns, &change).await?;
                }
                PortResult::Ok(())
            };
            let result = set.await;
            with_state(&instances, dns.slot, |s| {
                s.forms.end(result.is_ok());
                if result.is_ok() {
                    s.lookups = Some(lookups);
                }
            });
            if let Err(e) = result {
                tracing::warn!(slot = %dns.slot, cause = ?e.cause, "the switches of policies were not changed: {e}");
            }
        });
    }

    /// Copies the configuration of an instance that has started well, in the
    /// background, and again now and then: the tenant may have changed it.
    pub(super) fn keep_config(&self, dns: &DnsInstance) {
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
}
