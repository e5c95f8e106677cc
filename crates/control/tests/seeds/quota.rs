//! Quotas: what is counted of a tenant's month and the state that follows, beside what has
//! passed its tunnel, through restarts, new months and changed plans.

use super::{
    snapshot::{Snapshot, StoredTenant},
    traffic::{Passed, Traffic},
};
use domain::{AtLimit, PublicKey, QuotaState, Timestamp};
use protocol::NodeSpec;
use std::collections::{BTreeMap, BTreeSet};
use testkit::sim::rng::SplitMix64;

const DAY_MILLIS: i64 = 86_400_000;
/// How far from the beginning of a month the clock stays, so that what else moves it, some
/// hours at most, never crosses one.
const MARGIN_DAYS: i64 = 2;

/// What a month began with.
#[derive(Clone, Copy, Debug, Default)]
struct MonthStart {
    /// All that had passed the tenant's tunnel.
    passed: u64,
    /// What was surely counted of it: in a month before.
    counted: u64,
}

/// The months of all tenants.
#[derive(Default)]
pub struct Months {
    starts: BTreeMap<PublicKey, MonthStart>,
    /// Bytes that the database had of the present month when it was last read.
    seen: BTreeMap<PublicKey, u64>,
    /// Those whose state need not follow yet: their month has begun since.
    unsettled: BTreeSet<PublicKey>,
    /// How many months have begun.
    pub begun: u64,
}

/// Returns the month of a day, counted from the epoch, and the day of that month from 0
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn month_and_day(at: Timestamp) -> (i64, i64) {
    let days = at.0.div_euclid(DAY_MILLIS) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5;
    // March is month 0 of such a year.
    ((era * 400 + year) * 12 + shifted, day)
}

/// Returns by how much the clock moves to a day of the next month.
pub fn to_next_month(now: Timestamp, rng: &mut SplitMix64) -> i64 {
    let (month, _) = month_and_day(now);
    let mut days = 1;
    while month_and_day(now.plus_millis(days * DAY_MILLIS)).0 == month {
        days += 1;
    }
    (days + MARGIN_DAYS + rng.below(20) as i64) * DAY_MILLIS
}

/// Returns the state by the plan: 80 %, 100 %.
fn state_of(bytes: u64, limit: Option<u64>, at_limit: AtLimit) -> QuotaState {
    match limit {
        None => QuotaState::Open,
        Some(limit) if bytes >= limit => match at_limit {
            AtLimit::Slow => QuotaState::Slowed,
            AtLimit::Stop => QuotaState::Stopped,
        },
        Some(limit) if bytes >= limit / 100 * 80 => QuotaState::Warned,
        Some(_) => QuotaState::Open,
    }
}

/// Returns the bytes of the present month: those of one that is over are not.
fn present(t: &StoredTenant, now: Timestamp) -> u64 {
    match now < t.period_end {
        true => t.period_bytes,
        false => 0,
    }
}

fn total(passed: &BTreeMap<PublicKey, Passed>, tenant: PublicKey) -> (u64, u64) {
    let own = passed.values().filter(|p| p.tenant == Some(tenant));
    own.fold((0, 0), |(bytes, sure), p| {
        (bytes + p.bytes, sure + p.least())
    })
}

impl Months {
    /// Notes that a new month begins for all tenants.
    pub fn begin(&mut self, traffic: &Traffic) {
        self.begun += 1;
        let passed = traffic.passed(&BTreeMap::new());
        let tenants = passed.values().filter_map(|p| p.tenant);
        for tenant in tenants.collect::<BTreeSet<_>>() {
            let start = self.starts.entry(tenant).or_default();
            start.passed = total(&passed, tenant).0;
            start.counted += self.seen.remove(&tenant).unwrap_or(0);
            self.unsettled.insert(tenant);
        }
    }

    /// Returns the first violation of what must hold at any time: nothing is counted that
    /// has not passed, or twice, and no state is ahead of what is counted.
    pub fn violation(
        &mut self,
        snapshot: &Snapshot,
        traffic: &Traffic,
        now: Timestamp,
    ) -> Option<String> {
        let devices = snapshot.tenants.values().flat_map(|t| &t.devices);
        let stored: BTreeMap<_, _> = devices.map(|(key, d)| (*key, d.bytes)).collect();
        let passed = traffic.passed(&stored);
        for (device, bytes) in &stored {
            let most = passed.get(device).map_or(0, |p| p.bytes);
            if *bytes > most {
                return Some(format!("{bytes} bytes of {device} are counted, of {most}"));
            }
        }
        for (key, t) in &snapshot.tenants {
            let bytes = present(t, now);
            let start = self.starts.get(key).copied().unwrap_or_default();
            let most = total(&passed, *key).0.saturating_sub(start.counted);
            if bytes > most {
                let name = &t.name;
                return Some(format!("{name}'s month has {bytes} bytes, of {most}"));
            }
            self.seen.insert(*key, bytes);
            let state = state_of(t.period_bytes, t.limit, t.at_limit);
            // It may be behind what is counted, and never ahead of it.
            let is_behind = match t.quota {
                QuotaState::Open => true,
                QuotaState::Warned => state != QuotaState::Open,
                QuotaState::Slowed | QuotaState::Stopped => state == t.quota,
            };
            if is_behind && now < t.period_end {
                self.unsettled.remove(key);
            }
            if !is_behind && !self.unsettled.contains(key) {
                return Some(format!(
                    "{} is {} and would be {state}: {t:?}",
                    t.name, t.quota
                ));
            }
        }
        None
    }

    /// Returns the first difference from what must hold at rest: all is counted, each state
    /// is what follows from it, and the node is given what follows from the state.
    pub fn difference(
        &self,
        snapshot: &Snapshot,
        traffic: &Traffic,
        spec: &NodeSpec,
        now: Timestamp,
    ) -> Option<String> {
        let passed = traffic.passed(&BTreeMap::new());
        for (key, t) in &snapshot.tenants {
            let name = &t.name;
            for (device, d) in &t.devices {
                let p = passed.get(device).copied().unwrap_or_default();
                if !(p.least()..=p.bytes).contains(&d.bytes) {
                    let label = &d.label;
                    return Some(format!("{name}'s {label} has {} bytes, of {p:?}", d.bytes));
                }
            }
            let bytes = present(t, now);
            let start = self.starts.get(key).copied().unwrap_or_default();
            let least = total(&passed, *key).1.saturating_sub(start.passed);
            if bytes < least {
                return Some(format!("{name}'s month has {bytes} bytes, of {least}"));
            }
            let state = state_of(bytes, t.limit, t.at_limit);
            if t.quota != state {
                return Some(format!("{name} is {} and not {state}: {t:?}", t.quota));
            }
            let given = spec.tenants.get(&t.slot).map(|s| s.limits);
            let is_given = given.is_some_and(|limits| {
                let slow = (state == QuotaState::Slowed).then_some(t.slow_bps);
                let slowest = |plan: Option<u64>| plan.into_iter().chain(slow).min();
                limits.stopped == (state == QuotaState::Stopped)
                    && limits.speed.down_bps == slowest(t.down_bps)
                    && limits.speed.up_bps == slowest(t.up_bps)
            });
            if !is_given {
                return Some(format!("{name} is {state}, and the node has {given:?}"));
            }
        }
        None
    }
}
