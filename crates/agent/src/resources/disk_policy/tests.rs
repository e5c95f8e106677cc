//! Tests of the decisions, with readings and times that the tests choose.

use super::*;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);
const LIMITS: DiskLimits = DiskLimits {
    soft_bytes: 100 * MIB,
    hard_bytes: 200 * MIB,
    min_free_percent: 5,
};

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

fn name(n: u16) -> TenantName {
    TenantName::parse(&format!("tenant{n}")).unwrap()
}

fn tenant(n: u16) -> EventTenant {
    let (slot, name) = (slot(n), name(n));
    EventTenant { slot, name }
}

fn holders(tenants: u16) -> BTreeMap<Slot, TenantName> {
    (1..=tenants).map(|n| (slot(n), name(n))).collect()
}

fn trim(n: u16) -> Action {
    Action::Trim(slot(n), name(n))
}

fn clear(n: u16) -> Action {
    Action::Clear(slot(n), name(n))
}

fn drop_lists(n: u16) -> Action {
    Action::DropLists(slot(n), name(n))
}

fn lists_dropped(n: u16) -> Action {
    Action::Report(EventKind::DiskLists { tenant: tenant(n) })
}

fn full(n: u16, bytes: u64) -> Action {
    Action::Report(EventKind::DiskFull {
        tenant: tenant(n),
        bytes,
        limit: LIMITS.hard_bytes,
    })
}

fn trimmed(n: u16, bytes: u64) -> Action {
    let tenant = tenant(n);
    Action::Report(EventKind::DiskTrimmed { tenant, bytes })
}

fn held(n: u16) -> Action {
    Action::Report(EventKind::DiskHeld { tenant: tenant(n) })
}

fn back(n: u16) -> Action {
    Action::Report(EventKind::DiskBack { tenant: tenant(n) })
}

/// A policy and its clock.
struct Rig {
    policy: DiskPolicy,
    now: Instant,
}

impl Rig {
    fn new(tenants: u16) -> Self {
        let (mut policy, now) = (DiskPolicy::new(LIMITS), Instant::now());
        policy.set_tenants(&holders(tenants), now);
        Self { policy, now }
    }

    fn sleep(&mut self, seconds: u32) {
        self.now += SECOND * seconds;
    }

    fn measured(&mut self, n: u16, mebibytes: u64) -> Vec<Action> {
        let bytes = Some(mebibytes * MIB);
        self.policy.measured(slot(n), bytes, self.now)
    }

    fn freed(&mut self, n: u16, mebibytes: u64) -> Option<Action> {
        self.policy.freed(slot(n), mebibytes * MIB, self.now)
    }

    /// Sets how many hundredths of the file system are free.
    fn free(&mut self, percent: u64) -> Vec<Action> {
        self.policy
            .space(1000 * MIB, percent * 10 * MIB, self.now)
            .1
    }

    fn stop(&mut self) {
        self.sleep(1);
        self.policy.running(&BTreeSet::new(), self.now);
    }

    fn held(&self) -> Vec<u16> {
        self.policy.holds().keys().map(|s| s.get()).collect()
    }

    /// Returns how many seconds from now a tenant is due.
    fn due_in(&self, n: u16) -> f64 {
        (self.policy.tenants[&slot(n)].due - self.now).as_secs_f64()
    }
}

#[test]
fn above_the_soft_limit_the_query_log_is_trimmed_until_below() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.measured(1, 100), []);
    assert_eq!(rig.measured(1, 101), [trim(1)]);
    assert_eq!(rig.measured(1, 102), [], "one is under way");
    assert_eq!(rig.freed(1, 1), Some(trimmed(1, MIB)));
    assert_eq!(rig.due_in(1), 0.0, "it is measured at once");
    assert_eq!(rig.measured(1, 101), [trim(1)]);
    assert_eq!(rig.freed(1, 5), None, "one event in ten minutes");
    assert_eq!(rig.measured(1, 96), []);
    rig.sleep(600);
    assert_eq!(rig.measured(1, 150), [trim(1)]);
    assert_eq!(rig.freed(1, 60), Some(trimmed(1, 65 * MIB)));
    assert!(rig.held().is_empty());
}

#[test]
fn a_trim_that_frees_nothing_is_not_repeated_at_once() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.measured(1, 150), [trim(1)]);
    assert_eq!(rig.freed(1, 0), None);
    rig.sleep(59);
    assert_eq!(rig.measured(1, 150), []);
    rig.sleep(1);
    assert_eq!(rig.measured(1, 150), [trim(1)]);
    // Its answer was lost.
    rig.sleep(599);
    assert_eq!(rig.measured(1, 150), []);
    rig.sleep(1);
    assert_eq!(rig.measured(1, 150), [trim(1)]);
}

#[test]
fn above_the_hard_limit_it_is_stopped_and_cleared() {
    let mut rig = Rig::new(2);
    assert_eq!(rig.measured(2, 199), [trim(2)]);
    assert_eq!(rig.measured(1, 201), [full(1, 201 * MIB)]);
    assert_eq!(rig.held(), [1]);
    rig.sleep(1);
    assert_eq!(rig.measured(1, 205), [], "it has not stopped yet");
    rig.policy.running(&[slot(1)].into(), rig.now);
    assert_eq!(rig.measured(1, 205), []);
    rig.stop();
    assert_eq!(rig.due_in(1), 0.0);
    assert_eq!(rig.measured(1, 205), [clear(1)]);
    assert_eq!(rig.freed(1, 30), None);
    assert_eq!(
        rig.measured(1, 160),
        [drop_lists(1)],
        "80 % is not below 80 %"
    );
    assert_eq!(rig.held(), [1]);
    assert_eq!(rig.measured(1, 159), [back(1)]);
    assert!(rig.held().is_empty());
    rig.freed(2, 0);
}

#[test]
fn the_tenants_own_lists_are_removed_last() {
    let mut rig = Rig::new(1);
    rig.measured(1, 300);
    rig.stop();
    assert_eq!(rig.measured(1, 300), [clear(1)]);
    assert_eq!(rig.freed(1, 0), None);
    assert_eq!(rig.due_in(1), 0.0);
    assert_eq!(rig.measured(1, 300), [drop_lists(1)]);
    assert_eq!(rig.freed(1, 100), Some(lists_dropped(1)));
    assert_eq!(rig.measured(1, 200), [clear(1)]);
    assert_eq!(rig.freed(1, 0), None, "nothing else can go");
    assert_eq!(rig.measured(1, 200), []);
    rig.sleep(60);
    assert_eq!(rig.measured(1, 200), [clear(1)]);
    // In a later hold it begins with what costs the tenant nothing.
    assert_eq!(rig.measured(1, 0), [back(1)]);
    rig.measured(1, 300);
    rig.stop();
    assert_eq!(rig.measured(1, 300), [clear(1)]);
    assert_eq!(rig.freed(1, 200), None);
}

#[test]
fn a_reading_of_before_the_stop_does_not_count() {
    let mut rig = Rig::new(1);
    let began = rig.now;
    rig.sleep(1);
    rig.measured(1, 201);
    rig.policy.running(&BTreeSet::new(), began);
    assert_eq!(rig.measured(1, 201), []);
    rig.stop();
    assert_eq!(rig.measured(1, 201), [clear(1)]);
}

#[test]
fn one_that_is_stopped_again_and_again_rests_longer() {
    let mut rig = Rig::new(1);
    for rest in [0, 30, 60, 120, 240, 480, 600, 600] {
        assert_eq!(rig.measured(1, 300), [full(1, 300 * MIB)]);
        if rest > 0 {
            rig.sleep(rest - 1);
            assert_eq!(rig.measured(1, 10), [], "{rest}");
            rig.sleep(1);
        }
        assert_eq!(rig.measured(1, 10), [back(1)], "{rest}");
    }
    rig.sleep(3600);
    assert_eq!(rig.measured(1, 300), [full(1, 300 * MIB)]);
    assert_eq!(rig.measured(1, 10), [back(1)]);
}

#[test]
fn one_that_grows_fast_is_measured_sooner() {
    let mut rig = Rig::new(1);
    rig.measured(1, 10);
    assert_eq!(rig.due_in(1), 10.0);
    rig.sleep(10);
    // 1 MiB a second: 80 s to the soft limit.
    rig.measured(1, 20);
    assert_eq!(rig.due_in(1), 10.0);
    rig.sleep(10);
    // 7 MiB a second, 10 to go.
    rig.measured(1, 90);
    assert_eq!(rig.due_in(1), 1.0, "but never sooner than after a second");
    rig.sleep(1);
    rig.measured(1, 60);
    assert_eq!(rig.due_in(1), 10.0, "it shrinks");
    rig.sleep(2);
    // 10 MiB a second, 20 to go.
    rig.measured(1, 80);
    assert_eq!(rig.due_in(1), 1.0);
    rig.sleep(2);
    // Above the soft limit the hard one counts: 10 MiB a second, 100 to go.
    rig.measured(1, 100);
    assert_eq!(rig.due_in(1), 5.0);
}

#[test]
fn a_failed_reading_changes_nothing() {
    let mut rig = Rig::new(1);
    rig.measured(1, 300);
    rig.stop();
    assert_eq!(rig.policy.measured(slot(1), None, rig.now), []);
    assert_eq!((rig.held(), rig.due_in(1)), (vec![1], 10.0));
    assert_eq!(rig.policy.last(slot(1)).unwrap().1, 300 * MIB);
    // Neither does one of a tenant who left.
    assert_eq!(rig.policy.measured(slot(7), Some(u64::MAX), rig.now), []);
    assert_eq!(rig.policy.freed(slot(7), 1, rig.now), None);
}

#[test]
fn a_slots_next_tenant_starts_from_the_beginning() {
    let mut rig = Rig::new(1);
    rig.measured(1, 300);
    assert_eq!(rig.held(), [1]);
    rig.policy
        .set_tenants(&[(slot(1), name(9))].into(), rig.now);
    assert!(rig.held().is_empty());
    assert_eq!(rig.policy.last(slot(1)), None);
}

#[test]
fn a_nearly_full_disk_stops_those_who_write() {
    let mut rig = Rig::new(4);
    for (n, mebibytes) in [(1, 10), (2, 90), (3, 50)] {
        rig.measured(n, mebibytes);
    }
    assert_eq!(rig.free(5), []);
    assert!(!rig.policy.low);
    rig.sleep(1);
    assert_eq!(rig.free(4), []);
    assert!(rig.policy.low);
    // The largest is measured, and trimmed, first.
    let due = rig.policy.due(rig.now, 9);
    assert_eq!(due.map_slots(), [2, 3, 1, 4]);
    assert_eq!(rig.measured(2, 90), [trim(2)]);
    assert_eq!(rig.freed(2, 40), Some(trimmed(2, 40 * MIB)));
    assert_eq!(rig.measured(2, 50), [trim(2)]);
    assert_eq!(rig.freed(2, 0), None);
    // What counts is the least use since then.
    assert_eq!(rig.measured(2, 58), []);
    assert_eq!(rig.measured(2, 59), [held(2)]);
    assert_eq!(rig.measured(3, 58), [trim(3)]);
    assert_eq!(rig.held(), [2]);
    // Little more room is not enough.
    assert_eq!(rig.free(6), []);
    assert!(rig.policy.low);
    assert_eq!(rig.free(7), [back(2)]);
    assert!(!rig.policy.low && rig.held().is_empty());
    assert_eq!(rig.measured(2, 90), []);
}

#[test]
fn a_full_disk_stops_all() {
    let mut rig = Rig::new(3);
    rig.measured(1, 300);
    assert_eq!(rig.free(2), [held(2), held(3)]);
    assert_eq!(rig.held(), [1, 2, 3]);
    // One that used too much is not let go meanwhile.
    assert_eq!(rig.measured(1, 10), []);
    assert_eq!(rig.held(), [1, 2, 3]);
    // A tenant who signs up is held as soon as it is measured, or the disk is.
    rig.policy.set_tenants(&holders(4), rig.now);
    assert_eq!(rig.measured(4, 1), [held(4)]);
    assert_eq!(rig.free(6), []);
    // One that uses too much as well stays when the others are let go.
    assert_eq!(rig.measured(2, 201), [full(2, 201 * MIB)]);
    assert_eq!(rig.free(20), [back(1), back(3), back(4)]);
    assert_eq!(rig.held(), [2]);
}

#[test]
fn no_least_share_means_no_low_disk() {
    let limits = DiskLimits {
        min_free_percent: 0,
        ..LIMITS
    };
    let mut policy = DiskPolicy::new(limits);
    let (space, actions) = policy.space(1000, 0, Instant::now());
    assert!(!space.low && actions.is_empty());
    // A file system that reports nothing has no room.
    let (space, _) = DiskPolicy::new(LIMITS).space(0, 0, Instant::now());
    assert!(!space.low);
}

trait MapSlots {
    fn map_slots(&self) -> Vec<u16>;
}

impl MapSlots for Vec<(Slot, TenantName)> {
    fn map_slots(&self) -> Vec<u16> {
        self.iter().map(|(slot, _)| slot.get()).collect()
    }
}

/// Measures a thousand tenants as the meter does, 40 in a quarter of a second, for a
/// minute. Returns the longest time between two readings of a tenant and how many
/// there were, for each of them.
fn measure_thousand(grows: impl Fn(u16) -> bool) -> BTreeMap<u16, (Duration, u32)> {
    let mut rig = Rig::new(1000);
    let begin = rig.now;
    let mut readings = BTreeMap::new();
    for _ in 0..240 {
        for (slot, _) in rig.policy.due(rig.now, 40) {
            let n = slot.get();
            let last = rig.policy.last(slot).map_or(begin, |(at, _)| at);
            let (longest, count) = readings.entry(n).or_insert((Duration::ZERO, 0));
            *longest = (*longest).max(rig.now - last);
            *count += 1;
            // At any time, the limit is two seconds away at the present rate.
            let left = (-(rig.now - begin).as_secs_f64() / 2.0).exp();
            let used = if grows(n) { 1.0 - left } else { 0.5 };
            let bytes = (used * LIMITS.soft_bytes as f64) as u64;
            rig.policy.measured(slot, Some(bytes), rig.now);
        }
        rig.now += Duration::from_millis(250);
    }
    readings
}

#[test]
fn one_in_a_thousand_that_grows_fast_is_followed() {
    let readings = measure_thousand(|n| n == 500);
    assert!(readings[&500].1 >= 20, "{:?}", readings[&500]);
    let others = readings.iter().filter(|(n, _)| **n != 500);
    for (n, (longest, count)) in others {
        assert!(*longest <= Duration::from_secs(11), "{n}: {longest:?}");
        assert!(*count <= 7, "{n}: {count}");
    }
}

#[test]
fn many_that_grow_fast_delay_no_others_reading() {
    let readings = measure_thousand(|n| n < 900);
    assert_eq!(readings.len(), 1000);
    let worst = readings.values().map(|(longest, _)| *longest).max();
    assert!(worst <= Some(Duration::from_secs(12)), "{worst:?}");
}

proptest! {
    /// Whatever is read, in whatever order: those are held who have to be, events come
    /// in pairs, and only what has stopped is cleared.
    #[test]
    fn what_is_held_follows_from_the_readings(
        steps in proptest::collection::vec((0..6_u8, 1..=4_u16, 0..400_u64, 0..40_u32), 1..200),
    ) {
        let mut rig = Rig::new(4);
        let mut reported = BTreeSet::new();
        let mut stopped = BTreeSet::new();
        let mut free = 100;
        for (what, n, value, seconds) in steps {
            rig.sleep(seconds);
            let actions = match what {
                0..=2 => rig.measured(n, value),
                3 => rig.freed(n, value % 20).into_iter().collect(),
                4 => {
                    free = value % 12;
                    rig.free(free)
                }
                _ => {
                    let before = rig.policy.holds();
                    rig.policy.running(&[slot(n)].into(), rig.now);
                    stopped.extend(before.into_keys().filter(|s| s.get() != n));
                    Vec::new()
                }
            };
            for action in actions {
                match action {
                    Action::Report(EventKind::DiskFull { tenant, bytes, .. }) => {
                        prop_assert!(bytes > LIMITS.hard_bytes);
                        reported.insert(tenant.slot);
                        stopped.remove(&tenant.slot);
                    }
                    Action::Report(EventKind::DiskHeld { tenant }) => {
                        prop_assert!(rig.policy.low);
                        prop_assert!(reported.insert(tenant.slot), "reported twice");
                    }
                    Action::Report(EventKind::DiskBack { tenant }) => {
                        prop_assert!(reported.remove(&tenant.slot), "it was not held");
                        stopped.remove(&tenant.slot);
                    }
                    Action::Clear(slot, _) | Action::DropLists(slot, _) => {
                        prop_assert!(rig.policy.holds().contains_key(&slot));
                        prop_assert!(stopped.contains(&slot), "it may be running");
                    }
                    Action::Trim(slot, _) => prop_assert!(!rig.policy.holds().contains_key(&slot)),
                    Action::Report(_) => {}
                }
            }
            let holds: BTreeSet<Slot> = rig.policy.holds().into_keys().collect();
            prop_assert_eq!(&holds, &reported, "what is held was reported");
            if what <= 2 && value * MIB > LIMITS.hard_bytes {
                prop_assert!(holds.contains(&slot(n)));
            }
            if what == 4 && free < 3 {
                prop_assert_eq!(holds.len(), 4, "no tenant writes");
            }
            if free >= 7 {
                prop_assert!(!rig.policy.low);
                for held in &holds {
                    let hold = rig.policy.tenants[held].hold;
                    let is_full = matches!(hold, Some((_, Hold::Full { .. })));
                    prop_assert!(is_full);
                }
            }
            for t in rig.policy.tenants.values() {
                prop_assert!(t.due <= rig.now + INTERVAL);
            }
        }
    }

    /// A reading that is below every limit, with room on the disk, sooner or later ends
    /// every hold.
    #[test]
    fn a_hold_ends_once_there_is_room(
        readings in proptest::collection::vec((0..2_u8, 0..400_u64), 0..60),
    ) {
        let mut rig = Rig::new(1);
        for (what, value) in readings {
            rig.sleep(1);
            if what == 0 { rig.measured(1, value); } else { rig.free(value % 12); }
        }
        rig.free(50);
        for _ in 0..=60 {
            rig.sleep(10);
            rig.measured(1, 50);
        }
        prop_assert_eq!(rig.held(), Vec::<u16>::new());
    }

    #[test]
    fn no_figure_is_too_large(
        soft: u64, hard: u64, percent in 0..=u8::MAX, bytes: [u64; 3], total: u64, available: u64,
    ) {
        let limits = DiskLimits { soft_bytes: soft, hard_bytes: hard, min_free_percent: percent };
        let (mut policy, now) = (DiskPolicy::new(limits), Instant::now());
        policy.set_tenants(&holders(1), now);
        policy.space(total, available, now);
        for (n, bytes) in bytes.into_iter().enumerate() {
            policy.measured(slot(1), Some(bytes), now + SECOND * n as u32);
            policy.freed(slot(1), bytes, now + SECOND * n as u32);
        }
        prop_assert!(policy.limits().soft_bytes <= policy.limits().hard_bytes);
    }
}
