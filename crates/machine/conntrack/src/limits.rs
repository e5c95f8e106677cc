//! The kernel's own limits of the table: how many entries it may have, and how long
//! an entry lives. By default an established TCP connection is remembered for five
//! days, so that one device fills the table with what it opened and left.
//!
//! The settings end at the next boot, so they have to be made at every start. A limit
//! is never lowered and a timeout never raised: another program may have its reasons.

use crate::table;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The settings, of the reader's network namespace (`nf_conntrack-sysctl.rst`).
const FOLDER: &str = "/proc/sys/net/netfilter";

const MAX: &str = "nf_conntrack_max";
const COUNT: &str = "nf_conntrack_count";
const BUCKETS: &str = "nf_conntrack_buckets";
const TCP_ESTABLISHED: &str = "nf_conntrack_tcp_timeout_established";

/// The least number of entries, as the kernel has by default from 4 GiB of memory on.
const LEAST_MAX: u64 = 262_144;

/// For how many tenants at their limit the table must suffice: eight of them together
/// take at most half of it.
const FULL_TENANTS: u64 = 16;

/// An entry with its address translation, in bytes, rounded up.
const ENTRY_BYTES: u64 = 512;

/// The table may take this part of the memory.
const MEMORY_PART: u64 = 64;

/// How many entries a hash bucket may have on average, as the kernel itself allowed
/// until 5.15. More make every look-up slower.
const PER_BUCKET: u64 = 4;

/// What the limits of tenants need of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLimits {
    /// The highest number of connections of one tenant.
    pub per_tenant: u32,
    /// How long a TCP connection is remembered that is established and idle.
    pub established: Duration,
    /// The machine's memory, in bytes.
    pub memory: u64,
}

/// A setting that could not be made.
#[derive(Debug)]
pub struct Refused {
    /// Its file.
    pub path: PathBuf,
    /// What it should be.
    pub wanted: u64,
    /// Why it is not.
    pub cause: io::Error,
}

/// The present limits of the table, and what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How many connections are tracked now.
    pub entries: u64,
    /// How many may be.
    pub max: u64,
    /// How many the limits of tenants need.
    pub needed_max: u64,
    /// How many the memory suffices for, at least as many as are needed.
    pub wanted_max: u64,
    /// The timeouts that are longer than they should be: the name below `net.netfilter`,
    /// and what it should be, in seconds.
    pub long_timeouts: Vec<(&'static str, u64)>,
}

impl KernelLimits {
    /// Makes the settings where they are not enough. Returns those that could not be
    /// made: in a container, or in another network namespace than the first one.
    pub fn apply(&self) -> Vec<Refused> {
        // Loads the module that has the settings. Where that fails there is nothing to
        // set; the caller learns why when it uses the table.
        let _ = table::probe();
        self.apply_in(Path::new(FOLDER))
    }

    /// Reads the settings. Returns `None` where the kernel tracks no connections.
    pub fn read(&self) -> Option<Reading> {
        let _ = table::probe();
        self.read_in(Path::new(FOLDER))
    }

    fn apply_in(&self, folder: &Path) -> Vec<Refused> {
        let Some(now) = self.read_in(folder) else {
            return vec![];
        };
        let max = (now.max < now.wanted_max).then_some((MAX, now.wanted_max));
        let settings = max.into_iter().chain(now.long_timeouts);
        let refused = settings.filter_map(|(name, wanted)| {
            let path = folder.join(name);
            let written = fs::write(&path, wanted.to_string());
            written.err().map(|cause| Refused {
                path,
                wanted,
                cause,
            })
        });
        // More than is needed is only good to have.
        let suffices = now.max >= now.needed_max;
        let matters = |r: &Refused| !(suffices && r.path.ends_with(MAX));
        refused.filter(matters).collect()
    }

    fn read_in(&self, folder: &Path) -> Option<Reading> {
        let buckets = number(folder, BUCKETS).unwrap_or(LEAST_MAX / PER_BUCKET);
        let timeouts = self.timeouts().into_iter();
        Some(Reading {
            entries: number(folder, COUNT)?,
            max: number(folder, MAX)?,
            needed_max: self.needed_max(),
            wanted_max: self.wanted_max(buckets),
            long_timeouts: timeouts
                // A kernel without a protocol lacks its timeouts.
                .filter(|(name, wanted)| number(folder, name).is_some_and(|now| now > *wanted))
                .collect(),
        })
    }

    /// Returns how many entries the table must be able to have.
    fn needed_max(&self) -> u64 {
        LEAST_MAX.max(u64::from(self.per_tenant).saturating_mul(FULL_TENANTS))
    }

    /// Returns how many entries the table should be able to have.
    fn wanted_max(&self, buckets: u64) -> u64 {
        let by_memory = self.memory / MEMORY_PART / ENTRY_BYTES;
        let by_memory = by_memory.min(buckets.saturating_mul(PER_BUCKET));
        self.needed_max().max(by_memory)
    }

    /// Returns the timeouts of flows that answered, in seconds: a sender alone can
    /// make as many of them as it likes. The other ones are short by default.
    fn timeouts(&self) -> [(&'static str, u64); 6] {
        let established = self.established.as_secs();
        [
            (TCP_ESTABLISHED, established),
            // 432,000 and 43,200 by default, on kernels that have them.
            ("nf_conntrack_sctp_timeout_established", established),
            ("nf_conntrack_dccp_timeout_open", established),
            ("nf_conntrack_udp_timeout_stream", 120),
            ("nf_conntrack_gre_timeout_stream", 180),
            // Every protocol without a timeout of its own; 600 by default.
            ("nf_conntrack_generic_timeout", 120),
        ]
    }
}

fn number(folder: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(folder.join(name)).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_tenant: u32, memory: u64) -> KernelLimits {
        KernelLimits {
            per_tenant,
            established: Duration::from_secs(7440),
            memory,
        }
    }

    fn folder(settings: &[(&str, u64)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in settings {
            fs::write(dir.path().join(name), format!("{value}\n")).unwrap();
        }
        dir
    }

    #[test]
    fn eight_tenants_take_at_most_half_of_the_table() {
        let wanted = |per_tenant, memory, buckets| limits(per_tenant, memory).wanted_max(buckets);
        assert_eq!(wanted(16_000, 1 << 30, 16_384), 262_144);
        assert_eq!(wanted(100_000, 1 << 30, 16_384), 1_600_000);
        assert!(wanted(u32::MAX, 0, 0) > 16 * u64::from(u32::MAX) - 16);
        // A machine with 64 GiB: as many as its buckets bear.
        assert_eq!(wanted(16_000, 64 << 30, 262_144), 1_048_576);
        assert_eq!(wanted(16_000, 32 << 30, 262_144), 1_048_576);
        assert_eq!(wanted(16_000, 16 << 30, 262_144), 524_288);
    }

    #[test]
    fn a_limit_is_only_raised_and_a_timeout_only_lowered() {
        let dir = folder(&[
            (COUNT, 7),
            (BUCKETS, 65_536),
            (MAX, 65_536),
            (TCP_ESTABLISHED, 432_000),
            ("nf_conntrack_udp_timeout_stream", 60),
            ("nf_conntrack_generic_timeout", 600),
        ]);
        let kernel = limits(16_000, 1 << 30);
        assert!(kernel.apply_in(dir.path()).is_empty());
        let now = |name| number(dir.path(), name).unwrap();
        assert_eq!((now(MAX), now(TCP_ESTABLISHED)), (262_144, 7440));
        assert_eq!(now("nf_conntrack_udp_timeout_stream"), 60);
        assert_eq!(now("nf_conntrack_generic_timeout"), 120);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6);

        fs::write(dir.path().join(MAX), "4000000").unwrap();
        fs::write(dir.path().join(TCP_ESTABLISHED), "600").unwrap();
        assert!(kernel.apply_in(dir.path()).is_empty());
        assert_eq!((now(MAX), now(TCP_ESTABLISHED)), (4_000_000, 600));
        let reading = kernel.read_in(dir.path()).unwrap();
        assert_eq!((reading.entries, reading.long_timeouts), (7, vec![]));
    }

    #[test]
    fn a_kernel_without_the_table_has_nothing_to_set() {
        let dir = folder(&[]);
        let kernel = limits(16_000, 1 << 30);
        assert_eq!(kernel.read_in(dir.path()), None);
        assert!(kernel.apply_in(dir.path()).is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
