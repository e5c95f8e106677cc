//! How soon a tenant has to be read again, so that what passes above its limit stays
//! below 1 % of it. Pure.

use std::time::Duration;
use store::QuotaUse;
use tokio::time::Instant;

/// How often every tenant is read in any case.
pub(super) const REGULAR_INTERVAL: Duration = Duration::from_secs(10);
/// The shortest time between two readings while a tenant near its limit sends or receives.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
/// The shortest time between two readings while none does: one may stay there for weeks.
const MIN_IDLE_INTERVAL: Duration = Duration::from_millis(250);
/// A tenant whose bytes have not changed for so long is idle.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// The part of the limit that may pass above it before the reading: half of what is
/// allowed. The node's apply time and queues take the rest.
const OVERSHOOT_DIVISOR: u64 = 200;
/// The share of the time that readings may take, as a divisor: reading a thousand
/// interfaces costs something.
const MAX_DUTY_DIVISOR: u32 = 4;
/// What a tenant without a speed limit is assumed to reach at least, in bits per second
/// of both directions together.
const ASSUMED_BPS: u64 = 1_000_000_000;

/// The speed of a tenant, as its recorded bytes show it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MeasuredSpeed {
    last: Option<(u64, Instant)>,
    measured_bps: u64,
}

impl MeasuredSpeed {
    /// Notes the bytes of a reading.
    pub(super) fn measure(&mut self, used_bytes: u64, at: Instant) {
        if let Some((before, since)) = self.last {
            let millis = u64::try_from((at - since).as_millis()).unwrap_or(u64::MAX);
            let bits = used_bytes.saturating_sub(before).saturating_mul(8_000);
            self.measured_bps = bits.checked_div(millis).unwrap_or(self.measured_bps);
        }
        self.last = Some((used_bytes, at));
    }

    /// Returns whether the tenant was measured within that time.
    pub(super) fn is_recent(&self, now: Instant, within: Duration) -> bool {
        let is_within = |(_, at): (u64, Instant)| now.saturating_duration_since(at) < within;
        self.last.is_some_and(is_within)
    }

    /// Returns after which time the tenant may be above its limit by the allowed part, at
    /// least the shortest time between two readings; `None` without a limit.
    pub(super) fn interval(&self, quota: &QuotaUse, now: Instant) -> Option<Duration> {
        let limit = quota.limit_bytes?;
        let left = limit.saturating_sub(quota.used_bytes);
        let bits = u128::from(left.saturating_add(limit / OVERSHOOT_DIVISOR)) * 8;
        let bps = self.max_bps(quota).max(1);
        let millis = bits.saturating_mul(1_000) / u128::from(bps);
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Some(Duration::from_millis(millis).max(self.min_interval(now)))
    }

    fn min_interval(&self, now: Instant) -> Duration {
        let is_busy = |(_, at): (u64, Instant)| now.saturating_duration_since(at) < IDLE_AFTER;
        match self.last.is_some_and(is_busy) {
            true => MIN_INTERVAL,
            false => MIN_IDLE_INTERVAL,
        }
    }

    /// Returns the speed that the tenant can reach, both directions together.
    fn max_bps(&self, quota: &QuotaUse) -> u64 {
        match (quota.down_bps, quota.up_bps) {
            (Some(down), Some(up)) => down.saturating_add(up),
            // Twice, because it may become faster until the next reading.
            _ => self.measured_bps.saturating_mul(2).max(ASSUMED_BPS),
        }
    }
}

/// Returns the time until the next reading, if the last one took so long.
pub(super) fn bounded(interval: Duration, took: Duration) -> Duration {
    interval.max(pause(took))
}

/// Returns the least time between two readings of which the first took so long.
pub(super) fn pause(took: Duration) -> Duration {
    took * MAX_DUTY_DIVISOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{QuotaState, Slot, TenantId, Timestamp};

    fn quota(used_bytes: u64, limit_bytes: Option<u64>, bps: Option<u64>) -> QuotaUse {
        QuotaUse {
            tenant: TenantId(1),
            slot: Slot::FIRST,
            used_bytes,
            limit_bytes,
            down_bps: bps,
            up_bps: bps,
            period_end: Timestamp(0),
            state: QuotaState::Open,
            due: QuotaState::Open,
        }
    }

    #[test]
    fn a_large_plan_is_read_at_the_regular_interval() {
        let plan = |used| quota(used, Some(100_000_000_000), Some(50_000_000));
        for used in [0, 99_000_000_000, 99_999_999_999, 200_000_000_000] {
            let interval = MeasuredSpeed::default().interval(&plan(used), Instant::now());
            let interval = interval.unwrap();
            assert!(interval >= REGULAR_INTERVAL, "{used}: {interval:?}");
        }
        assert_eq!(
            MeasuredSpeed::default().interval(&quota(1, None, None), Instant::now()),
            None
        );
    }

    /// At full speed in both directions, from any use: what passes until the reading
    /// that notices it is below 1 %.
    #[test]
    fn a_small_plan_overshoots_by_less_than_a_hundredth() {
        // The last is a node with many tenants.
        for (limit, bps, took) in [
            (400_000_000_u64, 200_000_000_u64, 5),
            (2_000_000_000, 200_000_000, 50),
            (10_000_000_000, 200_000_000, 50),
            (10_000_000_000, 1_000_000_000, 50),
        ] {
            let begin = Instant::now();
            let mut speed = MeasuredSpeed::default();
            speed.measure(0, begin);
            for start in (0..limit).step_by(usize::try_from(limit / 97).unwrap()) {
                let mut used = start;
                while used < limit {
                    let interval = speed.interval(&quota(used, Some(limit), Some(bps)), begin);
                    let interval = interval.unwrap().min(REGULAR_INTERVAL);
                    let interval = bounded(interval, Duration::from_millis(took));
                    let millis = u64::try_from(interval.as_millis()).unwrap();
                    used += 2 * bps / 8_000 * millis;
                }
                let over = used - limit;
                assert!(over * 100 < limit, "{limit} {bps}: {over} bytes over");
            }
        }
    }

    #[test]
    fn a_tenant_without_a_speed_limit_is_measured() {
        let mut speed = MeasuredSpeed::default();
        let begin = Instant::now();
        speed.measure(0, begin);
        speed.measure(10_000_000_000, begin + Duration::from_secs(10));
        assert_eq!(speed.measured_bps, 8_000_000_000);
        let near = quota(99_000_000_000, Some(100_000_000_000), None);
        // 1.5 GB at 16 Gb/s.
        let interval = speed.interval(&near, begin);
        assert_eq!(interval, Some(Duration::from_millis(750)));
        speed.measure(10_000_000_000, begin + Duration::from_secs(20));
        let interval = speed.interval(&near, begin);
        assert_eq!(interval, Some(Duration::from_secs(12)));
    }

    #[test]
    fn a_busy_tenant_is_read_sooner_than_an_idle_one() {
        let full = quota(1_000, Some(1_000), Some(1_000_000_000));
        let mut speed = MeasuredSpeed::default();
        let begin = Instant::now();
        let interval = |speed: MeasuredSpeed, at| speed.interval(&full, at);
        assert_eq!(interval(speed, begin), Some(MIN_IDLE_INTERVAL));
        speed.measure(1_000, begin);
        assert_eq!(interval(speed, begin), Some(MIN_INTERVAL));
        let later = begin + IDLE_AFTER;
        assert_eq!(interval(speed, later), Some(MIN_IDLE_INTERVAL));
    }

    #[test]
    fn readings_take_a_quarter_of_the_time_at_most() {
        let bounded = |interval, took| {
            bounded(Duration::from_millis(interval), Duration::from_millis(took)).as_millis()
        };
        assert_eq!(bounded(50, 0), 50);
        assert_eq!(bounded(700, 50), 700);
        assert_eq!(bounded(300, 400), 1_600);
    }

    #[test]
    fn a_request_waits_only_as_long_as_readings_cost() {
        let quick = Duration::from_millis(2);
        assert_eq!(pause(quick), Duration::from_millis(8));
        assert_eq!(bounded(MIN_INTERVAL, quick), MIN_INTERVAL);
        let slow = Duration::from_millis(100);
        assert_eq!(bounded(Duration::ZERO, slow), pause(slow));
    }
}
