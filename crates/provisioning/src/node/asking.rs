//! Which AdGuard Homes are asked what they hold, and when.

use super::{
    Message, answer,
    guard::{OBSERVE, guarded},
    source::Source,
};
use crate::{
    observed::ObservedDns,
    ports::{DnsFilter, PortResult},
    spec::{DnsInstance, NodeSettings, NodeSpec},
};
use domain::Slot;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedSender},
    time::Instant,
};

/// AdGuard Homes asked at one time.
const DNS_AT_ONCE: usize = 32;

/// How long a starting AdGuard Home is asked before the others' turn.
const DNS_PATIENCE: Duration = Duration::from_secs(3);

/// Answers in which an AdGuard Home was silent before it is asked with less
/// patience and less often.
const DNS_STARTING: u32 = 4;

/// Between two times that a silent AdGuard Home is asked: doubled from the
/// first to the last.
const DNS_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// See the module.
pub(super) struct Asking {
    sources: BTreeMap<Slot, Source>,
    /// Those to be looked at: everybody who is to be asked, and some more.
    due: BTreeSet<Slot>,
    /// Active tenants whose container runs.
    running: BTreeSet<Slot>,
    turns: Arc<Semaphore>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            sources: BTreeMap::new(),
            due: BTreeSet::new(),
            running: BTreeSet::new(),
            turns: Arc::new(Semaphore::new(DNS_AT_ONCE)),
        }
    }
}

impl Asking {
    /// Who is there to be asked, from now on.
    pub fn only(&mut self, running: BTreeSet<Slot>) {
        self.sources.retain(|slot, _| running.contains(slot));
        for slot in &running {
            source(&mut self.sources, &mut self.due, *slot);
        }
        self.running = running;
    }

    /// Somebody should be asked again, at once.
    pub fn mark(&mut self, slot: Slot) {
        let source = source(&mut self.sources, &mut self.due, slot);
        (source.dirty, source.not_before) = (true, None);
        self.due.insert(slot);
    }

    /// Everybody should be asked again.
    pub fn mark_all(&mut self) {
        self.sources.values_mut().for_each(|s| s.dirty = true);
        self.due.extend(self.sources.keys());
    }

    /// What was asked before now is old.
    pub fn changed(&mut self, slot: Slot) {
        source(&mut self.sources, &mut self.due, slot).epoch += 1;
    }

    /// An answer has come; whether it is to be believed.
    pub fn end(&mut self, slot: Slot, epoch: u64, runs: bool) -> bool {
        let Some(source) = self.sources.get_mut(&slot) else {
            return false;
        };
        let believed = source.end(epoch);
        if believed && runs {
            source.silent = 0;
        } else if believed {
            let doublings = source.silent.saturating_sub(DNS_STARTING).min(10);
            let wait = DNS_AGAIN.0.saturating_mul(1 << doublings).min(DNS_AGAIN.1);
            source.silent = source.silent.saturating_add(1);
            source.dirty = true;
            source.not_before = Some(Instant::now() + wait);
        }
        if source.dirty {
            self.due.insert(slot);
        }
        believed
    }

    /// When somebody who was put off is due.
    pub fn next_retry(&self) -> Option<Instant> {
        let due = self.due.iter().filter_map(|slot| self.sources.get(slot));
        due.filter(|s| s.dirty && !s.reading)
            .filter_map(|s| s.not_before)
            .min()
    }

    /// Asks everybody who is due.
    pub fn ask(
        &mut self,
        port: &Arc<dyn DnsFilter>,
        settings: &NodeSettings,
        spec: &NodeSpec,
        out: &UnboundedSender<Message>,
    ) {
        let now = Instant::now();
        for slot in std::mem::take(&mut self.due) {
            if !self.running.contains(&slot) {
                self.sources.remove(&slot);
                continue;
            }
            let Some(source) = self.sources.get_mut(&slot).filter(|s| s.dirty) else {
                continue;
            };
            let (Some(epoch), Some(t)) = (source.begin(now), spec.tenants.get(&slot)) else {
                self.due.insert(slot);
                continue;
            };
            let patience = if source.silent < DNS_STARTING {
                DNS_PATIENCE
            } else {
                Duration::ZERO
            };
            let (port, dns, turns) = (port.clone(), t.dns(settings), self.turns.clone());
            answer(out, async move {
                let _turn = turns.acquire_owned().await;
                let asked = ask(port.as_ref(), &dns, patience);
                Message::Dns(slot, epoch, guarded(OBSERVE, asked).await)
            });
        }
    }
}

/// A slot's source; one that was not there is due.
fn source<'s>(
    sources: &'s mut BTreeMap<Slot, Source>,
    due: &mut BTreeSet<Slot>,
    slot: Slot,
) -> &'s mut Source {
    sources.entry(slot).or_insert_with(|| {
        due.insert(slot);
        Source::dirty()
    })
}

/// Asks until it answers for real or patience ends: a container that was just
/// started answers after 45-150 ms, and somebody is watching a progress page.
async fn ask(
    port: &dyn DnsFilter,
    dns: &DnsInstance,
    patience: Duration,
) -> PortResult<ObservedDns> {
    let end = Instant::now() + patience;
    let mut wait = Duration::from_millis(10);
    loop {
        let answer = port.observe(dns).await;
        if answer.as_ref().is_ok_and(|d| d.running) || Instant::now() + wait > end {
            return answer;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 3 / 2).min(Duration::from_millis(200));
    }
}
