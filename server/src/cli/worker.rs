//! `maliknode worker token [--for NAME]` on the control plane, and on the other machine
//! `maliknode worker join TOKEN` and `maliknode worker run`.

use super::database::core;
use crate::{
    config::Config,
    start_error::StartError,
    worker::{self, JoinArguments},
};
use app::ui::format;
use clap::Subcommand;
use domain::Secret;
use std::convert::Infallible;

#[derive(Debug, Subcommand)]
pub(super) enum WorkerCommand {
    /// Print the command by which another machine becomes a worker of this installation.
    /// It works once, for an hour
    Token {
        /// Let the machine of this worker join again: its key was lost, or it was revoked
        #[arg(long = "for", value_name = "NAME")]
        node: Option<String>,
    },
    /// Make this machine a worker of the installation that the token is from
    Join {
        /// What `maliknode worker token` printed on the control plane
        #[arg(value_parser = parse_secret)]
        token: Secret,
        /// A control plane's address for workers; several are tried in turn
        #[arg(long, required = true, value_name = "https://HOST:PORT")]
        to: Vec<String>,
        /// What the machine is called in the installation [default: its host name]
        #[arg(long)]
        name: Option<String>,
        /// The host or address that devices connect to by WireGuard [default: as --public-host]
        #[arg(long, value_name = "PUBLIC_HOST")]
        host: Option<String>,
    },
    /// Run this machine's tunnels and DNS filters as the control plane says
    Run,
}

pub(super) async fn run(config: Config, command: WorkerCommand) -> Result<(), StartError> {
    match command {
        WorkerCommand::Token { node } => token(&config, node.as_deref()).await,
        WorkerCommand::Join {
            token,
            to,
            name,
            host,
        } => {
            let arguments = JoinArguments {
                token,
                to,
                name,
                host,
            };
            worker::join(&config, arguments).await
        }
        WorkerCommand::Run => worker::run(config).await,
    }
}

/// Prints the command alone, for scripts; what it is for is said beside it.
///
/// # Errors
/// SQLite, no address for workers, no such worker, no database.
async fn token(config: &Config, node: Option<&str>) -> Result<(), StartError> {
    let (store, control) = core(config).await?;
    let operator = control.auth().command_line_operator();
    let nodes = control.nodes();
    let node = match node {
        Some(name) => Some(nodes.find(&operator, name).await?.id),
        None => None,
    };
    let join = nodes.create_token(&operator, node).await?;
    store.close().await;
    println!("{}", join.command.expose());
    eprintln!(
        "Run this as root on the machine, until {}. It works once; the machine has to reach {}.",
        format::exact(join.expires),
        join.address
    );
    Ok(())
}

fn parse_secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
