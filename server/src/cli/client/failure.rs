//! Why a command failed, and the exit code that says so to scripts.

use crate::start_error::StartError;
use serde_json::Value;
use std::{error::Error, fmt, process::ExitCode};

/// What the exit codes mean, for `--help` and the man pages.
pub(crate) const EXIT_CODES: [(u8, &str); 7] = [
    (0, "done"),
    (Exit::Failed as u8, "refused or failed"),
    (
        Exit::Usage as u8,
        "the command line or the configuration is invalid",
    ),
    (Exit::NotFound as u8, "there is no such object"),
    (
        Exit::NotPermitted as u8,
        "not permitted, or the token is not valid",
    ),
    (Exit::Unreachable as u8, "the server cannot be reached"),
    (Exit::NotYetInForce as u8, "saved and not yet in force"),
];

/// Returns what the exit codes mean, for the end of `--help`.
pub(crate) fn exit_codes() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("  {code}  {meaning}"));
    format!("Exit codes:\n{}", codes.join("\n"))
}

/// The exit code of each kind of end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    NotPermitted = 4,
    Unreachable = 5,
    NotYetInForce = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The API refused.
    Refused(Problem),
    /// Nothing answers there.
    Unreachable {
        /// The server, as the person calls it.
        server: String,
        reason: String,
    },
    /// The socket is closed to this user.
    Closed { path: String },
    /// What answered is not the API.
    Nonsense { server: String, reason: String },
    /// An argument is missing or wrong, in a way that only the command knows.
    Usage(String),
    /// There is no such object, as the command found out.
    NotFound(String),
    /// The command failed.
    Failed(String),
    /// What was asked for is saved, and will be done.
    NotYetInForce(String),
    /// The database could not be used in place of the server.
    Start(StartError),
}

/// A refusal of the API (RFC 9457).
#[derive(Debug)]
pub(crate) struct Problem {
    pub status: u16,
    /// What happened, for programs.
    message: String,
    pub detail: String,
}

impl Problem {
    /// Reads a problem document.
    pub fn read(status: u16, body: &Value) -> Option<Self> {
        // What has no code is another program's.
        body.get("code").and_then(Value::as_str)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            status,
            message: text("message").unwrap_or_default(),
            detail: text("detail")?,
        })
    }
}

impl CallError {
    /// Returns the exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(p) => match p.status {
                401 | 403 => Exit::NotPermitted,
                404 => Exit::NotFound,
                421 => Exit::Unreachable,
                _ => Exit::Failed,
            },
            Self::Unreachable { .. } | Self::Nonsense { .. } => Exit::Unreachable,
            Self::Closed { .. } => Exit::NotPermitted,
            Self::Usage(_) => Exit::Usage,
            Self::NotFound(_) => Exit::NotFound,
            Self::Failed(_) | Self::Start(_) => Exit::Failed,
            Self::NotYetInForce(_) => Exit::NotYetInForce,
        }
    }

    /// Says of what there is not what was looked for; the API says that there is nothing.
    pub fn or_unknown(self, text: impl FnOnce() -> String) -> Self {
        match self {
            Self::Refused(p) if p.message == "not-found" => Self::NotFound(text()),
            other => other,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(p) => f.write_str(&p.detail),
            Self::Unreachable { server, reason } => {
                write!(f, "{server} cannot be reached: {reason}")
            }
            Self::Closed { path } => write!(
                f,
                "this needs root, or membership of the group that the setting cli_group names: {path} is closed to you"
            ),
            Self::Nonsense { server, reason } => {
                write!(
                    f,
                    "{server} does not answer as MalikNode's API does: {reason}"
                )
            }
            Self::Usage(text)
            | Self::NotFound(text)
            | Self::Failed(text)
            | Self::NotYetInForce(text) => f.write_str(text),
            Self::Start(e) => e.fmt(f),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Start(e) => e.source(),
            _ => None,
        }
    }
}

impl From<StartError> for CallError {
    fn from(e: StartError) -> Self {
        match e {
            StartError::Usage(text) => Self::Usage(text),
            e => Self::Start(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_exit_code_of_its_status() {
        let exit = |status| {
            let body = serde_json::json!({ "code": "x", "detail": "Why." });
            let error = CallError::Refused(Problem::read(status, &body).unwrap());
            assert_eq!(error.to_string(), "Why.");
            error.exit()
        };
        for (status, expected) in [
            (400, Exit::Failed),
            (401, Exit::NotPermitted),
            (403, Exit::NotPermitted),
            (404, Exit::NotFound),
            (409, Exit::Failed),
            (412, Exit::Failed),
            (421, Exit::Unreachable),
            (429, Exit::Failed),
            (503, Exit::Failed),
        ] {
            assert_eq!(exit(status), expected, "{status}");
        }
        for document in ["null", "[]", "{}", "{\"code\":1,\"detail\":\"x\"}"] {
            let body = serde_json::from_str(document).unwrap();
            assert!(Problem::read(400, &body).is_none(), "{document}");
        }
    }

    #[test]
    fn exit_codes_are_counted_from_0() {
        let codes: Vec<u8> = EXIT_CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6]);
        assert!(exit_codes().contains("\n  6  saved and not yet in force"));
    }
}
