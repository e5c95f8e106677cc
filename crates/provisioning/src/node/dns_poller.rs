//! Polls AdGuard Homes: which of them are read, and when.

use super::{
    deadline::{OBSERVE, with_deadline},
    message::{Message, spawn_and_send},
    port_poll::PortPoll,
};
use crate::{
    derive::TenantSpecExt,
    observed::ObservedDns,
    ports::{DnsFilter, PortResult},
    spec::{DnsInstance, NodeSettings},
};
use domain::Slot;
use protocol::NodeSpec;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedSender},
    time::Instant,
};

/// How many AdGuard Homes are read at the same time.
const CONCURRENT_POLLS: usize = 32;

/// How long a starting AdGuard Home is polled before it gives up its permit.
const STARTING_PATIENCE: Duration = Duration::from_secs(3);

/// How many polls an AdGuard Home may leave unanswered before it counts as silent:
/// it is then polled with less patience and less often.
const STARTING_POLLS: u32 = 4;

/// The first and the last interval between two polls of a silent AdGuard Home. It
/// is doubled from one to the other.
const SILENT_INTERVALS: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(10));

/// The polling state of all AdGuard Homes.
pub(super) struct DnsPoller {
    polls: BTreeMap<Slot, PortPoll>,
    /// The slots to check: all that are due, and possibly more.
    due: BTreeSet<Slot>,
    /// Active tenants whose container runs.
    running: BTreeSet<Slot>,
    permits: Arc<Semaphore>,
}

impl Default for DnsPoller {
    fn default() -> Self {
        Self {
            polls: BTreeMap::new(),
            due: BTreeSet::new(),
            running: BTreeSet::new(),
            permits: Arc::new(Semaphore::new(CONCURRENT_POLLS)),
        }
    }
}

impl DnsPoller {
    /// Sets the slots that are polled from now on.
    pub fn set_running(&mut self, running: BTreeSet<Slot>) {
        self.polls.retain(|slot, _| running.contains(slot));
        for slot in &running {
            poll_of(&mut self.polls, &mut self.due, *slot);
        }
        self.running = running;
    }

    /// Marks one instance to be read again at once.
    pub fn mark(&mut self, slot: Slot) {
        let poll = poll_of(&mut self.polls, &mut self.due, slot);
        (poll.stale, poll.not_before) = (true, None);
        self.due.insert(slot);
    }

    /// Marks all instances to be read again.
    pub fn mark_all(&mut self) {
        self.polls.values_mut().for_each(|p| p.stale = true);
        self.due.extend(self.polls.keys());
    }

    /// Makes a reading that is under way outdated.
    pub fn invalidate(&mut self, slot: Slot) {
        poll_of(&mut self.polls, &mut self.due, slot).epoch += 1;
    }

    /// Ends a reading. Returns whether its result is to be accepted.
    pub fn end(&mut self, slot: Slot, epoch: u64, runs: bool) -> bool {
        let Some(poll) = self.polls.get_mut(&slot) else {
            return false;
        };
        let accepted = poll.end(epoch);
        if accepted && runs {
            poll.silent = 0;
        } else if accepted {
            let (first, last) = SILENT_INTERVALS;
            let doublings = poll.silent.saturating_sub(STARTING_POLLS).min(10);
            let wait = first.saturating_mul(1 << doublings).min(last);
            poll.silent = poll.silent.saturating_add(1);
            poll.stale = true;
            poll.not_before = Some(Instant::now() + wait);
        }
        if poll.stale {
            self.due.insert(slot);
        }
        accepted
    }

    /// Returns when the next postponed poll is due.
    pub fn next_retry(&self) -> Option<Instant> {
        let due = self.due.iter().filter_map(|slot| self.polls.get(slot));
        due.filter(|p| p.stale && !p.reading)
            .filter_map(|p| p.not_before)
            .min()
    }

    /// Starts every poll that is due.
    pub fn start_due(
        &mut self,
        port: &Arc<dyn DnsFilter>,
        settings: &NodeSettings,
        spec: &NodeSpec,
        out: &UnboundedSender<Message>,
    ) {
        let now = Instant::now();
        for slot in std::mem::take(&mut self.due) {
            if !self.running.contains(&slot) {
                self.polls.remove(&slot);
                continue;
            }
            let Some(poll) = self.polls.get_mut(&slot).filter(|p| p.stale) else {
                continue;
            };
            let (Some(epoch), Some(t)) = (poll.begin(now), spec.tenants.get(&slot)) else {
                self.due.insert(slot);
                continue;
            };
            let patience = if poll.silent < STARTING_POLLS {
                STARTING_PATIENCE
            } else {
                Duration::ZERO
            };
            let (port, dns, permits) = (port.clone(), t.dns(settings), self.permits.clone());
            spawn_and_send(out, async move {
                let _permit = permits.acquire_owned().await;
                let reading = poll_until_running(port.as_ref(), &dns, patience);
                Message::Dns(slot, epoch, with_deadline(OBSERVE, reading).await)
            });
        }
    }
}

/// Returns a slot's polling state. A new one is due.
fn poll_of<'p>(
    polls: &'p mut BTreeMap<Slot, PortPoll>,
    due: &mut BTreeSet<Slot>,
    slot: Slot,
) -> &'p mut PortPoll {
    polls.entry(slot).or_insert_with(|| {
        due.insert(slot);
        PortPoll::new()
    })
}

/// Polls until the instance runs or `patience` ends. A container that was just
/// started answers after 45-150 ms, while a person watches the progress page.
async fn poll_until_running(
    port: &dyn DnsFilter,
    dns: &DnsInstance,
    patience: Duration,
) -> PortResult<ObservedDns> {
    let end = Instant::now() + patience;
    let mut wait = Duration::from_millis(10);
    loop {
        let reading = port.observe(dns).await;
        if reading.as_ref().is_ok_and(|d| d.running) || Instant::now() + wait > end {
            return reading;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 3 / 2).min(Duration::from_millis(200));
    }
}
