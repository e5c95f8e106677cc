//! The command line. Each command with arguments or a job of its own is a file here. Those that
//! read or change what is in the database are calls of the API ([`client`]); the others are
//! about this machine. The exit codes are at [`client::exit_codes`].

mod account;
mod api_command;
mod audit;
mod calls;
mod client;
mod config_file;
mod database;
mod database_move;
mod device;
mod device_text;
mod dns;
mod doctor;
mod events;
mod export;
mod firewall;
mod follow;
mod invite;
mod mail;
mod manual;
mod moves;
mod new_tenant;
mod node;
mod operator;
mod output;
mod plan;
mod quantity;
mod report;
mod seal_key;
mod secret_file;
mod sign_up;
mod status;
mod tenant;
mod token;
mod traffic;
mod wg_userspace;
mod worker;

use crate::{
    config::{Config, Flags, LogFormat},
    serve,
};
use calls::CallCommand;
use clap::{CommandFactory, Parser, Subcommand};
use client::{Exit, exit_codes};
use report::{LOG_FILTER, exit_code, failure, start_log};
use std::process::ExitCode;

/// A private network with WireGuard and AdGuard Home for every tenant.
///
/// Every option can also be set in the environment (MALIKNODE_…) and in
/// <root>/central_api/config.toml or config.json; a flag overrides the
/// environment, and the environment overrides the file. MALIKNODE_LOG sets what
/// is logged, e.g. MALIKNODE_LOG=debug.
#[derive(Parser)]
#[command(name = "maliknode", version, max_term_width = 100, after_long_help = exit_codes())]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Call(CallCommand),
    #[command(flatten)]
    Here(LocalCommand),
}

/// The commands about this machine.
#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Serve the web, and run this machine's tunnels and DNS filters
    Serve,
    /// Check everything that can be wrong on this machine, with a fix for each problem
    Doctor(doctor::Arguments),
    /// Print the configuration in force, without secrets
    Config,
    /// Put the firewall table in force without tenants, where it is not: for the boot,
    /// before Docker starts containers (deploy/maliknode-firewall.service)
    Firewall,
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
    /// Change the key of what is sealed in the database
    SealKey {
        #[command(subcommand)]
        command: seal_key::SealKeyCommand,
    },
    /// Print what a shell needs to complete commands and options
    Completions(manual::Completions),
    /// Write the man pages of all commands into a folder
    Man(manual::Arguments),
    /// Run the userspace WireGuard; `serve` starts it where it is needed
    WgUserspace(wg_userspace::Arguments),
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { command, flags } = cli;
    // It needs no configuration, has a runtime of its own, and must start
    // whatever else is wrong.
    match &command {
        Command::Here(LocalCommand::WgUserspace(arguments)) => {
            start_log(wg_userspace::LOG_FILTER, LogFormat::Text);
            return exit_code(wg_userspace::run(arguments));
        }
        Command::Here(LocalCommand::Completions(arguments)) => {
            manual::print_completions(Cli::command(), arguments);
            return ExitCode::SUCCESS;
        }
        Command::Here(LocalCommand::Man(arguments)) => {
            return exit_code(manual::write(Cli::command(), arguments));
        }
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return failure(&e),
    };
    let code = runtime.block_on(async {
        match command {
            Command::Call(command) => {
                start_log(LOG_FILTER, LogFormat::Text);
                command.run(&flags).await
            }
            Command::Here(LocalCommand::Worker { command }) => worker::run(command, &flags).await,
            Command::Here(command) => run_here(command, &flags).await,
        }
    });
    // A blocking call that hangs must not keep the process alive.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// Runs a command about this machine.
async fn run_here(command: LocalCommand, flags: &Flags) -> ExitCode {
    let config = match Config::load(flags) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("maliknode: {e}");
            return Exit::Usage.into();
        }
    };
    start_log(LOG_FILTER, config.log_format);
    match command {
        LocalCommand::Serve => exit_code(serve::serve(config).await),
        LocalCommand::Doctor(arguments) => doctor::run(&config, &arguments).await,
        LocalCommand::Config => {
            print!("{}", config.to_toml());
            ExitCode::SUCCESS
        }
        LocalCommand::Firewall => exit_code(firewall::run(&config).await),
        LocalCommand::Database { command } => {
            exit_code(database_move::run(&config, flags, &command).await)
        }
        LocalCommand::SealKey { command } => exit_code(seal_key::run(&config, &command).await),
        // Handled before: they need no configuration, or read it by themselves.
        LocalCommand::Worker { .. }
        | LocalCommand::Completions(_)
        | LocalCommand::Man(_)
        | LocalCommand::WgUserspace(_) => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
