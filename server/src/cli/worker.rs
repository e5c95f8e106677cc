//! `maliknode worker token [--for NAME]` on the control plane, and on the other machine
//! `maliknode worker join TOKEN` and `maliknode worker run`.

use super::{
    api_command::{ApiCommand, Call},
    client::{CallError, Client, Exit},
    node,
    output::{Output, date, text},
    report::{LOG_FILTER, exit_code, start_log},
};
use crate::{
    config::{Config, Flags, LogFormat},
    start_error::StartError,
    worker::{self, JoinArguments},
};
use clap::Subcommand;
use domain::Secret;
use serde_json::{Value, json};
use std::{convert::Infallible, process::ExitCode};

#[derive(Debug, Subcommand)]
pub(super) enum WorkerCommand {
    /// Print the command by which another machine becomes a worker of this installation.
    /// It works once, for an hour
    Token(Call<TokenArguments>),
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

/// Runs a command to its end.
pub(super) async fn run(command: WorkerCommand, flags: &Flags) -> ExitCode {
    match command {
        WorkerCommand::Token(call) => {
            start_log(LOG_FILTER, LogFormat::Text);
            call.run(flags).await
        }
        command => match Config::load(flags) {
            Ok(config) => {
                start_log(LOG_FILTER, config.log_format);
                exit_code(run_here(config, command).await)
            }
            Err(e) => {
                eprintln!("maliknode: {e}");
                Exit::Usage.into()
            }
        },
    }
}

async fn run_here(config: Config, command: WorkerCommand) -> Result<(), StartError> {
    match command {
        // A call of the API, above.
        WorkerCommand::Token(_) => Ok(()),
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

/// For which machine a token is.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArguments {
    /// Let the machine of this worker join again: its key was lost, or it was revoked
    #[arg(long = "for", value_name = "NAME")]
    node: Option<String>,
}

impl ApiCommand for TokenArguments {
    /// Prints the command alone, for scripts; what it is for is said beside it.
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let node = match &self.node {
            Some(name) => node::find(client, name).await?["id"].clone(),
            None => Value::Null,
        };
        let call = client.post(&["operator", "join-tokens"]);
        let join = call.json(json!({ "node": node })).object().await?;
        out.say(&join, &text(&join["command"]));
        eprintln!(
            "Run this as root on the machine, until {}. It works once; the machine has to reach {}.",
            date(&join["expires_at"]),
            text(&join["address"])
        );
        Ok(())
    }
}

fn parse_secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}
