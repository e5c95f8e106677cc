//! The process, its folders and its clock.

use super::report::Check;
use crate::config::Config;
use provisioning::{Clock, SystemClock};
use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

/// CAP_NET_ADMIN, which changing interfaces and rules needs (`capabilities(7)`).
const NET_ADMIN: u32 = 12;

pub(super) fn rights() -> Check {
    const NAME: &str = "Rights";
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let (uid, capabilities) = identity(&status);
    match (uid, capabilities & (1 << NET_ADMIN) != 0) {
        (Some(0), true) => Check::ok(NAME, "runs as root"),
        (Some(0), false) => Check::bad(
            NAME,
            "runs as root, but may not change the network (no CAP_NET_ADMIN): a container without rights?",
            "start the container with --cap-add NET_ADMIN --device /dev/net/tun",
        ),
        (_, true) => Check::ok(NAME, "may change the network (CAP_NET_ADMIN)"),
        (_, false) => Check::bad(
            NAME,
            "does not run as root, so it may not create interfaces and rules",
            "sudo maliknode doctor",
        ),
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
    const NAME: &str = "Folders";
    let root = config.root.display();
    match fs::metadata(&config.root) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Check::ok(NAME, format!("{root} is created at the first start"))
        }
        Err(e) => Check::bad(
            NAME,
            format!("{root} cannot be read ({e})"),
            format!("ls -ld {root}"),
        ),
        Ok(m) if !m.is_dir() => Check::bad(
            NAME,
            format!("{root} is not a folder"),
            "choose another --root",
        ),
        Ok(_) => match open_to_others(&config.root) {
            None => Check::ok(NAME, format!("{root}, closed to others")),
            Some((path, mode)) => Check::bad(
                NAME,
                format!("{path} can be read by others (mode {mode:04o})"),
                format!("chmod go= {path}"),
            ),
        },
    }
}

/// Returns the first folder or file with secrets that other users may read.
fn open_to_others(root: &Path) -> Option<(String, u32)> {
    let central = root.join("central_api");
    let inside =
        ["config.toml", "config.json", "seal.key", "database.sqlite"].map(|f| central.join(f));
    let all = [root.to_owned(), central, root.join("users")]
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
    const NAME: &str = "Time";
    /// 2025-01-01, before this program was written.
    const EARLIEST: i64 = 1_735_689_600;
    if SystemClock.now().secs() < EARLIEST {
        return Check::bad(
            NAME,
            "the clock is years behind, so tunnels would refuse devices",
            "timedatectl set-ntp true",
        );
    }
    Check::ok(NAME, "the clock is plausible")
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
        assert_eq!(open_to_others(dir.path()), None);
        let central = dir.path().join("central_api");
        fs::create_dir(&central).unwrap();
        fs::set_permissions(&central, fs::Permissions::from_mode(0o700)).unwrap();
        let key = central.join("seal.key");
        fs::write(&key, "x").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            open_to_others(dir.path()),
            Some((key.display().to_string(), 0o644))
        );
    }
}
