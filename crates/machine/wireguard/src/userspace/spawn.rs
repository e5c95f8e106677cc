//! Starts the child process, or the systemd unit that is it. A child inherits nothing of the server: no terminal, no
//! environment (which may contain a database's password), no working folder.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::{Child, Command};

/// A log longer than this, in bytes, is renamed at the next start.
const LOG_LIMIT: u64 = 8 << 20;
/// The environment variables that the child inherits.
const ENVIRONMENT: &[&str] = &["PATH", "RUST_LOG", "RUST_BACKTRACE", "LANG", "TZ"];

/// What runs the userspace WireGuard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A child of this process, with its rights: the program with the `wg-userspace` command.
    Child(PathBuf),
    /// A systemd unit of this name, with rights of its own, which serves the same socket.
    Unit(String),
}

/// Returns the command that starts it. Starting a unit that runs changes nothing.
fn command(host: &Host, socket: &Path) -> Command {
    match host {
        Host::Child(exe) => {
            let mut command = Command::new(exe);
            command.arg("wg-userspace").arg("--socket").arg(socket);
            command
        }
        Host::Unit(unit) => {
            let mut command = Command::new("systemctl");
            command.args(["start", "--no-ask-password", "--", unit]);
            command
        }
    }
}

/// Starts it, with its output in `log`; a unit's own output is in the journal.
pub(super) fn start(host: &Host, socket: &Path, log: &Path) -> io::Result<Child> {
    let out = open_log(log)?;
    let err = out.try_clone()?;
    let environment = ENVIRONMENT
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    command(host, socket)
        .env_clear()
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::from(out))
        .stderr(Stdio::from(err))
        // The child outlives the server: its first step is setsid(2).
        .kill_on_drop(false)
        .spawn()
}

fn open_log(log: &Path) -> io::Result<File> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(log).is_ok_and(|m| m.is_file() && m.len() > LOG_LIMIT) {
        let mut old = log.as_os_str().to_owned();
        old.push(".1");
        fs::rename(log, old)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(log)
}

/// Waits for the child's exit status, so that it does not become a zombie.
pub(super) fn reap(mut child: Child) {
    tokio::spawn(async move {
        match child.wait().await {
            Ok(status) => tracing::warn!(%status, "the userspace WireGuard has ended"),
            Err(e) => tracing::warn!(error = %e, "cannot wait for the userspace WireGuard"),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("deep/log");
        open_log(&log).unwrap().set_len(LOG_LIMIT + 1).unwrap();
        open_log(&log).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        assert!(folder.path().join("deep/log.1").exists());
    }
}
