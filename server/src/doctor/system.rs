//! The process, its folders and its clock.

use super::report::{Check, run};
use crate::config::Config;
use domain::{Clock, Message, SystemClock};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

/// CAP_NET_ADMIN, which changing interfaces and rules needs (`capabilities(7)`).
const NET_ADMIN: u32 = 12;

pub(super) fn rights() -> Check {
    const NAME: Message = Message::CheckRights;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let (uid, capabilities) = identity(&status);
    match (uid, capabilities & (1 << NET_ADMIN) != 0) {
        (Some(0), true) => Check::ok(NAME, Message::RightsRoot),
        (Some(0), false) => Check::bad(
            NAME,
            Message::RightsWithoutCapability,
            Message::FixCapability,
        ),
        (_, true) => Check::ok(NAME, Message::RightsCapability),
        (_, false) => Check::bad(NAME, Message::RightsMissing, run("sudo maliknode doctor")),
    }
}

/// Parses the user and the effective capabilities in `/proc/self/status`.
fn identity(status: &str) -> (Option<u32>, u64) {
    let line = |key: &str| status.lines().find_map(|l| l.strip_prefix(key));
    let uid = line("Uid:").and_then(|l| l.split_ascii_whitespace().nth(1)?.parse().ok());
    let capabilities = line("CapEff:").and_then(|l| u64::from_str_radix(l.trim(), 16).ok());
    (uid, capabilities.unwrap_or(0))
}

pub(super) fn folders(config: &Config) -> Check {
    const NAME: Message = Message::CheckFolders;
    let root = config.root.display();
    let path = root.to_string();
    match fs::metadata(&config.root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Check::ok(NAME, Message::CreatedAtFirstStart { path })
        }
        Err(e) => Check::bad(
            NAME,
            Message::FolderUnreadable {
                path,
                reason: e.to_string(),
            },
            run(format!("ls -ld {root}")),
        ),
        Ok(m) if !m.is_dir() => Check::bad(NAME, Message::FolderIsFile { path }, Message::FixRoot),
        Ok(_) => match open_to_others(&config.root, &config.seal_key) {
            None => Check::ok(NAME, Message::FoldersClosed { path }),
            Some((path, mode)) => Check::bad(
                NAME,
                Message::FolderOpen {
                    path: path.clone(),
                    mode: format!("{mode:04o}"),
                },
                run(format!("chmod go= {path}")),
            ),
        },
    }
}

/// Returns the first folder or file with secrets that other users may read.
fn open_to_others(root: &Path, seal_key: &Path) -> Option<(String, u32)> {
    let central = root.join("central_api");
    let inside = ["config.toml", "config.json", "database.sqlite"].map(|f| central.join(f));
    let worker = root.join("worker");
    let key = worker.join("identity.pem");
    let all = [
        root.to_owned(),
        central,
        root.join("users"),
        worker,
        key,
        seal_key.to_owned(),
    ]
    .into_iter()
    .chain(inside);
    all.filter_map(|path| {
        let mode = fs::metadata(&path).ok()?.permissions().mode() & 0o7777;
        (mode & 0o077 != 0).then(|| (path.display().to_string(), mode))
    })
    .next()
}

/// Checks the clock. Tunnels refuse a handshake that is older than the last one,
/// so a clock that jumps back cuts devices off (WireGuard's TAI64N timestamps).
pub(super) fn time() -> Check {
    const NAME: Message = Message::CheckTime;
    /// 2025-01-01, before this program was written.
    const EARLIEST: i64 = 1_735_689_600;
    if SystemClock.now().secs() < EARLIEST {
        return Check::bad(NAME, Message::ClockBehind, run("timedatectl set-ntp true"));
    }
    Check::ok(NAME, Message::ClockPlausible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_of_a_process_are_parsed() {
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000001000\n";
        assert_eq!(identity(status), (Some(1000), 0x1000));
        assert_eq!(identity(""), (None, 0));
    }

    #[test]
    fn a_file_with_loose_permissions_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(open_to_others(dir.path(), &dir.path().join("k")), None);
        let central = dir.path().join("central_api");
        fs::create_dir(&central).unwrap();
        let key = central.join("seal.key");
        fs::set_permissions(&central, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&key, "x").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            open_to_others(dir.path(), &key),
            Some((key.display().to_string(), 0o644))
        );
    }
}
