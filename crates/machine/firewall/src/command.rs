//! Runs `nft` and `iptables` with argument arrays, text on stdin and a timeout,
//! and translates their errors into messages.

use crate::own_pids::OwnPids;
use domain::{ErrorCode, Message};
use provisioning::ports::PortError;
use std::{io, path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// The longest time a command may take; loading a thousand tenants takes a
/// fraction of it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The reason a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{program} is not installed")]
    NotInstalled {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} could not be run")]
    NotStarted {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} did not end within {} s", TIMEOUT.as_secs())]
    TimedOut { program: &'static str },
    #[error("{program} failed: {stderr}")]
    Failed {
        program: &'static str,
        stderr: String,
    },
}

/// Runs a program to its end with text on its stdin and returns its stdout. Its
/// process id is recorded first, so that its changes count as our own.
pub(crate) async fn run(
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

/// Returns the path of a program. Both programs are in /usr/sbin, which is not in
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
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Failed { stderr, .. } if stderr.contains("No such file or directory"))
    }

    /// Converts the error into one with a message that says what to do.
    pub(crate) fn explain(self) -> PortError {
        let message = match &self {
            Self::NotInstalled { program: "nft", .. } => Message::ProgramMissing {
                program: "nftables".to_owned(),
                package: "nftables".to_owned(),
            },
            Self::NotInstalled { program, .. } => Message::ProgramMissing {
                program: (*program).to_owned(),
                package: (*program).to_owned(),
            },
            Self::NotStarted { program, .. } => Message::ProgramNotRun {
                program: (*program).to_owned(),
            },
            Self::TimedOut { program } => Message::ProgramTimedOut {
                program: (*program).to_owned(),
                seconds: TIMEOUT.as_secs(),
            },
            Self::Failed { program, stderr } => {
                let contains_any = |any: &[&str]| any.iter().any(|text| stderr.contains(text));
                if contains_any(&["not permitted", "Permission denied", "must be root"]) {
                    Message::FirewallNotPermitted
                } else if self.is_not_found()
                    || contains_any(&["File exists", "Device or resource busy"])
                {
                    Message::FirewallContended
                } else if contains_any(&["not supported", "Unable to initialize Netlink socket"]) {
                    Message::FirewallUnsupported
                } else {
                    Message::FirewallRulesRefused {
                        program: (*program).to_owned(),
                    }
                }
            }
        };
        PortError::because(ErrorCode::FirewallUnavailable, message, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failure_message(program: &'static str, args: &[&str]) -> Message {
        let error = run(program, args, "", &OwnPids::default()).await;
        let error = error.unwrap_err().explain();
        assert_eq!(error.code, ErrorCode::FirewallUnavailable);
        assert!(error.cause.is_some());
        error.message
    }

    #[tokio::test]
    async fn a_missing_program_is_named_with_its_package() {
        let missing = |program: &str| Message::ProgramMissing {
            program: program.to_owned(),
            package: program.to_owned(),
        };
        assert_eq!(
            failure_message("maliknode-no-such-program", &[]).await,
            missing("maliknode-no-such-program")
        );
        let nft = CommandError::NotInstalled {
            program: "nft",
            source: io::ErrorKind::NotFound.into(),
        };
        assert_eq!(nft.explain().message, missing("nftables"));
    }

    #[test]
    fn errors_of_programs_are_explained() {
        for (stderr, message) in [
            (
                "Operation not permitted (you must be root)",
                Message::FirewallNotPermitted,
            ),
            (
                "iptables v1.8.9 (nf_tables): Permission denied (you must be root)",
                Message::FirewallNotPermitted,
            ),
            (
                "Error: Could not process rule: No such file or directory",
                Message::FirewallContended,
            ),
            (
                "Error: Could not process rule: Operation not supported",
                Message::FirewallUnsupported,
            ),
            (
                "Error: syntax error, unexpected '}'",
                Message::FirewallRulesRefused {
                    program: "nft".to_owned(),
                },
            ),
        ] {
            let failed = CommandError::Failed {
                program: "nft",
                stderr: stderr.to_owned(),
            };
            assert_eq!(failed.explain().message, message, "{stderr}");
        }
    }

    #[tokio::test]
    async fn stdin_and_stdout_are_passed_completely() {
        let text = "a line\n".repeat(50_000);
        let out = run("cat", &[], &text, &OwnPids::default()).await.unwrap();
        assert_eq!(out, text.as_bytes());
    }
}
