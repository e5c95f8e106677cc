//! The command line. Exit codes: 0 all well, 1 it did not work or the doctor
//! found something, 2 the command line or the configuration cannot be.

use crate::{
    commands,
    config::{Config, Settings},
    doctor, serve,
};
use clap::{Parser, Subcommand};
use std::{io::IsTerminal, path::PathBuf, process::ExitCode};
use tracing_subscriber::EnvFilter;
use wireguard::userspace;

/// What is logged unless `MALIKNODE_LOG` says otherwise. tower-sessions warns of
/// every old cookie.
const LOG: &str =
    "info,netlink_proto=warn,sqlx=warn,tower_sessions=error,tower_sessions_core=error";

/// A private network with WireGuard and AdGuard Home for every tenant.
///
/// Every option can also be set in the environment (MALIKNODE_…) and in
/// <root>/central_api/config.toml or config.json; a flag goes before the
/// environment, that before the file. MALIKNODE_LOG sets what is logged, e.g.
/// MALIKNODE_LOG=debug.
#[derive(Debug, Parser)]
#[command(name = "maliknode", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: the web, and this machine's tunnels and DNS filters
    Serve,
    /// Check everything that can be wrong; for each, what mends it
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the configuration in force, without secrets
    Config,
    /// The operators' accounts
    Operator {
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// Print the event log: what failed, what works again, what another hand changed
    Events(EventsQuery),
    /// The tenants
    Tenant {
        #[command(subcommand)]
        command: TenantCommand,
    },
    /// The userspace WireGuard; `serve` starts it by itself where it is needed
    WgUserspace {
        /// The socket it is talked to by
        #[arg(long, default_value = userspace::DEFAULT_SOCKET)]
        socket: PathBuf,
    },
}

/// Which events, and how.
#[derive(Debug, clap::Args)]
pub struct EventsQuery {
    /// Only this tenant's
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Only those of the last e.g. 30m, 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub since: Option<std::time::Duration>,
    /// So many at most, the newest; 20,000 are kept, for 90 days
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub limit: u32,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads `30m`, `12h` or `7d`, up to a thousand years.
fn span(text: &str) -> Result<std::time::Duration, String> {
    let each = match text.as_bytes().last() {
        Some(b'm') => 60,
        Some(b'h') => 3_600,
        Some(b'd') => 86_400,
        _ => return Err("say e.g. 30m, 12h or 7d".to_owned()),
    };
    let number = text[..text.len() - 1].parse::<u32>();
    let number = number.map_err(|_| "say e.g. 30m, 12h or 7d".to_owned())?;
    let seconds = u64::from(number) * each;
    if seconds > 365_000 * 86_400 {
        return Err("that is before there were computers".to_owned());
    }
    Ok(std::time::Duration::from_secs(seconds))
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Give an operator a new password and print it
    Reset {
        /// The operator's name; the first one's is admin
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum TenantCommand {
    /// Print all tenants
    List,
    /// Delete a tenant with everything that belongs to it
    Delete {
        /// The tenant's name
        name: String,
        /// Do it; without, only say what would be deleted
        #[arg(long)]
        yes: bool,
    },
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    // No configuration and a runtime of its own: it must come up whatever
    // became of the rest.
    if let Command::WgUserspace { socket } = &cli.command {
        log(userspace::host::LOG_FILTER);
        return match userspace::host::run(socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => failed(&e),
        };
    }
    log(LOG);
    let config = match Config::load(cli.settings) {
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
        Err(e) => return failed(&e),
    };
    let code = runtime.block_on(async {
        match cli.command {
            Command::Serve => done(serve::serve(config).await),
            Command::Doctor { json } => {
                let report = doctor::examine(&config).await;
                print!(
                    "{}",
                    if json {
                        report.json()
                    } else {
                        report.text(std::io::stdout().is_terminal())
                    }
                );
                if report.is_well() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                }
            }
            Command::Config => {
                print!("{}", config.to_toml());
                ExitCode::SUCCESS
            }
            Command::Operator {
                command: OperatorCommand::Reset { name },
            } => done(commands::reset_operator(&config, &name).await),
            Command::Events(query) => done(commands::events(&config, &query).await),
            Command::Tenant {
                command: TenantCommand::List,
            } => done(commands::list_tenants(&config).await),
            Command::Tenant {
                command: TenantCommand::Delete { name, yes },
            } => done(commands::delete_tenant(&config, &name, yes).await),
            // Done above, before there was a runtime.
            Command::WgUserspace { .. } => ExitCode::SUCCESS,
        }
    });
    // A blocking call that hangs must not keep the program.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

fn done<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => failed(&e),
    }
}

/// The sentence for people, and below it what the system said.
fn failed(e: &dyn std::error::Error) -> ExitCode {
    eprintln!("maliknode: {e}");
    let mut cause = e.source();
    while let Some(e) = cause {
        eprintln!("  because: {e}");
        cause = e.source();
    }
    ExitCode::FAILURE
}

fn log(usual: &str) {
    let filter =
        EnvFilter::try_from_env("MALIKNODE_LOG").or_else(|_| EnvFilter::try_from_default_env());
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(usual));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where one is set already.
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
    fn a_span_of_time_is_a_number_with_its_unit() {
        for (text, seconds) in [("30m", 1_800), ("12h", 43_200), ("7d", 604_800), ("0m", 0)] {
            assert_eq!(span(text).map(|d| d.as_secs()), Ok(seconds));
        }
        for text in [
            "",
            "7",
            "d",
            "-1d",
            "1.5h",
            "7 d",
            "99999999999d",
            "365001d",
            "7ü",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_stand_before_and_behind_the_command() {
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
            assert_eq!(cli.settings.root.as_deref(), Some("/x"));
            assert_eq!(cli.settings.listen.as_deref(), Some("127.0.0.1:1"));
        }
        assert!(Cli::try_parse_from(["maliknode", "serve", "--lisen", "x"]).is_err());
    }
}
