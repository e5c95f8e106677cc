//! `maliknode doctor [--json]`.

use crate::{config::Config, doctor};
use std::{io::IsTerminal, process::ExitCode};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the report. Fails where a check found a problem.
pub(super) async fn run(config: &Config, arguments: &Arguments) -> ExitCode {
    let report = doctor::examine(config).await;
    let text = if arguments.json {
        report.json()
    } else {
        report.text(std::io::stdout().is_terminal())
    };
    print!("{text}");
    if report.is_healthy() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
