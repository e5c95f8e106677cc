//! The command line. Exit codes: 0 success, 1 the command failed or the doctor
//! found a problem, 2 the command line or the configuration is invalid.
//!
//! Each command with arguments or a job of its own is a file here. The commands
//! that change data work on the database beside a running server, which notices
//! within 10 seconds.

mod database;
mod database_move;
mod doctor;
mod events;
mod firewall;
mod moves;
mod node;
mod operator;
mod tenant;
mod wg_userspace;
mod worker;

use crate::{
    config::{Config, Flags},
    serve,
};
use clap::{Parser, Subcommand};
use std::{error::Error, io::IsTerminal, process::ExitCode};
use tracing_subscriber::EnvFilter;

/// The log filter unless `MALIKNODE_LOG` sets another. tower-sessions warns of
/// every old cookie.
const LOG_FILTER: &str =
    "info,netlink_proto=warn,sqlx=warn,tower_sessions=error,tower_sessions_core=error";

/// A private network with WireGuard and AdGuard Home for every tenant.
///
/// Every option can also be set in the environment (MALIKNODE_…) and in
/// <root>/central_api/config.toml or config.json; a flag overrides the
/// environment, and the environment overrides the file. MALIKNODE_LOG sets what
/// is logged, e.g. MALIKNODE_LOG=debug.
#[derive(Parser)]
#[command(name = "maliknode", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the web, and run this machine's tunnels and DNS filters
    Serve,
    /// Check everything that can be wrong on this machine, with a fix for each problem
    Doctor(doctor::Arguments),
    /// Print the configuration in force, without secrets
    Config,
    /// Put the firewall table in force without tenants, where it is not: for the boot,
    /// before Docker starts containers (deploy/maliknode-firewall.service)
    Firewall,
    /// Manage the operators' accounts
    Operator {
        #[command(subcommand)]
        command: operator::OperatorCommand,
    },
    /// Print the event log: failures, recoveries and external changes
    Events(events::Arguments),
    /// Manage the tenants
    Tenant {
        #[command(subcommand)]
        command: tenant::TenantCommand,
    },
    /// Manage the nodes: the machines that hold tenants
    Node {
        #[command(subcommand)]
        command: node::NodeCommand,
    },
    /// Workers: machines that hold tunnels and DNS filters for a control plane on another one
    Worker {
        #[command(subcommand)]
        command: worker::WorkerCommand,
    },
    /// Move the database from SQLite to PostgreSQL
    Database {
        #[command(subcommand)]
        command: database_move::DatabaseCommand,
    },
    /// Run the userspace WireGuard; `serve` starts it where it is needed
    WgUserspace(wg_userspace::Arguments),
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { command, flags } = cli;
    // It needs no configuration, has a runtime of its own, and must start
    // whatever else is wrong.
    if let Command::WgUserspace(arguments) = &command {
        start_log(wg_userspace::LOG_FILTER);
        return exit_code(wg_userspace::run(arguments));
    }
    start_log(LOG_FILTER);
    let config = match Config::load(&flags) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("maliknode: {e}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return failure(&e),
    };
    let code = runtime.block_on(async {
        match command {
            Command::Serve => exit_code(serve::serve(config).await),
            Command::Doctor(arguments) => doctor::run(&config, &arguments).await,
            Command::Config => {
                print!("{}", config.to_toml());
                ExitCode::SUCCESS
            }
            Command::Firewall => exit_code(firewall::run(&config).await),
            Command::Operator { command } => exit_code(operator::run(&config, &command).await),
            Command::Events(arguments) => exit_code(events::run(&config, &arguments).await),
            Command::Tenant { command } => exit_code(tenant::run(&config, &command).await),
            Command::Node { command } => exit_code(node::run(&config, &command).await),
            Command::Database { command } => {
                exit_code(database_move::run(&config, &flags, &command).await)
            }
            Command::Worker { command } => exit_code(worker::run(config, command).await),
            // Handled above, before there was a runtime.
            Command::WgUserspace(_) => ExitCode::SUCCESS,
        }
    });
    // A blocking call that hangs must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

fn exit_code<E: Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failure(&e),
    }
}

/// Prints the error's message and, below it, the messages of its causes.
fn failure(e: &dyn Error) -> ExitCode {
    eprintln!("maliknode: {e}");
    let mut cause = e.source();
    while let Some(e) = cause {
        eprintln!("  because: {e}");
        cause = e.source();
    }
    ExitCode::FAILURE
}

fn start_log(default_filter: &str) {
    let filter =
        EnvFilter::try_from_env("MALIKNODE_LOG").or_else(|_| EnvFilter::try_from_default_env());
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(default_filter));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where a subscriber is set already.
    let _ = log.try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_work_before_and_after_the_command() {
        for args in [
            &[
                "maliknode",
                "serve",
                "--root",
                "/x",
                "--listen",
                "127.0.0.1:1",
            ][..],
            &[
                "maliknode",
                "--root",
                "/x",
                "serve",
                "--listen",
                "127.0.0.1:1",
            ],
        ] {
            let cli = Cli::try_parse_from(args).unwrap();
            let config = Config::load(&cli.flags).unwrap();
            assert_eq!(config.root, std::path::Path::new("/x"));
            assert_eq!(config.listen.to_string(), "127.0.0.1:1");
        }
        assert!(Cli::try_parse_from(["maliknode", "serve", "--lisen", "x"]).is_err());
    }
}
