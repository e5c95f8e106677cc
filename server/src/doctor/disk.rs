//! The space on the disk of the root folder, which has the database, the tenants'
//! folders and the data of the AdGuard Homes.

use super::report::{Check, run};
use crate::config::Config;
use domain::Message;
use nix::sys::statvfs::{FsFlags, statvfs};

const NAME: Message = Message::CheckDisk;

/// With less, the database's own log no longer fits, in bytes.
const TOO_LITTLE: u64 = 64 << 20;

/// With less, the operator should free space, in bytes: a query log of 24 hours
/// has some megabytes per tenant.
const LITTLE: u64 = 1 << 30;

pub(super) fn check(config: &Config) -> Check {
    let existing = config.root.ancestors().find(|p| p.exists());
    let Some(path) = existing else {
        return Check::ok(NAME, Message::RootAbsent);
    };
    match statvfs(path) {
        Ok(disk) => judge(
            &config.root.display().to_string(),
            disk.blocks_available().saturating_mul(disk.fragment_size()),
            disk.flags().contains(FsFlags::ST_RDONLY),
        ),
        Err(e) => Check::warn(
            NAME,
            Message::DiskUnread {
                reason: e.to_string(),
            },
            run(format!("df -h {}", path.display())),
        ),
    }
}

/// Judges the free space, in bytes.
fn judge(root: &str, free: u64, read_only: bool) -> Check {
    let (mebibytes, path) = (free >> 20, root.to_owned());
    if read_only {
        return Check::bad(
            NAME,
            Message::DiskReadOnly { path: path.clone() },
            Message::FixDiskReadOnly { path },
        );
    }
    let fix = Message::FixDiskFull { path: path.clone() };
    let is_free = |path| Message::DiskFree { mebibytes, path };
    match free {
        0..TOO_LITTLE => Check::bad(NAME, Message::DiskFull { mebibytes, path }, fix),
        TOO_LITTLE..LITTLE => Check::warn(NAME, is_free(path), fix),
        _ => Check::ok(NAME, is_free(path)),
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
