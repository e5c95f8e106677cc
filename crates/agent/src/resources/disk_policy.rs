//! Decides, from readings and the time alone, when a tenant's files are measured, when
//! its query log is trimmed, and when its AdGuard Home is stopped because of the disk.
//!
//! - Above the soft limit the oldest part of the query log is removed.
//! - Above the hard limit AdGuard Home is stopped. Once it has stopped, what can go
//!   without asking is removed, and if that is not enough, the lists that the tenant
//!   added: it could not remove them itself from one that is stopped. Below [`RESUME_PERCENT`] of the limit it may run again:
//!   at once the first time, later and later if it soon uses too much again.
//! - While little of the file system is free, query logs are removed, the largest first,
//!   and an AdGuard Home that has nevertheless grown by [`LOW_SLACK`] is stopped. Where
//!   that does not suffice, all are. Those who write nothing keep their filter as long
//!   as possible: stopped, a tenant's names are resolved unfiltered.

use super::limits::DiskLimits;
use domain::{Slot, TenantName};
use protocol::{DiskSpace, EventKind, EventTenant};
use provisioning::pending::DiskHold;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// The longest time between two readings of a tenant.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// The shortest, for a tenant that grows fast.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The clearing, counted from 0, in which the tenant's lists are removed.
const DROPS_LISTS: u32 = 1;
/// The share of the hard limit below which a stopped AdGuard Home may run again.
pub(super) const RESUME_PERCENT: u64 = 80;
/// How much more than the least share must be free before tenants may write again, in
/// percent of the file system.
const FREE_HYSTERESIS: u64 = 2;
/// The part of the least share below which all AdGuard Homes are stopped, in percent.
const CRITICAL_PERCENT: u64 = 60;
/// How much an AdGuard Home may grow while little is free, in bytes. Its statistics and
/// its configuration are written all the time, and are small.
pub(super) const LOW_SLACK: u64 = 8 << 20;
/// The use above which a query log is removed while little is free, in bytes.
const LOW_TRIM: u64 = 1 << 20;
/// How long something is not tried again after it freed nothing.
const FUTILE_PAUSE: Duration = Duration::from_secs(60);
/// The longest time that a trim or a clearing waits and takes.
const ACTION_TIMEOUT: Duration = Duration::from_secs(600);
/// The shortest time between two events that a tenant's query log was trimmed.
const TRIM_EVENTS: Duration = Duration::from_secs(600);
/// An AdGuard Home that is stopped again within this time rests longer.
const REPEAT_WINDOW: Duration = Duration::from_secs(3600);
/// The shortest and the longest such rest.
const MIN_REST: Duration = Duration::from_secs(30);
const MAX_REST: Duration = Duration::from_secs(600);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Remove the oldest part of the query log.
    Trim(Slot, TenantName),
    /// Remove what can go without asking; the AdGuard Home has stopped.
    Clear(Slot, TenantName),
    /// Remove the lists that the tenant added; the AdGuard Home has stopped.
    DropLists(Slot, TenantName),
    Report(EventKind),
}

/// Why an AdGuard Home must not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// It uses more than the hard limit.
    Full { rest: Duration },
    /// It wrote while little of the file system was free, or nearly nothing is.
    Low,
}

impl Hold {
    const fn reason(self) -> DiskHold {
        match self {
            Self::Full { .. } => DiskHold::Full,
            Self::Low => DiskHold::Low,
        }
    }
}

#[derive(Debug)]
struct Tenant {
    name: TenantName,
    due: Instant,
    /// Whether it is due sooner because it grows fast.
    is_growing: bool,
    /// Whether it was not measured since the disk has become nearly full.
    goes_first: bool,
    last: Option<(Instant, u64)>,
    hold: Option<(Instant, Hold)>,
    /// Whether the container was seen to be gone since the hold began.
    stopped: bool,
    /// How often something was removed since it had stopped.
    clearings: u32,
    /// When a trim or a clearing may begin: the last one has ended, or is so long ago
    /// that it never will.
    not_before: Instant,
    /// What was trimmed since the last event of it.
    trimmed: u64,
    trim_reported: Option<Instant>,
    /// How often it was stopped in a row, and when the last time.
    fulls: u32,
    full_at: Option<Instant>,
    /// The smallest reading while little of the file system is free.
    floor: Option<u64>,
}

impl Tenant {
    fn event_tenant(&self, slot: Slot) -> EventTenant {
        let name = self.name.clone();
        EventTenant { slot, name }
    }

    /// Returns how long its next rest is.
    fn stop_again(&mut self, now: Instant) -> Duration {
        let is_repeated = self.full_at.is_some_and(|at| now - at < REPEAT_WINDOW);
        self.fulls = if is_repeated { self.fulls + 1 } else { 1 };
        self.full_at = Some(now);
        match self.fulls {
            1 => Duration::ZERO,
            n => (MIN_REST * 2_u32.saturating_pow((n - 2).min(8))).min(MAX_REST),
        }
    }

    fn hold(&mut self, hold: Hold, now: Instant) {
        self.hold = Some((now, hold));
        self.stopped = false;
        self.clearings = 0;
        self.not_before = now;
    }

    fn start(
        &mut self,
        kind: fn(Slot, TenantName) -> Action,
        slot: Slot,
        now: Instant,
    ) -> Option<Action> {
        if now < self.not_before {
            return None;
        }
        self.not_before = now + ACTION_TIMEOUT;
        Some(kind(slot, self.name.clone()))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct DiskPolicy {
    limits: DiskLimits,
    tenants: BTreeMap<Slot, Tenant>,
    low: bool,
    critical: bool,
}

impl DiskPolicy {
    pub(super) fn new(mut limits: DiskLimits) -> Self {
        limits.soft_bytes = limits.soft_bytes.min(limits.hard_bytes);
        Self {
            limits,
            tenants: BTreeMap::new(),
            low: false,
            critical: false,
        }
    }

    /// Returns how many tenants there are.
    pub(super) fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Returns the limits in force.
    pub(super) const fn limits(&self) -> &DiskLimits {
        &self.limits
    }

    /// Returns the slots whose AdGuard Home must not run, and why.
    pub(super) fn holds(&self) -> BTreeMap<Slot, DiskHold> {
        let held = self.tenants.iter().filter_map(|(slot, t)| {
            let (_, hold) = t.hold?;
            Some((*slot, hold.reason()))
        });
        held.collect()
    }

    /// Returns the last reading of a slot's tenant, and when it was.
    pub(super) fn last(&self, slot: Slot) -> Option<(Instant, u64)> {
        self.tenants.get(&slot)?.last
    }

    /// Sets which tenants there are. A slot with another tenant starts from the
    /// beginning.
    pub(super) fn set_tenants(&mut self, holders: &BTreeMap<Slot, TenantName>, now: Instant) {
        self.tenants
            .retain(|slot, t| holders.get(slot) == Some(&t.name));
        for (slot, name) in holders {
            self.tenants.entry(*slot).or_insert_with(|| Tenant {
                name: name.clone(),
                due: now,
                is_growing: false,
                goes_first: false,
                last: None,
                hold: None,
                stopped: false,
                clearings: 0,
                not_before: now,
                trimmed: 0,
                trim_reported: None,
                fulls: 0,
                full_at: None,
                floor: None,
            });
        }
    }

    /// Returns the tenants to measure now. A quarter of the places is for those who grow
    /// fast. The rest goes to the largest, once, after the disk has become nearly full,
    /// and to those whose last reading is the oldest: no tenant waits long for others.
    pub(super) fn due(&self, now: Instant, most: usize) -> Vec<(Slot, TenantName)> {
        let due = self.tenants.iter().filter(|(_, t)| t.due <= now);
        let (mut growing, mut rest): (Vec<_>, Vec<_>) = due.partition(|(_, t)| t.is_growing);
        growing.sort_by_key(|(slot, t)| (t.due, **slot));
        let places = growing.len().min(most.div_ceil(4));
        rest.extend(growing.split_off(places));
        rest.sort_by_key(|(slot, t)| {
            let size = t.last.map(|(_, bytes)| bytes).filter(|_| t.goes_first);
            let read_at = t.last.map(|(at, _)| at);
            (Reverse(t.goes_first), Reverse(size), read_at, **slot)
        });
        let chosen = growing.into_iter().chain(rest).take(most);
        chosen.map(|(slot, t)| (*slot, t.name.clone())).collect()
    }

    /// Takes a reading of a tenant's files into account; `None` if it failed. Then
    /// everything stays as it is.
    pub(super) fn measured(&mut self, slot: Slot, bytes: Option<u64>, now: Instant) -> Vec<Action> {
        let (limits, low, critical) = (self.limits, self.low, self.critical);
        let Some(t) = self.tenants.get_mut(&slot) else {
            return Vec::new();
        };
        let Some(bytes) = bytes else {
            (t.due, t.goes_first) = (now + INTERVAL, false);
            return Vec::new();
        };
        t.goes_first = false;
        t.floor = low.then(|| t.floor.map_or(bytes, |floor| floor.min(bytes)));
        let low_limit = t.floor.map(|floor| floor.saturating_add(LOW_SLACK));
        let thresholds = [Some(limits.soft_bytes), Some(limits.hard_bytes), low_limit];
        let wait = wait(t.last, (now, bytes), thresholds);
        (t.due, t.is_growing) = (now + wait, wait < INTERVAL);
        t.last = Some((now, bytes));
        let tenant = t.event_tenant(slot);
        match t.hold {
            None | Some((_, Hold::Low)) if bytes > limits.hard_bytes => {
                let rest = t.stop_again(now);
                t.hold(Hold::Full { rest }, now);
                let limit = limits.hard_bytes;
                vec![Action::Report(EventKind::DiskFull {
                    tenant,
                    bytes,
                    limit,
                })]
            }
            None if critical || low_limit.is_some_and(|limit| bytes > limit) => {
                t.hold(Hold::Low, now);
                vec![Action::Report(EventKind::DiskHeld { tenant })]
            }
            None if bytes > limits.soft_bytes || low && bytes > LOW_TRIM => {
                t.start(Action::Trim, slot, now).into_iter().collect()
            }
            None | Some((_, Hold::Low)) => Vec::new(),
            Some((since, Hold::Full { rest })) => {
                if bytes >= resume_below(&limits) {
                    let kind = match t.clearings {
                        DROPS_LISTS => Action::DropLists,
                        _ => Action::Clear,
                    };
                    let clear = t.stopped.then(|| t.start(kind, slot, now)).flatten();
                    t.clearings += u32::from(clear.is_some());
                    return clear.into_iter().collect();
                }
                if now - since < rest {
                    return Vec::new();
                }
                if critical {
                    t.hold(Hold::Low, now);
                    return Vec::new();
                }
                t.hold = None;
                vec![Action::Report(EventKind::DiskBack { tenant })]
            }
        }
    }

    /// Takes into account that a trim or a clearing has ended, and freed so many bytes;
    /// 0 if it failed.
    pub(super) fn freed(&mut self, slot: Slot, bytes: u64, now: Instant) -> Option<Action> {
        let t = self.tenants.get_mut(&slot)?;
        let is_held = t.hold.is_some();
        if bytes == 0 && !(is_held && t.clearings == DROPS_LISTS) {
            t.not_before = now + FUTILE_PAUSE;
            return None;
        }
        t.not_before = now;
        // Whether it was enough is seen at once.
        t.due = now;
        if is_held {
            let dropped = t.clearings == DROPS_LISTS + 1;
            let tenant = t.event_tenant(slot);
            return dropped.then_some(Action::Report(EventKind::DiskLists { tenant }));
        }
        t.trimmed = t.trimmed.saturating_add(bytes);
        let is_recent = |at: Instant| now - at < TRIM_EVENTS;
        if t.trim_reported.is_some_and(is_recent) {
            return None;
        }
        t.trim_reported = Some(now);
        Some(Action::Report(EventKind::DiskTrimmed {
            tenant: t.event_tenant(slot),
            bytes: std::mem::take(&mut t.trimmed),
        }))
    }

    /// Takes into account which containers ran at some time after `began`. One that is
    /// held and has stopped is measured at once.
    pub(super) fn running(&mut self, running: &BTreeSet<Slot>, began: Instant) {
        for (slot, t) in &mut self.tenants {
            let is_held = t.hold.is_some_and(|(since, _)| since <= began);
            if is_held && !running.contains(slot) && !t.stopped {
                t.stopped = true;
                t.due = began;
            }
        }
    }

    /// Takes a reading of the file system into account, and returns what is published
    /// of it.
    pub(super) fn space(
        &mut self,
        total: u64,
        available: u64,
        now: Instant,
    ) -> (DiskSpace, Vec<Action>) {
        let least = u64::from(self.limits.min_free_percent);
        let is_below = |part: u64, of: u64| {
            u128::from(available) * u128::from(of) < u128::from(total) * u128::from(part)
        };
        self.critical = least > 0 && is_below(least * CRITICAL_PERCENT, 100 * 100);
        let was_low = self.low;
        let more = if was_low { FREE_HYSTERESIS } else { 0 };
        self.low = least > 0 && is_below(least + more, 100);
        let mut actions = Vec::new();
        for (slot, t) in &mut self.tenants {
            if self.low && !was_low {
                (t.due, t.goes_first) = (now, true);
                t.floor = t.last.map(|(_, bytes)| bytes);
            }
            let tenant = || t.event_tenant(*slot);
            match t.hold {
                None if self.critical => {
                    actions.push(Action::Report(EventKind::DiskHeld { tenant: tenant() }));
                    t.hold(Hold::Low, now);
                }
                Some((_, Hold::Low)) if !self.low => {
                    actions.push(Action::Report(EventKind::DiskBack { tenant: tenant() }));
                    t.hold = None;
                }
                _ => {}
            }
            if !self.low {
                t.floor = None;
            }
        }
        let low = self.low;
        let space = DiskSpace {
            total,
            available,
            low,
        };
        (space, actions)
    }
}

/// Returns the bytes below which a tenant that used too much may run again.
const fn resume_below(limits: &DiskLimits) -> u64 {
    limits.hard_bytes / 100 * RESUME_PERCENT
}

/// Returns how long after a reading the next one is due: half of the time in which the
/// tenant, at its present rate, reaches the next threshold.
fn wait(
    before: Option<(Instant, u64)>,
    (now, bytes): (Instant, u64),
    thresholds: [Option<u64>; 3],
) -> Duration {
    let above = thresholds.into_iter().flatten().filter(|t| *t > bytes);
    let (Some((at, was)), Some(next)) = (before, above.min()) else {
        return INTERVAL;
    };
    let took = (now - at).as_secs_f64();
    if bytes <= was || took <= 0.0 {
        return INTERVAL;
    }
    let rate = (bytes - was) as f64 / took;
    let until = (next - bytes) as f64 / rate / 2.0;
    let until = until.clamp(MIN_INTERVAL.as_secs_f64(), INTERVAL.as_secs_f64());
    Duration::from_secs_f64(until)
}

#[cfg(test)]
mod tests;
