//! The space on the disk of the root folder, which has the database, the tenants'
//! folders and the data of the AdGuard Homes.

use super::report::Check;
use crate::config::Config;
use nix::sys::statvfs::{FsFlags, statvfs};

const NAME: &str = "Disk";

/// With less, the database's own log no longer fits, in bytes.
const TOO_LITTLE: u64 = 64 << 20;

/// With less, the operator should free space, in bytes: a query log of 24 hours
/// has some megabytes per tenant.
const LITTLE: u64 = 1 << 30;

pub(super) fn check(config: &Config) -> Check {
    let existing = config.root.ancestors().find(|p| p.exists());
    let Some(path) = existing else {
        return Check::ok(NAME, "the root folder does not exist yet");
    };
    match statvfs(path) {
        Ok(disk) => judge(
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

/// Judges the free space, in bytes.
fn judge(root: &str, free: u64, read_only: bool) -> Check {
    let message = format!("{} MiB are free for {root}", free >> 20);
    if read_only {
        return Check::bad(
            NAME,
            format!("{root} is on a read-only disk: tunnels go on, and nothing can be changed"),
            format!("dmesg says why; then: mount -o remount,rw $(findmnt -n -o TARGET -T {root})"),
        );
    }
    let fix = format!("delete what is not needed: du -xh {root} | sort -h | tail");
    match free {
        0..TOO_LITTLE => Check::bad(NAME, message + ": the disk is full", fix),
        TOO_LITTLE..LITTLE => Check::warn(NAME, message, fix),
        _ => Check::ok(NAME, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn a_full_or_read_only_disk_is_bad() {
        let state = |free, read_only| judge("/r", free, read_only).state;
        assert_eq!(state(u64::MAX, true), State::Bad);
        assert_eq!(state(0, false), State::Bad);
        assert_eq!(state(TOO_LITTLE, false), State::Warn);
        assert_eq!(state(LITTLE, false), State::Ok);
    }
}
