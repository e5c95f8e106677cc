//! How many tenants a machine carries, by its memory: what one costs is
//! measured, and the rest is arithmetic without I/O.
//!
//! The answer is a number of tenants *in all* ([`Room::most`]), not of further
//! ones: whoever is admitted and does not run yet is then counted without
//! anybody keeping a list of reservations, and the store can compare it with
//! its rows in the transaction that makes a tenant.

use crate::ports::PortResult;
use async_trait::async_trait;
use domain::{Slot, view::MemoryView};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What a tenant is taken to cost before any was measured: AdGuard Home with a
/// list of 160,000 rules takes 30 MB, the rest is for its shim and its tunnel.
pub const USUAL_COST: u64 = 40 * MIB;
/// As many tenants of the usual cost are averaged in, so that the first few
/// measured ones do not decide alone.
const USUAL_WEIGHT: f64 = 4.0;
/// What is added for memory nobody accounts to a container: its network
/// namespace and bridge port, Docker's own part, and growth.
const MARGIN: f64 = 1.1;
/// No tenant costs less, whatever was read.
const LEAST_COST: u64 = 4 * MIB;
/// A container this old has read its lists: before, it will still grow.
const SETTLED: Duration = Duration::from_secs(120);
/// The least that is kept free: AdGuard Homes that fetch lists anew take up to
/// 100 MB each for a few seconds, and seldom two at a time.
const LEAST_RESERVE: u64 = 256 * MIB;

/// The memory of the machine and of our containers, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryReading {
    /// What the machine has.
    pub total: u64,
    /// What programs could still have without swapping (`MemAvailable`).
    pub available: u64,
    /// The running containers.
    pub containers: Vec<ContainerMemory>,
    /// What the engine keeps beside each of them (its shim).
    pub aside_each: u64,
    /// The process that holds all userspace tunnels; 0 where the kernel does.
    pub tunnels: u64,
}

/// What a running container takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerMemory {
    /// The slot on its label.
    pub slot: Option<Slot>,
    /// The tenant on its label.
    pub tenant: String,
    /// Bytes nobody else has and that cannot be taken from it: no page cache.
    pub bytes: u64,
    /// How long it has been running.
    pub age: Duration,
}

/// Where the machine's memory is read. Never asked on a request.
#[async_trait]
pub trait Memory: Send + Sync + 'static {
    /// Reads it all.
    ///
    /// # Errors
    /// `MemoryUnknown`, `DockerUnavailable`; then nothing is known.
    async fn read(&self) -> PortResult<MemoryReading>;
}

/// What a machine's memory has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Tenants it carries in all, those that are there included.
    pub most: u32,
    /// What one more is taken to cost, bytes.
    pub each: u64,
    /// Tenants `each` was measured of.
    pub measured: u32,
    /// Bytes that are to stay free.
    pub reserve: u64,
    /// Bytes of the machine.
    pub total: u64,
    /// Bytes that were free.
    pub available: u64,
}

impl Room {
    /// As the operator sees it.
    pub fn view(&self) -> MemoryView {
        MemoryView {
            total_bytes: self.total,
            free_bytes: self.available,
            reserve_bytes: self.reserve,
            each_bytes: self.each,
            measured: self.measured,
        }
    }
}

/// What is kept free unless the operator says otherwise: a tenth, and never
/// less than a list's renewal takes.
pub fn usual_reserve(total: u64) -> u64 {
    LEAST_RESERVE.max(total / 10)
}

/// What the memory has room for. `serves` says whether a container is that of
/// a tenant who is there: others' memory is taken, but frees a place when it
/// goes. `reserve` in bytes; `None` is [`usual_reserve`].
pub fn room(
    reading: &MemoryReading,
    reserve: Option<u64>,
    serves: impl Fn(&ContainerMemory) -> bool,
) -> Room {
    let ours: Vec<&ContainerMemory> = reading.containers.iter().filter(|c| serves(c)).collect();
    let running = ours.len() as u64;
    let share = reading.tunnels.checked_div(running).unwrap_or(0);
    let beside = reading.aside_each.saturating_add(share);
    let settled: Vec<u64> = ours
        .iter()
        .filter(|c| c.age >= SETTLED)
        .map(|c| c.bytes.saturating_add(beside))
        .collect();
    let each = cost(&settled);
    let reserve = reserve.unwrap_or_else(|| usual_reserve(reading.total));
    // Who has just started has not read its lists yet.
    let growth = ours
        .iter()
        .filter(|c| c.age < SETTLED)
        .map(|c| each.saturating_sub(c.bytes.saturating_add(beside)))
        .fold(0, u64::saturating_add);
    let spare = reading
        .available
        .saturating_sub(reserve)
        .saturating_sub(growth);
    Room {
        most: u32::try_from(running.saturating_add(spare / each)).unwrap_or(u32::MAX),
        each,
        measured: u32::try_from(settled.len()).unwrap_or(u32::MAX),
        reserve,
        total: reading.total,
        available: reading.available,
    }
}

/// What one more tenant will cost. The mean, because it is their sum that has
/// to fit; with what the mean may be wrong by (two standard errors), the usual
/// cost while few were measured, and a margin.
fn cost(measured: &[u64]) -> u64 {
    let n = measured.len() as f64;
    let sum: f64 = measured.iter().map(|b| *b as f64).sum();
    let mean = (sum + USUAL_WEIGHT * USUAL_COST as f64) / (n + USUAL_WEIGHT);
    let error = if measured.len() < 2 {
        0.0
    } else {
        let own = sum / n;
        let squares: f64 = measured.iter().map(|b| (*b as f64 - own).powi(2)).sum();
        (squares / (n - 1.0) / n).sqrt()
    };
    // `as` ends at the largest number.
    (((mean + 2.0 * error) * MARGIN) as u64).max(LEAST_COST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;
    const OLD: Duration = Duration::from_secs(3600);

    fn container(n: u16, bytes: u64, age: Duration) -> ContainerMemory {
        ContainerMemory {
            slot: Slot::new(n),
            tenant: format!("t{n}"),
            bytes,
            age,
        }
    }

    fn reading(available: u64, containers: Vec<ContainerMemory>) -> MemoryReading {
        MemoryReading {
            total: 4 * GIB,
            available,
            containers,
            ..MemoryReading::default()
        }
    }

    fn all(_: &ContainerMemory) -> bool {
        true
    }

    #[test]
    fn before_anybody_was_measured_the_usual_cost_decides() {
        let r = room(&reading(3 * GIB, Vec::new()), Some(GIB), all);
        assert_eq!((r.each, r.measured), (USUAL_COST / 10 * 11, 0));
        assert_eq!(u64::from(r.most), 2 * GIB / r.each);
        assert_eq!(
            room(&reading(GIB, Vec::new()), None, all).reserve,
            4 * GIB / 10
        );
        assert_eq!(usual_reserve(GIB), 256 * MIB);
    }

    #[test]
    fn the_measured_cost_takes_over_with_the_shim_and_the_tunnels_share() {
        let many = (1..=400)
            .map(|n| container(n, 14 * MIB, OLD))
            .collect::<Vec<_>>();
        let mut reading = reading(3 * GIB, many);
        let bare = room(&reading, Some(GIB), all);
        assert!((15 * MIB..17 * MIB).contains(&bare.each), "{}", bare.each);
        assert_eq!(u64::from(bare.most), 400 + 2 * GIB / bare.each);
        (reading.aside_each, reading.tunnels) = (4 * MIB, 400 * MIB);
        let whole = room(&reading, Some(GIB), all);
        let more = whole.each - bare.each;
        assert!((5 * MIB..6 * MIB).contains(&more), "{more}");
    }

    #[test]
    fn tenants_of_very_different_size_are_met_with_more_caution() {
        let same = (1..=20).map(|n| container(n, 30 * MIB, OLD)).collect();
        let apart = (1..=20)
            .map(|n| container(n, if n > 16 { 110 * MIB } else { 10 * MIB }, OLD))
            .collect();
        let [same, apart] = [same, apart].map(|c| room(&reading(GIB, c), None, all).each);
        assert!(apart > same + 10 * MIB, "{apart} {same}");
    }

    #[test]
    fn who_has_just_started_will_grow_and_is_no_measure() {
        let young = |bytes| reading(GIB, vec![container(1, bytes, Duration::from_secs(3))]);
        let small = room(&young(MIB), Some(0), all);
        let large = room(&young(500 * MIB), Some(0), all);
        assert_eq!((small.measured, small.each), (0, large.each));
        assert!(small.most <= large.most);
        assert_eq!(
            u64::from(small.most),
            1 + (GIB - (small.each - MIB)) / small.each
        );
    }

    #[test]
    fn a_container_of_somebody_who_left_holds_no_place() {
        let reading = reading(
            GIB,
            vec![container(1, MIB, OLD), container(2, 200 * MIB, OLD)],
        );
        let both = room(&reading, Some(GIB), all);
        let one = room(&reading, Some(GIB), |c| c.slot == Some(Slot::FIRST));
        assert_eq!((both.most, one.most, one.measured), (2, 1, 1));
    }

    #[test]
    fn a_machine_below_its_reserve_keeps_whom_it_has_and_takes_nobody() {
        let reading = reading(
            100 * MIB,
            vec![container(1, MIB, OLD), container(2, MIB, OLD)],
        );
        assert_eq!(room(&reading, None, all).most, 2);
    }

    proptest! {
        /// Whoever is admitted by one reading, and then takes no more than was
        /// reckoned, leaves the reserve alone; and a later reading, at whatever
        /// moment of their starting, admits nobody beyond.
        #[test]
        fn what_was_admitted_fits(
            available in 0..64 * GIB,
            reserve in 0..8 * GIB,
            before in 0..50_u16,
            started in 0.0..1.0_f64,
            taken in 0.0..1.0_f64,
        ) {
            let old: Vec<_> = (1..=before).map(|n| container(n, 20 * MIB, OLD)).collect();
            let first = room(&reading(available, old.clone()), Some(reserve), all);
            let new = (first.most - u32::from(before)).min(900) as u64;
            let each = (first.each as f64 * taken) as u64;
            prop_assert!(new == 0 || available - new * each >= reserve);

            let running = (new as f64 * started) as u16;
            let mut containers = old;
            containers.extend((1..=running).map(|n| {
                container(before + n, each, Duration::from_secs(1))
            }));
            let now = reading(available - u64::from(running) * each, containers);
            let second = room(&now, Some(reserve), all);
            prop_assert!(second.most <= first.most, "{} {}", second.most, first.most);
            prop_assert!(second.most + 1 >= first.most.min(u32::from(before) + 900));
        }

        #[test]
        fn no_reading_is_too_odd(
            total: u64, available: u64, aside: u64, tunnels: u64, reserve: Option<u64>,
            bytes in proptest::collection::vec(any::<u64>(), 0..5), more in 1..u64::MAX,
        ) {
            let containers = bytes
                .into_iter()
                .enumerate()
                .map(|(n, b)| container(n as u16 + 1, b, Duration::from_secs(b % 240)))
                .collect();
            let mut reading = MemoryReading {
                total, available, containers, aside_each: aside, tunnels,
            };
            let r = room(&reading, reserve, all);
            prop_assert!(r.each >= LEAST_COST && r.most as usize >= reading.containers.len());
            reading.available = available.saturating_add(more);
            prop_assert!(room(&reading, reserve, all).most >= r.most);
        }
    }
}
