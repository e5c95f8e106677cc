//! `maliknode operator reset NAME`.

use super::database::core;
use crate::{config::Config, start_error::StartError};
use clap::Subcommand;
use domain::Secret;

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Give an operator a new password and print it
    Reset {
        /// The operator's name; the first operator is admin
        name: String,
    },
}

pub(super) async fn run(config: &Config, command: &OperatorCommand) -> Result<(), StartError> {
    match command {
        OperatorCommand::Reset { name } => reset(config, name).await,
    }
}

/// # Errors
/// No such operator, or no database.
async fn reset(config: &Config, name: &str) -> Result<(), StartError> {
    let (store, control) = core(config).await?;
    // A database that was never served has no operator yet; the first one is
    // created then, with a new password.
    let created = control.operators().ensure_first().await?;
    let password: Secret = match created {
        Some((first, password)) if first == name => password,
        _ => control.operators().reset(name).await?,
    };
    println!(
        "{}   name {name}   password {}",
        config.url("admin"),
        password.expose()
    );
    store.close().await;
    Ok(())
}
