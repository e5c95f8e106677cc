//! What the node has read, and what it must read again.
//!
//! Each port is read by a task of its own. What a step of ours changed while a
//! reading was under way is newer than its answer:
//! * WireGuard and the firewall are kept by slot. An answer is believed for
//!   every slot but those, whose picture stays as the step left it.
//! * Other answers that were overtaken (their epoch is old) are read again
//!   rather than believed; after a few they are believed after all, so that a
//!   busy node cannot starve its own eyes, and read again all the same.
//!
//! A step that failed may have taken effect: its slot is in *doubt* until a
//! reading that began later was believed. Nothing is called applied before.

use super::{
    Message, NodePorts, Port,
    doubt::Doubt,
    guard::{OBSERVE, guarded},
    unread,
};
use crate::{
    observed::{ContainerState, Known, Observed, ObservedDns},
    pending::Pending,
    plan::{Lane, Step, is_ours},
    ports::{DnsFilter, PortResult},
    spec::{DnsInstance, NodeSettings, NodeSpec},
};
use domain::{Slot, TenantName};
use futures_util::{StreamExt, stream::BoxStream};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedSender},
    task::JoinSet,
    time::Instant,
};

/// Overtaken answers in a row before one is believed.
const OVERTAKEN_MAX: u8 = 3;

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

#[derive(Debug, Default)]
struct Source {
    epoch: u64,
    dirty: bool,
    reading: bool,
    overtaken: u8,
    not_before: Option<Instant>,
    /// Slots that steps changed since the reading began.
    touched: BTreeSet<Slot>,
    doubt: Doubt,
    /// AdGuard Homes only: answers in a row in which it did not run.
    silent: u32,
}

impl Source {
    fn dirty() -> Self {
        Self {
            dirty: true,
            ..Self::default()
        }
    }

    /// Begins a reading where one is due.
    fn begin(&mut self, now: Instant) -> Option<u64> {
        let due = self.dirty && !self.reading && self.not_before.is_none_or(|t| t <= now);
        due.then(|| {
            (self.dirty, self.reading, self.not_before) = (false, true, None);
            self.touched.clear();
            self.doubt.reading_begins();
            self.epoch
        })
    }

    /// Ends a reading; whether its answer is to be believed.
    fn end(&mut self, epoch: u64) -> bool {
        self.reading = false;
        let fresh = epoch == self.epoch;
        self.overtaken = if fresh { 0 } else { self.overtaken + 1 };
        self.dirty |= !fresh;
        if self.overtaken > OVERTAKEN_MAX {
            self.overtaken = 0;
            return true;
        }
        fresh
    }

    /// Ends a reading of a port that is kept by slot; whether its answer is to
    /// be believed for the slots that no step touched meanwhile.
    fn end_by_slot(&mut self, epoch: u64, known: bool) -> bool {
        self.reading = false;
        // Without a picture of our own there is nothing to keep for them.
        let believed = epoch == self.epoch && (known || self.touched.is_empty());
        self.dirty |= !believed || !self.touched.is_empty();
        if believed {
            self.doubt.reading_believed(&self.touched);
        }
        believed
    }
}

/// See the module.
pub(crate) struct Sources {
    observed: Observed,
    wireguard: Source,
    firewall: Source,
    containers: Source,
    folders: Source,
    dns: BTreeMap<Slot, Source>,
    asking: Arc<Semaphore>,
    /// Slots with an interface of ours when that could be read last.
    stood: BTreeSet<Slot>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            observed: Observed {
                wireguard: unread(),
                firewall: unread(),
                containers: unread(),
                dns: BTreeMap::new(),
                folders: unread(),
            },
            wireguard: Source::dirty(),
            firewall: Source::dirty(),
            containers: Source::dirty(),
            folders: Source::dirty(),
            dns: BTreeMap::new(),
            asking: Arc::new(Semaphore::new(DNS_AT_ONCE)),
            stood: BTreeSet::new(),
        }
    }
}

impl Sources {
    pub(crate) fn observed(&self) -> &Observed {
        &self.observed
    }

    /// The observation, for writing into it what a step made of some slots of a
    /// port that is kept by slot.
    pub(crate) fn changed_slots(
        &mut self,
        port: Port,
        slots: impl IntoIterator<Item = Slot>,
    ) -> &mut Observed {
        self.source(port).touched.extend(slots);
        &mut self.observed
    }

    /// Whether it is not known what a failed step made of a slot's tunnel or
    /// its elements.
    pub(crate) fn in_doubt(&self, slot: Slot) -> bool {
        self.wireguard.doubt.is_about(slot) || self.firewall.doubt.is_about(slot)
    }

    /// What a step made of some slots' elements is not known before it is read.
    pub(crate) fn doubt_elements(&mut self, slots: Vec<Slot>) {
        self.firewall.dirty |= !slots.is_empty();
        slots.into_iter().for_each(|s| self.firewall.doubt.about(s));
    }

    /// Adds what failed steps left unknown: it may still take effect.
    pub(crate) fn add_doubts(&self, pending: &mut Pending) {
        pending.tunnels.extend(self.wireguard.doubt.slots());
        pending.elements.extend(self.firewall.doubt.slots());
        pending.all_elements |= self.firewall.doubt.is_about_everything();
        if self.observed.wireguard.known().is_none() {
            pending.tunnels.extend(&self.stood);
        }
    }

    /// The observation, for writing a step's outcome into it; readings of the
    /// port that are under way become old.
    pub(crate) fn changed(&mut self, port: Port) -> &mut Observed {
        self.source(port).epoch += 1;
        &mut self.observed
    }

    /// The same for one AdGuard Home.
    pub(crate) fn dns_changed(&mut self, slot: Slot) -> &mut Observed {
        self.dns.entry(slot).or_insert_with(Source::dirty).epoch += 1;
        &mut self.observed
    }

    fn source(&mut self, port: Port) -> &mut Source {
        match port {
            Port::Wireguard => &mut self.wireguard,
            Port::Firewall => &mut self.firewall,
            Port::Containers => &mut self.containers,
            Port::Folders => &mut self.folders,
        }
    }

    /// Something may have changed by another hand.
    pub(crate) fn mark(&mut self, port: Port) {
        self.source(port).dirty = true;
        if port == Port::Containers {
            // A container that came back asks for its AdGuard Home to be seen again.
            let quiet: Vec<Slot> = self
                .observed
                .dns
                .iter()
                .filter(|(_, d)| !d.known().is_some_and(|d| d.running))
                .map(|(s, _)| *s)
                .collect();
            for slot in quiet {
                self.mark_dns(slot);
            }
        }
    }

    pub(crate) fn mark_dns(&mut self, slot: Slot) {
        let source = self.dns.entry(slot).or_insert_with(Source::dirty);
        (source.dirty, source.not_before) = (true, None);
    }

    /// A container's start makes its tenant's folder, who may have left
    /// meanwhile: nothing else would have it looked at.
    pub(crate) fn mark_unseen_folder(&mut self, tenant: &TenantName) {
        let folders = self.observed.folders.known();
        if folders.is_none_or(|f| !f.contains_key(&tenant.folder())) {
            self.mark(Port::Folders);
        }
    }

    pub(crate) fn mark_all(&mut self, dns: bool) {
        for port in [
            Port::Wireguard,
            Port::Firewall,
            Port::Containers,
            Port::Folders,
        ] {
            self.mark(port);
        }
        if dns {
            self.dns.values_mut().for_each(|s| s.dirty = true);
        }
    }

    /// A lane failed: what it works on is read again.
    pub(crate) fn mark_lane(&mut self, lane: &Lane, steps: &[Step]) {
        match lane {
            Lane::Firewall => {
                let mut asked = Pending::default();
                asked.running(lane, steps);
                let asked = asked.elements.into_iter();
                asked.for_each(|slot| self.firewall.doubt.about(slot));
                self.firewall.doubt.everything();
                self.mark(Port::Firewall);
            }
            Lane::Tunnel(slot) => {
                self.wireguard.doubt.about(*slot);
                self.mark(Port::Wireguard);
            }
            Lane::Container(_) => {
                self.mark(Port::Containers);
                self.mark(Port::Folders);
            }
            Lane::Stray(_) | Lane::Image => self.mark(Port::Containers),
            Lane::Dns(slot) => self.mark_dns(*slot),
            Lane::Folder(_) => self.mark(Port::Folders),
        }
    }

    /// When a reading that was put off is due.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        // Nobody is asked while it is not known who is there.
        self.observed.containers.known()?;
        self.dns
            .values()
            .filter(|s| s.dirty && !s.reading)
            .filter_map(|s| s.not_before)
            .min()
    }

    /// Takes an answer in.
    pub(crate) fn take(&mut self, message: Message) {
        match message {
            Message::Wireguard(e, mut r) => {
                let now = &mut self.observed.wireguard;
                let known = now.known().is_some();
                if !self.wireguard.end_by_slot(e, known) {
                    return;
                }
                if let (Ok(new), Some(now)) = (&mut r, now.known()) {
                    keep(&self.wireguard.touched, now, new);
                }
                if let (Err(_), Some(now)) = (&r, now.known()) {
                    let ours = now.iter().filter(|(_, i)| is_ours(i));
                    self.stood = ours.map(|(slot, _)| *slot).collect();
                }
                take_in(r, now);
            }
            Message::Firewall(e, mut r) => {
                let now = &mut self.observed.firewall;
                let known = now.known().is_some();
                if !self.firewall.end_by_slot(e, known) {
                    return;
                }
                if let (Ok(new), Some(now)) = (&mut r, now.known()) {
                    keep(&self.firewall.touched, &now.tenants, &mut new.tenants);
                }
                take_in(r, now);
            }
            Message::Containers(e, r) => {
                believe(&mut self.containers, e, r, &mut self.observed.containers)
            }
            Message::Folders(e, r) => believe(&mut self.folders, e, r, &mut self.observed.folders),
            Message::Dns(slot, e, r) => {
                let Some(source) = self.dns.get_mut(&slot) else {
                    return;
                };
                if source.end(e) {
                    if r.as_ref().is_ok_and(|d| d.running) {
                        source.silent = 0;
                    } else {
                        let doublings = source.silent.saturating_sub(DNS_STARTING).min(10);
                        let wait = DNS_AGAIN.0.saturating_mul(1 << doublings).min(DNS_AGAIN.1);
                        source.silent = source.silent.saturating_add(1);
                        source.dirty = true;
                        source.not_before = Some(Instant::now() + wait);
                    }
                    self.observed.dns.insert(slot, r.into());
                }
            }
            Message::Spec(_) | Message::Event(_) | Message::Done(..) => {}
        }
    }

    /// Starts every reading that is due.
    pub(crate) fn read(
        &mut self,
        ports: &NodePorts,
        settings: &Arc<NodeSettings>,
        spec: &NodeSpec,
        out: &UnboundedSender<Message>,
    ) {
        let now = Instant::now();
        if let Some(e) = self.wireguard.begin(now) {
            let port = ports.wireguard.clone();
            answer(out, async move {
                Message::Wireguard(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.firewall.begin(now) {
            let port = ports.firewall.clone();
            answer(out, async move {
                Message::Firewall(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.containers.begin(now) {
            let port = ports.containers.clone();
            answer(out, async move {
                Message::Containers(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        if let Some(e) = self.folders.begin(now) {
            let port = ports.folders.clone();
            answer(out, async move {
                Message::Folders(e, guarded(OBSERVE, port.observe()).await)
            });
        }
        self.read_dns(ports, settings, spec, out, now);
    }

    fn read_dns(
        &mut self,
        ports: &NodePorts,
        settings: &NodeSettings,
        spec: &NodeSpec,
        out: &UnboundedSender<Message>,
        now: Instant,
    ) {
        let Known::Known(containers) = &self.observed.containers else {
            return;
        };
        let running: BTreeSet<Slot> = containers
            .ours
            .iter()
            .filter(|c| c.state == ContainerState::Running)
            .filter_map(|c| c.slot)
            .filter(|s| spec.tenants.get(s).is_some_and(|t| !t.suspended))
            .collect();
        self.observed.dns.retain(|s, _| running.contains(s));
        self.dns.retain(|s, _| running.contains(s));
        for slot in running {
            let source = self.dns.entry(slot).or_insert_with(Source::dirty);
            let (Some(epoch), Some(t)) = (source.begin(now), spec.tenants.get(&slot)) else {
                continue;
            };
            let patience = if source.silent < DNS_STARTING {
                DNS_PATIENCE
            } else {
                Duration::ZERO
            };
            let (port, dns, asking) = (ports.dns.clone(), t.dns(settings), self.asking.clone());
            answer(out, async move {
                let _turn = asking.acquire_owned().await;
                let asked = ask(port.as_ref(), &dns, patience);
                Message::Dns(slot, epoch, guarded(OBSERVE, asked).await)
            });
        }
    }
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

fn believe<T>(source: &mut Source, epoch: u64, result: PortResult<T>, into: &mut Known<T>) {
    if source.end(epoch) {
        take_in(result, into);
    }
}

fn take_in<T>(result: PortResult<T>, into: &mut Known<T>) {
    if let Err(e) = &result {
        tracing::warn!(code = %e.code, error = %e, cause = ?e.cause, "could not be read; nothing is changed there");
    }
    *into = result.into();
}

/// Puts what we know of some slots in place of what an older answer says.
fn keep<V: Clone>(slots: &BTreeSet<Slot>, now: &BTreeMap<Slot, V>, answer: &mut BTreeMap<Slot, V>) {
    for slot in slots {
        match now.get(slot) {
            Some(v) => drop(answer.insert(*slot, v.clone())),
            None => drop(answer.remove(slot)),
        }
    }
}

fn answer(out: &UnboundedSender<Message>, work: impl Future<Output = Message> + Send + 'static) {
    let out = out.clone();
    tokio::spawn(async move {
        let _ = out.send(work.await);
    });
}

/// Forwards the ports' events as marks.
pub(crate) fn listen(ports: &NodePorts, out: &UnboundedSender<Message>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut forward = |mut events: BoxStream<'static, ()>, port: Port| {
        let out = out.clone();
        tasks.spawn(async move {
            while events.next().await.is_some() {
                if out.send(Message::Event(port)).is_err() {
                    break;
                }
            }
        });
    };
    forward(ports.wireguard.events(), Port::Wireguard);
    forward(ports.firewall.events(), Port::Firewall);
    forward(ports.containers.events(), Port::Containers);
    tasks
}
