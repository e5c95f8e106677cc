//! Runs the machine's programs (`nft`, `iptables`, `tc`) with argument arrays, text on
//! stdin and a timeout.

use crate::own_pids::OwnPids;
use domain::Message;
use std::{io, path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// The longest time a command may take; loading a thousand tenants takes a
/// fraction of it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The reason a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program is not installed.
    #[error("{program} is not installed")]
    NotInstalled {
        /// The program's name.
        program: &'static str,
        /// The error of starting it.
        #[source]
        source: io::Error,
    },
    /// The program could not be started, or not be waited for.
    #[error("{program} could not be run")]
    NotStarted {
        /// The program's name.
        program: &'static str,
        /// The error of starting it.
        #[source]
        source: io::Error,
    },
    /// The program did not end in time and was killed.
    #[error("{program} did not end within {} s", TIMEOUT.as_secs())]
    TimedOut {
        /// The program's name.
        program: &'static str,
    },
    /// The program ended with a failure.
    #[error("{program} failed: {stderr}")]
    Failed {
        /// The program's name.
        program: &'static str,
        /// What it wrote to stderr, 2,000 characters at most.
        stderr: String,
    },
}

/// Runs a program to its end with text on its stdin and returns its stdout. Its
/// process id is recorded first, so that its changes count as our own.
///
/// # Errors
/// The program does not exist, cannot be started, takes longer than 10 s or fails.
pub async fn run(
    program: &'static str,
    args: &[&str],
    input: &str,
    own: &OwnPids,
) -> Result<Vec<u8>, CommandError> {
    let not_started = |source| CommandError::NotStarted { program, source };
    let mut child = Command::new(find(program))
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CommandError::NotInstalled { program, source },
            _ => CommandError::NotStarted { program, source },
        })?;
    if let Some(id) = child.id() {
        own.add(id);
    }
    let stdin = child.stdin.take();
    let work = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that ends early writes the reason to stderr, which says
                // more than the broken pipe.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(feed, child.wait_with_output()).1
    };
    let output = timeout(TIMEOUT, work)
        .await
        .map_err(|_| CommandError::TimedOut { program })?
        .map_err(not_started)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Failed {
        program,
        stderr: stderr.trim().chars().take(2000).collect(),
    })
}

/// Returns the path of a program. The programs are in /usr/sbin, which is not in
/// the PATH of an ordinary user. Starting a path needs no PATH of its own, so the
/// standard library uses posix_spawn(3), which does not copy this process's page
/// tables as fork(2) does. For a program that is not found the name is returned,
/// and starting it fails with the reason.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| program.into())
}

impl CommandError {
    /// Returns whether the object that the command named does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { stderr, .. } if stderr.contains("No such file or directory"))
    }

    /// Returns what to say of a program that could not be run to its end; `None` for
    /// one that failed, whose reason is its own.
    pub fn not_run(&self) -> Option<Message> {
        Some(match self {
            Self::NotInstalled { program, .. } => {
                let (program, package) = match *program {
                    "nft" => ("nftables", "nftables"),
                    "tc" => ("tc", "iproute2"),
                    other => (other, other),
                };
                Message::ProgramMissing {
                    program: program.to_owned(),
                    package: package.to_owned(),
                }
            }
            Self::NotStarted { program, .. } => Message::ProgramNotRun {
                program: (*program).to_owned(),
            },
            Self::TimedOut { program } => Message::ProgramTimedOut {
                program: (*program).to_owned(),
                seconds: TIMEOUT.as_secs(),
            },
            Self::Failed { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_program_is_named_with_its_package() {
        let missing = |program: &str, package: &str| {
            Some(Message::ProgramMissing {
                program: program.to_owned(),
                package: package.to_owned(),
            })
        };
        let name = "maliknode-no-such-program";
        let error = run(name, &[], "", &OwnPids::default()).await.unwrap_err();
        assert_eq!(error.not_run(), missing(name, name));
        for (program, shown, package) in [
            ("nft", "nftables", "nftables"),
            ("tc", "tc", "iproute2"),
            ("iptables", "iptables", "iptables"),
        ] {
            let source = io::ErrorKind::NotFound.into();
            let error = CommandError::NotInstalled { program, source };
            assert_eq!(error.not_run(), missing(shown, package));
        }
    }

    #[tokio::test]
    async fn stdin_and_stdout_are_passed_completely() {
        let text = "a line\n".repeat(50_000);
        let out = run("cat", &[], &text, &OwnPids::default()).await.unwrap();
        assert_eq!(out, text.as_bytes());
    }
}
