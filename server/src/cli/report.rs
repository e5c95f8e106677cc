//! The log of a command, and how one that failed says so.

use super::output::plain_lines;
use crate::config::LogFormat;
use std::{error::Error, io::IsTerminal, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// The log filter unless `MALIKNODE_LOG` sets another. tower-sessions warns of
/// every old cookie.
pub(super) const LOG_FILTER: &str =
    "info,netlink_proto=warn,sqlx=warn,tower_sessions=error,tower_sessions_core=error";

/// Returns the exit code of a command about this machine, and prints why it failed.
pub(super) fn exit_code<E: Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failure(&e),
    }
}

/// Prints the error's message and, below it, the messages of its causes.
pub(super) fn failure(e: &dyn Error) -> ExitCode {
    eprintln!("maliknode: {}", plain_lines(&e.to_string()));
    let mut cause = e.source();
    while let Some(e) = cause {
        eprintln!("  because: {}", plain_lines(&e.to_string()));
        cause = e.source();
    }
    ExitCode::FAILURE
}

/// Writes the log to standard error from here on.
pub(super) fn start_log(default_filter: &str, format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("MALIKNODE_LOG").or_else(|_| EnvFilter::try_from_default_env());
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(default_filter));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where a subscriber is set already.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
