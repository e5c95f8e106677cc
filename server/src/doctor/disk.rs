//! Whether the root's disk takes what has to be written: the database, the
//! tenants' folders and what AdGuard Home keeps.

use super::Check;
use crate::config::Config;
use nix::sys::statvfs::{FsFlags, statvfs};

const NAME: &str = "Disk";

/// Below this the database's own log no longer fits, bytes.
const TOO_LITTLE: u64 = 64 << 20;

/// Below this somebody should look, bytes: a query log of 24 hours has some
/// megabytes a tenant.
const LITTLE: u64 = 1 << 30;

pub(super) fn check(config: &Config) -> Check {
    let there = config.root.ancestors().find(|p| p.exists());
    let Some(path) = there else {
        return Check::ok(NAME, "the root's folder is not there yet");
    };
    match statvfs(path) {
        Ok(disk) => told(
            &config.root.display().to_string(),
            disk.blocks_available().saturating_mul(disk.fragment_size()),
            disk.flags().contains(FsFlags::ST_RDONLY),
        ),
        Err(e) => Check::warn(
            NAME,
            format!("how much is free cannot be read ({e})"),
            format!("df -h {}", path.display()),
        ),
    }
}

/// `free` is in bytes.
fn told(root: &str, free: u64, read_only: bool) -> Check {
    let sentence = format!("{} MiB are free for {root}", free >> 20);
    if read_only {
        return Check::bad(
            NAME,
            format!("{root} is on a read-only disk: tunnels go on, and nothing can be changed"),
            format!("dmesg tells why; then: mount -o remount,rw $(findmnt -n -o TARGET -T {root})"),
        );
    }
    let mend = format!("delete what is not needed: du -xh {root} | sort -h | tail");
    match free {
        0..TOO_LITTLE => Check::bad(NAME, sentence + ": the disk is full", mend),
        TOO_LITTLE..LITTLE => Check::warn(NAME, sentence, mend),
        _ => Check::ok(NAME, sentence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn a_full_and_a_read_only_disk_are_bad_and_little_space_is_told() {
        let state = |free, read_only| told("/r", free, read_only).state;
        assert_eq!(state(u64::MAX, true), State::Bad);
        assert_eq!(state(0, false), State::Bad);
        assert_eq!(state(TOO_LITTLE, false), State::Warn);
        assert_eq!(state(LITTLE, false), State::Ok);
    }
}
