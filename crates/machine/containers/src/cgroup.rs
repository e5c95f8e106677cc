//! Reads the memory and the processor time that a container's processes use from the
//! container's control groups, version 1 or 2 (`cgroups(7)`; the kernel's
//! `cgroup-v1/memory.rst`, `cgroup-v1/cpuacct.rst` and `cgroup-v2.rst`).
//!
//! The path of a group depends on the engine's driver and `--cgroup-parent`
//! (`docker/<id>`, `system.slice/docker-<id>.scope`, …), but always contains the
//! container's id. So the path is looked up for one container, in
//! `/proc/<pid>/cgroup`, and follows for all others.
//!
//! It is parsed by hand: the crate `procfs` does not know `memory.stat` and `cpu.stat`, which
//! are most of it, and fails for all mounts where it cannot read one of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// `/proc` counts in hundredths of a second, whatever the kernel was built with
/// (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// The version of the control group interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// What a control group accounts. Version 1 may have a hierarchy for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Cpu,
}

impl Controller {
    /// Returns the name of version 1.
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpuacct",
        }
    }
}

/// The pattern of the paths of an engine's control groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupPath {
    version: Version,
    /// The path before the container's id.
    before: String,
    /// The path after the container's id.
    after: String,
}

/// The memory and the first process of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupUsage {
    /// Private bytes: the processes' own memory, their files in memory (`tmpfs`)
    /// and what the kernel holds for them. No page cache.
    pub(crate) bytes: u64,
    /// The id of the first process; 0 where no process is visible.
    pub(crate) pid: u32,
}

impl GroupPath {
    /// Finds the pattern of a controller's groups by a container's id and the id of
    /// its first process. Returns `None` where the process has ended, or does not
    /// belong to this container (then the engine is in another process namespace).
    pub(crate) fn find(id: &str, pid: u32, controller: Controller) -> Option<Self> {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::from_texts(id, &own, &mounts, controller)
    }

    fn from_texts(id: &str, own: &str, mounts: &str, controller: Controller) -> Option<Self> {
        let (version, path) = group_of(own, controller)?;
        let mount = mounts
            .lines()
            .find_map(|line| hierarchy(line, version, controller))?;
        // The process may be in a subgroup of the container's group.
        let at = path.find(id)?;
        let end = path[at..].find('/').map_or(path.len(), |i| at + i);
        let path = &path[..end];
        let inside = path.strip_prefix(&mount.root)?;
        let at = inside.find(id)?;
        Some(Self {
            version,
            before: format!("{}{}", mount.at, &inside[..at]),
            after: inside[at + id.len()..].to_owned(),
        })
    }

    fn folder(&self, id: &str) -> PathBuf {
        PathBuf::from(format!("{}{id}{}", self.before, self.after))
    }

    /// Reads the processor time of a container's group since the container started;
    /// the pattern is that of [`Controller::Cpu`].
    ///
    /// # Errors
    /// The group was removed, or cannot be read.
    pub(crate) fn cpu(&self, id: &str) -> io::Result<Duration> {
        let folder = self.folder(id);
        let used = match self.version {
            Version::V2 => {
                let stat = fs::read_to_string(folder.join("cpu.stat"))?;
                stat_value(&stat, "usage_usec").map(Duration::from_micros)
            }
            Version::V1 => {
                let used = fs::read_to_string(folder.join("cpuacct.usage"))?;
                used.trim().parse().ok().map(Duration::from_nanos)
            }
        };
        used.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Reads the memory of a container's group; the pattern is that of
    /// [`Controller::Memory`].
    ///
    /// # Errors
    /// The group was removed, or cannot be read.
    pub(crate) fn memory(&self, id: &str) -> io::Result<u64> {
        let folder = self.folder(id);
        let stat = fs::read_to_string(folder.join("memory.stat"))?;
        let bytes = match self.version {
            Version::V2 => private_bytes_v2(&stat),
            Version::V1 => {
                let kernel = fs::read_to_string(folder.join("memory.kmem.usage_in_bytes"));
                // Newer kernels may be built without this file.
                let kernel = kernel.ok().and_then(|k| k.trim().parse::<u64>().ok());
                private_bytes_v1(&stat).map(|own| own.saturating_add(kernel.unwrap_or(0)))
            }
        };
        bytes.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Reads a container's memory and its first process; the pattern is that of
    /// [`Controller::Memory`].
    ///
    /// # Errors
    /// The group was removed, or cannot be read.
    pub(crate) fn read(&self, id: &str) -> io::Result<GroupUsage> {
        let bytes = self.memory(id)?;
        let processes =
            fs::read_to_string(self.folder(id).join("cgroup.procs")).unwrap_or_default();
        let pid = processes.lines().next().and_then(|p| p.parse().ok());
        Ok(GroupUsage {
            bytes,
            pid: pid.unwrap_or(0),
        })
    }
}

/// Returns version and path of the group of a controller, from `/proc/<pid>/cgroup`:
/// the line `4:memory:/docker/…` for version 1, else the line `0::/…`.
fn group_of(own: &str, controller: Controller) -> Option<(Version, &str)> {
    fn parts(line: &str) -> Option<(&str, &str, &str)> {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((number, controllers, path))
    }
    let lines = || own.lines().filter_map(parts);
    let v1 = lines().find(|(_, c, _)| c.split(',').any(|c| c == controller.name()));
    let v2 = || lines().find(|(n, c, _)| *n == "0" && c.is_empty());
    v1.map(|(.., path)| (Version::V1, path))
        .or_else(|| v2().map(|(.., path)| (Version::V2, path)))
}

/// A mounted control group hierarchy.
struct Mount {
    /// The mount point.
    at: String,
    /// The subtree of the hierarchy that is mounted; empty for all of it.
    root: String,
}

/// Parses a line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`). Returns
/// `None` unless it mounts the hierarchy of this controller.
fn hierarchy(line: &str, version: Version, controller: Controller) -> Option<Mount> {
    let (first, second) = line.split_once(" - ")?;
    let mut kind = second.split(' ');
    let (fs, options) = (kind.next()?, kind.nth(1)?);
    let fits = match version {
        Version::V2 => fs == "cgroup2",
        Version::V1 => fs == "cgroup" && options.split(',').any(|o| o == controller.name()),
    };
    let mut fields = first.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    fits.then(|| Mount {
        at: at.to_owned(),
        root: root.trim_end_matches('/').to_owned(),
    })
}

/// Returns a value of `memory.stat`.
fn stat_value(stat: &str, name: &str) -> Option<u64> {
    let line = stat
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

fn private_bytes_v2(stat: &str) -> Option<u64> {
    let or_zero = |name| stat_value(stat, name).unwrap_or(0);
    // Linux 5.18 and newer report the kernel's part as a sum, older ones in parts.
    let kernel = match stat_value(stat, "kernel") {
        Some(all) => all.saturating_sub(or_zero("slab_reclaimable")),
        None => ["kernel_stack", "pagetables", "percpu", "slab_unreclaimable"]
            .map(or_zero)
            .iter()
            .fold(0, |sum: u64, n| sum.saturating_add(*n)),
    };
    let own = stat_value(stat, "anon")?.saturating_add(or_zero("shmem"));
    Some(own.saturating_add(or_zero("sock")).saturating_add(kernel))
}

fn private_bytes_v1(stat: &str) -> Option<u64> {
    let own = stat_value(stat, "total_rss").or_else(|| stat_value(stat, "rss"))?;
    let files = stat_value(stat, "total_shmem").or_else(|| stat_value(stat, "shmem"));
    Some(own.saturating_add(files.unwrap_or(0)))
}

/// Returns a process's parent and how long the process has been running
/// (`proc_pid_stat(5)`).
pub(crate) fn parent_and_age(pid: u32) -> Option<(u32, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    parse_parent_and_age(&stat, &uptime)
}

fn parse_parent_and_age(stat: &str, uptime: &str) -> Option<(u32, Duration)> {
    // The name in parentheses may contain anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let started: u64 = fields.nth(17)?.parse().ok()?;
    let up = uptime.split(' ').next()?.parse::<f64>().ok()?;
    let started = Duration::from_millis(started.saturating_mul(1000 / TICKS_PER_SECOND));
    let up = Duration::try_from_secs_f64(up).ok()?;
    Some((parent, up.saturating_sub(started)))
}

/// Returns whether a process is one of containerd's shims.
pub(crate) fn is_shim(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.starts_with("containerd-shim"))
}

/// Returns the private memory of a process in bytes (`RssAnon` in
/// `proc_pid_status(5)`). This is one line of text; the proportional share
/// (`smaps_rollup`) would make the kernel walk through all pages.
pub fn private_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    parse_anonymous(&status.ok()?)
}

fn parse_anonymous(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    const MOUNTS_V2: &str = "25 30 0:22 / /proc rw - proc proc rw\n\
         29 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const MOUNTS_V1: &str = "30 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
         31 29 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
         32 29 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn group_folder(own: &str, mounts: &str) -> Option<String> {
        folder_of(own, mounts, Controller::Memory)
    }

    fn folder_of(own: &str, mounts: &str, controller: Controller) -> Option<String> {
        let path = GroupPath::from_texts(ID, &own.replace("ID", ID), mounts, controller)?;
        Some(
            path.folder(OTHER)
                .display()
                .to_string()
                .replace(OTHER, "OTHER"),
        )
    }

    #[test]
    fn a_group_is_found_for_any_driver_and_parent() {
        for (own, folder) in [
            (
                "0::/system.slice/docker-ID.scope\n",
                "/sys/fs/cgroup/system.slice/docker-OTHER.scope",
            ),
            ("0::/docker/ID\n", "/sys/fs/cgroup/docker/OTHER"),
            (
                "0::/bed.slice/docker-ID.scope/init.scope\n",
                "/sys/fs/cgroup/bed.slice/docker-OTHER.scope",
            ),
            (
                "0::/user.slice/user-1000.slice/a:b/ID\n",
                "/sys/fs/cgroup/user.slice/user-1000.slice/a:b/OTHER",
            ),
        ] {
            assert_eq!(
                group_folder(own, MOUNTS_V2).as_deref(),
                Some(folder),
                "{own}"
            );
        }
        let one = "12:pids:/docker/ID\n4:memory:/mn-bed/ID\n1:name=systemd:/docker/ID\n0::/\n";
        assert_eq!(
            group_folder(one, MOUNTS_V1).as_deref(),
            Some("/sys/fs/cgroup/memory/mn-bed/OTHER")
        );
        // Each controller of version 1 may have a hierarchy and a group of its own.
        let apart = "3:cpu,cpuacct:/b/ID\n4:memory:/a/ID\n0::/\n";
        assert_eq!(
            folder_of(apart, MOUNTS_V1, Controller::Cpu).as_deref(),
            Some("/sys/fs/cgroup/cpu/b/OTHER")
        );
        assert_eq!(
            folder_of("0::/docker/ID\n", MOUNTS_V2, Controller::Cpu).as_deref(),
            Some("/sys/fs/cgroup/docker/OTHER")
        );
        // Only a part of the hierarchy is mounted.
        let part = MOUNTS_V2.replace("0:26 / ", "0:26 /outer ");
        assert_eq!(
            group_folder("0::/outer/docker/ID\n", &part).as_deref(),
            Some("/sys/fs/cgroup/docker/OTHER")
        );
    }

    #[test]
    fn other_processes_have_no_group_path() {
        for own in ["", "0::/\n", "0::/init.scope\n", "nonsense\n", "0::\n"] {
            assert_eq!(group_folder(own, MOUNTS_V2), None, "{own}");
        }
        assert_eq!(group_folder("0::/docker/ID\n", ""), None);
        assert_eq!(
            group_folder("0::/docker/ID\n", MOUNTS_V1.lines().next().unwrap_or("")),
            None
        );
        let memory = Controller::Memory;
        assert_eq!(GroupPath::find(ID, std::process::id(), memory), None);
        assert_eq!(GroupPath::find(ID, u32::MAX, memory), None);
    }

    #[test]
    fn private_memory_excludes_the_page_cache() {
        let two = "anon 1000\nfile 900000\nkernel 500\nkernel_stack 99\nsock 7\nshmem 20\n\
             slab_reclaimable 100\nslab_unreclaimable 50\nslab 150\n";
        assert_eq!(private_bytes_v2(two), Some(1000 + 20 + 7 + 400));
        let older = "anon 1000\nfile 9\nkernel_stack 10\npagetables 5\nslab_unreclaimable 3\n";
        assert_eq!(private_bytes_v2(older), Some(1018));
        let one = "cache 900000\nrss 5\nshmem 1\ntotal_cache 9\ntotal_rss 1000\n\
             total_rss_huge 400\ntotal_shmem 20\n";
        assert_eq!(private_bytes_v1(one), Some(1020));
        assert_eq!(
            (private_bytes_v1("rss 7\n"), private_bytes_v1("")),
            (Some(7), None)
        );
        assert_eq!(private_bytes_v2("anonymous 1\nanon x\n"), None);
        assert_eq!(
            private_bytes_v2(&format!("anon {0}\nkernel {0}\n", u64::MAX)),
            Some(u64::MAX)
        );
    }

    #[test]
    fn parent_and_age_are_read_past_any_name() {
        let stat = "42 (a) b) c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 12345 99 9";
        let (parent, age) = parse_parent_and_age(stat, "200.50 1.00\n").unwrap();
        assert_eq!((parent, age), (7, Duration::from_millis(200_500 - 123_450)));
        assert_eq!(
            parse_parent_and_age(stat, "1.0 1.0\n").unwrap().1,
            Duration::ZERO
        );
        assert_eq!(parse_parent_and_age("42 (a", "1"), None);
    }

    #[test]
    fn a_processs_private_memory_is_read() {
        let own = private_bytes(std::process::id()).unwrap();
        assert!((100 * 1024..8 << 30).contains(&own), "{own}");
        assert!(parent_and_age(std::process::id()).unwrap().1 < Duration::from_secs(3600));
        assert!(!is_shim(std::process::id()));
        assert_eq!(private_bytes(u32::MAX), None);
        assert_eq!(parse_anonymous("RssAnon:\t  12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_anonymous("RssAnon: 12\n"), None);
    }
}
