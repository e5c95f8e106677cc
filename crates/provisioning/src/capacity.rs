//! Estimates how many tenants a machine can hold, by its memory: what one costs is
//! measured, and the rest is arithmetic without I/O.
//!
//! The estimate is a number of tenants *in all* ([`CapacityEstimate::max_tenants`]),
//! not of further ones. A tenant that was admitted and does not run yet is thereby
//! counted without a list of reservations, and the store can compare the number with
//! its rows in the transaction that creates a tenant.

use crate::ports::PortResult;
use async_trait::async_trait;
use domain::Slot;
use protocol::CapacityEstimate;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// The assumed cost of a tenant, in bytes, before any was measured: AdGuard Home
/// with a list of 160,000 rules uses 30 MB; the rest is for its shim and its tunnel.
pub const DEFAULT_COST: u64 = 40 * MIB;
/// As many tenants of the default cost are added to the mean, so that the first few
/// measured ones do not decide alone.
const DEFAULT_COST_WEIGHT: f64 = 4.0;
/// Covers memory that is not accounted to a container: its network namespace and
/// bridge port, Docker's own share, and growth.
const MARGIN: f64 = 1.1;
/// The lower bound of a tenant's cost, in bytes, whatever was measured.
const MIN_COST: u64 = 4 * MIB;
/// The age at which a container has read its lists. A younger one will still grow.
const SETTLE_TIME: Duration = Duration::from_secs(120);
/// The least that is kept free, in bytes: AdGuard Homes that fetch their lists again
/// use up to 100 MB each for a few seconds, rarely two of them at the same time.
const MIN_RESERVE: u64 = 256 * MIB;

/// The memory of the machine and of our containers, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryReading {
    /// The machine's memory.
    pub total: u64,
    /// The memory that programs can still get without swapping (`MemAvailable`).
    pub available: u64,
    /// The running containers.
    pub containers: Vec<ContainerMemory>,
    /// What the engine uses for each of them besides (its shim).
    pub shim_bytes: u64,
    /// The process that holds all userspace tunnels; 0 where the kernel holds them.
    pub tunnels: u64,
}

/// The memory of a running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerMemory {
    /// The slot on its label.
    pub slot: Option<Slot>,
    /// The tenant on its label.
    pub tenant: String,
    /// Bytes that it shares with no other process and that cannot be reclaimed: no
    /// page cache.
    pub bytes: u64,
    /// How long it has been running.
    pub age: Duration,
}

/// Where the machine's memory is read. Never called while a request waits.
#[async_trait]
pub trait Memory: Send + Sync + 'static {
    /// Reads the memory of the machine and of our containers.
    ///
    /// # Errors
    /// `MemoryUnknown`, `DockerUnavailable`; then nothing is known.
    async fn read(&self) -> PortResult<MemoryReading>;
}

/// Returns the bytes to keep free unless the operator sets another number: a tenth
/// of the memory, and at least what the renewal of a list takes.
pub fn default_reserve(total: u64) -> u64 {
    MIN_RESERVE.max(total / 10)
}

/// Estimates how many tenants the memory suffices for. `is_tenants` tells whether a
/// container belongs to a present tenant: the memory of another one is in use, but
/// will be free once it is removed. `reserve` is in bytes; `None` means
/// [`default_reserve`].
pub fn estimate(
    reading: &MemoryReading,
    reserve: Option<u64>,
    is_tenants: impl Fn(&ContainerMemory) -> bool,
) -> CapacityEstimate {
    let ours: Vec<&ContainerMemory> = reading
        .containers
        .iter()
        .filter(|c| is_tenants(c))
        .collect();
    let running = ours.len() as u64;
    let tunnel_share = reading.tunnels.checked_div(running).unwrap_or(0);
    let overhead = reading.shim_bytes.saturating_add(tunnel_share);
    let settled: Vec<u64> = ours
        .iter()
        .filter(|c| c.age >= SETTLE_TIME)
        .map(|c| c.bytes.saturating_add(overhead))
        .collect();
    let per_tenant = cost(&settled);
    let reserve = reserve.unwrap_or_else(|| default_reserve(reading.total));
    // A container that has just started has not read its lists yet.
    let growth = ours
        .iter()
        .filter(|c| c.age < SETTLE_TIME)
        .map(|c| per_tenant.saturating_sub(c.bytes.saturating_add(overhead)))
        .fold(0, u64::saturating_add);
    let spare = reading
        .available
        .saturating_sub(reserve)
        .saturating_sub(growth);
    CapacityEstimate {
        max_tenants: u32::try_from(running.saturating_add(spare / per_tenant)).unwrap_or(u32::MAX),
        per_tenant,
        measured: u32::try_from(settled.len()).unwrap_or(u32::MAX),
        reserve,
        total: reading.total,
        available: reading.available,
    }
}

/// Returns the expected cost of one more tenant, in bytes. It is the mean, because
/// the sum has to fit; plus two standard errors of the mean, the default cost while
/// few were measured, and a margin.
fn cost(measured: &[u64]) -> u64 {
    let n = measured.len() as f64;
    let sum: f64 = measured.iter().map(|b| *b as f64).sum();
    let mean = (sum + DEFAULT_COST_WEIGHT * DEFAULT_COST as f64) / (n + DEFAULT_COST_WEIGHT);
    let error = if measured.len() < 2 {
        0.0
    } else {
        let own = sum / n;
        let squares: f64 = measured.iter().map(|b| (*b as f64 - own).powi(2)).sum();
        (squares / (n - 1.0) / n).sqrt()
    };
    // `as` saturates.
    (((mean + 2.0 * error) * MARGIN) as u64).max(MIN_COST)
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
    fn an_unmeasured_machine_uses_the_default_cost() {
        let r = estimate(&reading(3 * GIB, Vec::new()), Some(GIB), all);
        assert_eq!((r.per_tenant, r.measured), (DEFAULT_COST / 10 * 11, 0));
        assert_eq!(u64::from(r.max_tenants), 2 * GIB / r.per_tenant);
        assert_eq!(
            estimate(&reading(GIB, Vec::new()), None, all).reserve,
            4 * GIB / 10
        );
        assert_eq!(default_reserve(GIB), 256 * MIB);
    }

    #[test]
    fn the_measured_cost_includes_shim_and_tunnels() {
        let many = (1..=400)
            .map(|n| container(n, 14 * MIB, OLD))
            .collect::<Vec<_>>();
        let mut reading = reading(3 * GIB, many);
        let bare = estimate(&reading, Some(GIB), all);
        assert!(
            (15 * MIB..17 * MIB).contains(&bare.per_tenant),
            "{}",
            bare.per_tenant
        );
        assert_eq!(u64::from(bare.max_tenants), 400 + 2 * GIB / bare.per_tenant);
        (reading.shim_bytes, reading.tunnels) = (4 * MIB, 400 * MIB);
        let complete = estimate(&reading, Some(GIB), all);
        let more = complete.per_tenant - bare.per_tenant;
        assert!((5 * MIB..6 * MIB).contains(&more), "{more}");
    }

    #[test]
    fn a_large_variance_raises_the_estimated_cost() {
        let same = (1..=20).map(|n| container(n, 30 * MIB, OLD)).collect();
        let varied = (1..=20)
            .map(|n| container(n, if n > 16 { 110 * MIB } else { 10 * MIB }, OLD))
            .collect();
        let [same, varied] =
            [same, varied].map(|c| estimate(&reading(GIB, c), None, all).per_tenant);
        assert!(varied > same + 10 * MIB, "{varied} {same}");
    }

    #[test]
    fn a_container_that_just_started_is_not_measured() {
        let young = |bytes| reading(GIB, vec![container(1, bytes, Duration::from_secs(3))]);
        let small = estimate(&young(MIB), Some(0), all);
        let large = estimate(&young(500 * MIB), Some(0), all);
        assert_eq!((small.measured, small.per_tenant), (0, large.per_tenant));
        assert!(small.max_tenants <= large.max_tenants);
        assert_eq!(
            u64::from(small.max_tenants),
            1 + (GIB - (small.per_tenant - MIB)) / small.per_tenant
        );
    }

    #[test]
    fn a_former_tenants_container_is_not_counted() {
        let reading = reading(
            GIB,
            vec![container(1, MIB, OLD), container(2, 200 * MIB, OLD)],
        );
        let both = estimate(&reading, Some(GIB), all);
        let one = estimate(&reading, Some(GIB), |c| c.slot == Some(Slot::FIRST));
        assert_eq!((both.max_tenants, one.max_tenants, one.measured), (2, 1, 1));
    }

    #[test]
    fn a_machine_below_its_reserve_admits_no_tenant() {
        let reading = reading(
            100 * MIB,
            vec![container(1, MIB, OLD), container(2, MIB, OLD)],
        );
        assert_eq!(estimate(&reading, None, all).max_tenants, 2);
    }

    proptest! {
        /// Tenants that are admitted by one reading, and then use no more than was
        /// estimated, do not use up the reserve. A later reading, taken at any moment
        /// while they start, admits no further ones.
        #[test]
        fn admitted_tenants_fit(
            available in 0..64 * GIB,
            reserve in 0..8 * GIB,
            before in 0..50_u16,
            started in 0.0..1.0_f64,
            taken in 0.0..1.0_f64,
        ) {
            let old: Vec<_> = (1..=before).map(|n| container(n, 20 * MIB, OLD)).collect();
            let first = estimate(&reading(available, old.clone()), Some(reserve), all);
            let new = (first.max_tenants - u32::from(before)).min(900) as u64;
            let used = (first.per_tenant as f64 * taken) as u64;
            prop_assert!(new == 0 || available - new * used >= reserve);

            let running = (new as f64 * started) as u16;
            let mut containers = old;
            containers.extend((1..=running).map(|n| {
                container(before + n, used, Duration::from_secs(1))
            }));
            let now = reading(available - u64::from(running) * used, containers);
            let second = estimate(&now, Some(reserve), all);
            prop_assert!(second.max_tenants <= first.max_tenants, "{} {}", second.max_tenants, first.max_tenants);
            prop_assert!(second.max_tenants + 1 >= first.max_tenants.min(u32::from(before) + 900));
        }

        #[test]
        fn any_reading_yields_an_estimate(
            total: u64, available: u64, shim: u64, tunnels: u64, reserve: Option<u64>,
            bytes in proptest::collection::vec(any::<u64>(), 0..5), more in 1..u64::MAX,
        ) {
            let containers = bytes
                .into_iter()
                .enumerate()
                .map(|(n, b)| container(n as u16 + 1, b, Duration::from_secs(b % 240)))
                .collect();
            let mut reading = MemoryReading {
                total, available, containers, shim_bytes: shim, tunnels,
            };
            let r = estimate(&reading, reserve, all);
            prop_assert!(r.per_tenant >= MIN_COST && r.max_tenants as usize >= reading.containers.len());
            reading.available = available.saturating_add(more);
            prop_assert!(estimate(&reading, reserve, all).max_tenants >= r.max_tenants);
        }
    }
}
