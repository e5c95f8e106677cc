//! Running `nft` and `iptables`: argument arrays, text on stdin, bounded
//! waiting. Their words become sentences here.

use crate::netlink::OwnChanges;
use domain::ErrorCode;
use provisioning::ports::PortError;
use std::{io, path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// How long a command may take; a thousand tenants load in a fraction of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command that did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{program} is not installed")]
    Missing {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} could not be run")]
    Broken {
        program: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} did not end within {} s", PATIENCE.as_secs())]
    Late { program: &'static str },
    #[error("{program} failed: {words}")]
    Failed {
        program: &'static str,
        words: String,
    },
}

/// Runs a program with text on its stdin to its end, and gives its stdout.
/// Its process id is noted first, so that its changes count as ours.
pub(crate) async fn run(
    program: &'static str,
    args: &[&str],
    input: &str,
    own: &OwnChanges,
) -> Result<Vec<u8>, CommandError> {
    let broken = |source| CommandError::Broken { program, source };
    let mut child = Command::new(find(program))
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CommandError::Missing { program, source },
            _ => CommandError::Broken { program, source },
        })?;
    if let Some(id) = child.id() {
        own.note(id);
    }
    let stdin = child.stdin.take();
    let work = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // One that ended early says why on stderr; a broken pipe does not.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(feed, child.wait_with_output()).1
    };
    let output = timeout(PATIENCE, work)
        .await
        .map_err(|_| CommandError::Late { program })?
        .map_err(broken)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Failed {
        program,
        words: words.trim().chars().take(2000).collect(),
    })
}

/// Where a program is. Both live in /usr/sbin, which the PATH of a plain user
/// does not hold. A path rather than a name with a PATH of its own, because the
/// standard library then uses posix_spawn(3), which does not copy this
/// process's page tables as fork(2) does. What is nowhere keeps its name: the
/// attempt to run it says so.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| program.into())
}

impl CommandError {
    /// Whether what was named is not there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Failed { words, .. } if words.contains("No such file or directory"))
    }

    /// In words for people, with what to do.
    pub(crate) fn explain(self) -> PortError {
        let sentence = match &self {
            Self::Missing { program: "nft", .. } => {
                "nftables is not installed: apt-get install nftables".to_owned()
            }
            Self::Missing { program, .. } => {
                format!("{program} is not installed: apt-get install {program}")
            }
            Self::Broken { program, .. } => format!("{program} could not be run"),
            Self::Late { program } => format!(
                "{program} did not end within {} s; it is tried again",
                PATIENCE.as_secs()
            ),
            Self::Failed { program, words } => {
                let says = |what: &[&str]| what.iter().any(|w| words.contains(w));
                if says(&["not permitted", "Permission denied", "must be root"]) {
                    "MalikNode may not change the firewall: run it as root or with CAP_NET_ADMIN"
                        .to_owned()
                } else if self.is_absence() || says(&["File exists", "Device or resource busy"]) {
                    "another program changed MalikNode's firewall table; it is read again and mended"
                        .to_owned()
                } else if says(&["not supported", "Unable to initialize Netlink socket"]) {
                    "this kernel lacks nf_tables or a part of it: a kernel from 5.10 on with nf_tables is needed"
                        .to_owned()
                } else {
                    format!("{program} refused MalikNode's firewall rules")
                }
            }
        };
        PortError::because(ErrorCode::FirewallUnavailable, sentence, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sentence(program: &'static str, args: &[&str]) -> String {
        let error = run(program, args, "", &OwnChanges::default()).await;
        let error = error.unwrap_err().explain();
        assert_eq!(error.code, ErrorCode::FirewallUnavailable);
        assert!(error.cause.is_some());
        error.sentence
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named_with_its_package() {
        assert_eq!(
            sentence("maliknode-no-such-program", &[]).await,
            "maliknode-no-such-program is not installed: apt-get install maliknode-no-such-program"
        );
        let missing = CommandError::Missing {
            program: "nft",
            source: io::ErrorKind::NotFound.into(),
        };
        assert_eq!(
            missing.explain().sentence,
            "nftables is not installed: apt-get install nftables"
        );
    }

    #[test]
    fn what_the_programs_say_becomes_a_sentence() {
        for (words, part) in [
            ("Operation not permitted (you must be root)", "as root"),
            (
                "iptables v1.8.9 (nf_tables): Permission denied (you must be root)",
                "as root",
            ),
            (
                "Error: Could not process rule: No such file or directory",
                "another program",
            ),
            (
                "Error: Could not process rule: Operation not supported",
                "this kernel lacks",
            ),
            ("Error: syntax error, unexpected '}'", "refused"),
        ] {
            let failed = CommandError::Failed {
                program: "nft",
                words: words.to_owned(),
            };
            let sentence = failed.explain().sentence;
            assert!(sentence.contains(part), "{words}: {sentence}");
        }
    }

    #[tokio::test]
    async fn input_reaches_the_program_and_output_comes_back() {
        let text = "a line\n".repeat(50_000);
        let out = run("cat", &[], &text, &OwnChanges::default())
            .await
            .unwrap();
        assert_eq!(out, text.as_bytes());
    }
}
