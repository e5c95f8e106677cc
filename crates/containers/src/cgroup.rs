//! What a container's processes take, from the kernel's own books: the control
//! group of the container, version 1 or 2 (`cgroups(7)`; the kernel's
//! `cgroup-v1/memory.rst` and `cgroup-v2.rst`), read as files.
//!
//! Where a group is depends on the engine's driver and `--cgroup-parent`
//! (`docker/<id>`, `system.slice/docker-<id>.scope`, …), but always has the
//! container's id in its path. So it is looked up for one container, in
//! `/proc/<pid>/cgroup`, and known for all.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// `/proc` counts in hundredths of a second whatever the kernel was built with
/// (`USER_HZ`).
const TICKS: u64 = 100;

/// Which of the two kinds of books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Where the control groups of an engine's containers are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    version: Version,
    /// The path around a container's id.
    before: String,
    after: String,
}

/// What was read of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Bytes nobody else has: the processes' own memory, their files in memory
    /// (`tmpfs`) and what the kernel holds for them. No page cache.
    pub(crate) bytes: u64,
    /// The first process; 0 where none is in sight.
    pub(crate) pid: u32,
}

impl Place {
    /// Finds it by a container and its first process as this machine counts
    /// them. `None` where the process is no longer there, or is not this
    /// container's (we are in another process namespace than the engine).
    pub(crate) fn find(id: &str, pid: u32) -> Option<Self> {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Self::from_texts(id, &own, &mounts)
    }

    fn from_texts(id: &str, own: &str, mounts: &str) -> Option<Self> {
        let (version, path) = membership(own)?;
        let folder = mounts.lines().find_map(|line| mounted(line, version))?;
        // The process may be in a group below the container's own.
        let at = path.find(id)?;
        let end = path[at..].find('/').map_or(path.len(), |i| at + i);
        let path = &path[..end];
        let inside = path.strip_prefix(&folder.root)?;
        let at = inside.find(id)?;
        Some(Self {
            version,
            before: format!("{}{}", folder.at, &inside[..at]),
            after: inside[at + id.len()..].to_owned(),
        })
    }

    fn folder(&self, id: &str) -> PathBuf {
        PathBuf::from(format!("{}{id}{}", self.before, self.after))
    }

    /// Reads a container's group.
    ///
    /// # Errors
    /// Where it is gone, or cannot be read.
    pub(crate) fn read(&self, id: &str) -> io::Result<Group> {
        let folder = self.folder(id);
        let stat = fs::read_to_string(folder.join("memory.stat"))?;
        let bytes = match self.version {
            Version::Two => private_two(&stat),
            Version::One => {
                let kernel = fs::read_to_string(folder.join("memory.kmem.usage_in_bytes"));
                // Newer kernels may be built without it.
                let kernel = kernel.ok().and_then(|k| k.trim().parse::<u64>().ok());
                private_one(&stat).map(|own| own.saturating_add(kernel.unwrap_or(0)))
            }
        };
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let pid = processes.lines().next().and_then(|p| p.parse().ok());
        Ok(Group {
            bytes,
            pid: pid.unwrap_or(0),
        })
    }
}

/// The memory group in `/proc/<pid>/cgroup`: `4:memory:/docker/…` where version
/// 1 has the memory, else `0::/…`.
fn membership(own: &str) -> Option<(Version, &str)> {
    fn parts(line: &str) -> Option<(&str, &str, &str)> {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((number, controllers, path))
    }
    let lines = || own.lines().filter_map(parts);
    let one = lines().find(|(_, c, _)| c.split(',').any(|c| c == "memory"));
    let two = || lines().find(|(n, c, _)| *n == "0" && c.is_empty());
    one.map(|(.., path)| (Version::One, path))
        .or_else(|| two().map(|(.., path)| (Version::Two, path)))
}

/// A mounted hierarchy.
struct Mounted {
    /// The folder.
    at: String,
    /// What of the hierarchy it shows; empty for the whole.
    root: String,
}

/// A line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`), where it is the
/// hierarchy that has the memory.
fn mounted(line: &str, version: Version) -> Option<Mounted> {
    let (first, second) = line.split_once(" - ")?;
    let mut kind = second.split(' ');
    let (fs, options) = (kind.next()?, kind.nth(1)?);
    let fits = match version {
        Version::Two => fs == "cgroup2",
        Version::One => fs == "cgroup" && options.split(',').any(|o| o == "memory"),
    };
    let mut fields = first.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    fits.then(|| Mounted {
        at: at.to_owned(),
        root: root.trim_end_matches('/').to_owned(),
    })
}

/// A number of `memory.stat`.
fn number(stat: &str, name: &str) -> Option<u64> {
    let line = stat
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line?.trim().parse().ok()
}

fn private_two(stat: &str) -> Option<u64> {
    let or_zero = |name| number(stat, name).unwrap_or(0);
    // Linux 5.18 sums the kernel's part up; before, it is told in parts.
    let kernel = match number(stat, "kernel") {
        Some(all) => all.saturating_sub(or_zero("slab_reclaimable")),
        None => ["kernel_stack", "pagetables", "percpu", "slab_unreclaimable"]
            .map(or_zero)
            .iter()
            .fold(0, |sum: u64, n| sum.saturating_add(*n)),
    };
    let own = number(stat, "anon")?.saturating_add(or_zero("shmem"));
    Some(own.saturating_add(or_zero("sock")).saturating_add(kernel))
}

fn private_one(stat: &str) -> Option<u64> {
    let own = number(stat, "total_rss").or_else(|| number(stat, "rss"))?;
    let files = number(stat, "total_shmem").or_else(|| number(stat, "shmem"));
    Some(own.saturating_add(files.unwrap_or(0)))
}

/// A process' parent, and how long it has been running (`proc_pid_stat(5)`).
pub(crate) fn life(pid: u32) -> Option<(u32, Duration)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    life_from(&stat, &uptime)
}

fn life_from(stat: &str, uptime: &str) -> Option<(u32, Duration)> {
    // The name in brackets may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let parent = fields.nth(1)?.parse().ok()?;
    let started: u64 = fields.nth(17)?.parse().ok()?;
    let up = uptime.split(' ').next()?.parse::<f64>().ok()?;
    let started = Duration::from_millis(started.saturating_mul(1000 / TICKS));
    let up = Duration::try_from_secs_f64(up).ok()?;
    Some((parent, up.saturating_sub(started)))
}

/// Whether a process is one of containerd's shims.
pub(crate) fn is_shim(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.starts_with("containerd-shim"))
}

/// The memory only this process has, in bytes (`RssAnon` in
/// `proc_pid_status(5)`): one line of text, where asking for the shares of
/// every page walks through them all.
pub fn private_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    anonymous(&status.ok()?)
}

fn anonymous(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    const TWO: &str = "25 30 0:22 / /proc rw - proc proc rw\n\
         29 30 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const ONE: &str = "30 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
         31 29 0:28 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
         32 29 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn place(own: &str, mounts: &str) -> Option<String> {
        let place = Place::from_texts(ID, &own.replace("ID", ID), mounts)?;
        Some(
            place
                .folder(OTHER)
                .display()
                .to_string()
                .replace(OTHER, "OTHER"),
        )
    }

    #[test]
    fn a_group_is_found_whatever_driver_and_parent_the_engine_has() {
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
            assert_eq!(place(own, TWO).as_deref(), Some(folder), "{own}");
        }
        let one = "12:pids:/docker/ID\n4:memory:/mn-bed/ID\n1:name=systemd:/docker/ID\n0::/\n";
        assert_eq!(
            place(one, ONE).as_deref(),
            Some("/sys/fs/cgroup/memory/mn-bed/OTHER")
        );
        // Only a part of the hierarchy is mounted.
        let part = TWO.replace("0:26 / ", "0:26 /outer ");
        assert_eq!(
            place("0::/outer/docker/ID\n", &part).as_deref(),
            Some("/sys/fs/cgroup/docker/OTHER")
        );
    }

    #[test]
    fn what_is_no_container_of_ours_has_no_place() {
        for own in ["", "0::/\n", "0::/init.scope\n", "nonsense\n", "0::\n"] {
            assert_eq!(place(own, TWO), None, "{own}");
        }
        assert_eq!(place("0::/docker/ID\n", ""), None);
        assert_eq!(
            place("0::/docker/ID\n", ONE.lines().next().unwrap_or("")),
            None
        );
        assert_eq!(Place::find(ID, std::process::id()), None);
        assert_eq!(Place::find(ID, u32::MAX), None);
    }

    #[test]
    fn private_memory_is_counted_without_the_cache() {
        let two = "anon 1000\nfile 900000\nkernel 500\nkernel_stack 99\nsock 7\nshmem 20\n\
             slab_reclaimable 100\nslab_unreclaimable 50\nslab 150\n";
        assert_eq!(private_two(two), Some(1000 + 20 + 7 + 400));
        let older = "anon 1000\nfile 9\nkernel_stack 10\npagetables 5\nslab_unreclaimable 3\n";
        assert_eq!(private_two(older), Some(1018));
        let one = "cache 900000\nrss 5\nshmem 1\ntotal_cache 9\ntotal_rss 1000\n\
             total_rss_huge 400\ntotal_shmem 20\n";
        assert_eq!(private_one(one), Some(1020));
        assert_eq!((private_one("rss 7\n"), private_one("")), (Some(7), None));
        assert_eq!(private_two("anonymous 1\nanon x\n"), None);
        assert_eq!(
            private_two(&format!("anon {0}\nkernel {0}\n", u64::MAX)),
            Some(u64::MAX)
        );
    }

    #[test]
    fn age_and_parent_are_read_past_any_name() {
        let stat = "42 (a) b) c) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 12345 99 9";
        let (parent, age) = life_from(stat, "200.50 1.00\n").unwrap();
        assert_eq!((parent, age), (7, Duration::from_millis(200_500 - 123_450)));
        assert_eq!(life_from(stat, "1.0 1.0\n").unwrap().1, Duration::ZERO);
        assert_eq!(life_from("42 (a", "1"), None);
    }

    #[test]
    fn a_process_own_memory_is_read() {
        let own = private_bytes(std::process::id()).unwrap();
        assert!((100 * 1024..8 << 30).contains(&own), "{own}");
        assert!(life(std::process::id()).unwrap().1 < Duration::from_secs(3600));
        assert!(!is_shim(std::process::id()));
        assert_eq!(private_bytes(u32::MAX), None);
        assert_eq!(anonymous("RssAnon:\t  12 kB\n"), Some(12 * 1024));
        assert_eq!(anonymous("RssAnon: 12\n"), None);
    }
}
