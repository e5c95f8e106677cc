//! `maliknode token list`, `… create NAME` and `… revoke ID`: API tokens of a tenant, or of whose
//! token the command is run with.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(super) struct TokenCommands {
    #[command(subcommand)]
    command: TokenCommand,
    /// Whose tokens; without it, those of the holder of --token
    #[arg(
        id = "token.tenant",
        long = "tenant",
        global = true,
        value_name = "NAME"
    )]
    tenant: Option<String>,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Print the API tokens, without their secrets
    List,
    /// Make an API token, and print it this once
    Create {
        /// What it is called
        name: String,
        /// What it may do; read changes nothing and reads no secrets
        #[arg(long, default_value = "read")]
        access: Access,
        /// For how many days it is valid, 1 to 3,650
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: u32,
    },
    /// Delete an API token: it is refused from then on
    Revoke {
        /// The token's id in `maliknode token list`
        id: String,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Access {
    Read,
    Write,
}

impl ApiCommand for TokenCommands {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let tenant = self.tenant.as_deref();
        match &self.command {
            TokenCommand::List => {
                let tokens = client.get(&["tokens"]).tenant(tenant).list().await?;
                let columns = [
                    Column::text("ID", "id"),
                    Column::text("NAME", "name"),
                    Column::text("ACCESS", "access"),
                    Column::date("EXPIRES", "expires_at"),
                    Column::date("LAST USED", "last_used_at"),
                ];
                out.table(&tokens, &columns, "There is no API token.");
                Ok(())
            }
            TokenCommand::Create { name, access, days } => {
                let access = match access {
                    Access::Read => "read",
                    Access::Write => "write",
                };
                let new = json!({ "name": name, "access": access, "days": days });
                let call = client.post(&["tokens"]).tenant(tenant);
                let made = call.json(new).object().await?;
                out.say(&made, &text(&made["secret"]));
                if !out.is_json() {
                    eprintln!("It is shown this once. Its id is {}.", text(&made["id"]));
                }
                Ok(())
            }
            TokenCommand::Revoke { id } => {
                let call = client.delete(&["tokens", id]).tenant(tenant);
                let unknown =
                    || format!("there is no token {id}; `maliknode token list` shows all");
                call.send().await.map_err(|e| e.or_unknown(unknown))?;
                out.done(&format!("The token {id} is refused from now on."));
                Ok(())
            }
        }
    }
}
