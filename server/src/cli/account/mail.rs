//! `maliknode account mail show`, `… set ADDRESS`, `… confirm`, `… remove` and `… warnings BOOL`.

use crate::cli::{
    client::{CallError, Client},
    output::{Column, Output},
    secret_file,
};
use clap::{ArgAction, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// The commands of the account's mail address.
#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Print the address
    Show,
    /// Set the address: it holds once the link in the mail to it is confirmed
    Set { address: String },
    /// Confirm the address with the link of the mail
    Confirm {
        /// The file whose first line is the link, or the token in it; - is standard input
        #[arg(long, value_name = "FILE")]
        link_file: PathBuf,
    },
    /// Remove the address
    Remove,
    /// Set whether mail warns before the data of the month is used up
    Warnings {
        #[arg(value_name = "BOOL", action = ArgAction::Set)]
        warn: bool,
    },
}

impl MailCommand {
    /// Runs a command.
    ///
    /// # Errors
    /// The API refuses, or the file cannot be read.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let path = ["account", "mail"];
        match self {
            Self::Show => {
                let mail = client.get(&path).object().await?;
                let fields = [
                    Column::text("address", "address"),
                    Column::text("to be confirmed", "pending"),
                    Column::text("warnings", "quota_warnings"),
                ];
                out.fields(&mail, &fields);
            }
            Self::Set { address } => {
                let call = client.put(&path).json(json!({ "mail": address }));
                call.begins().send().await?;
                out.done(&format!("A mail with a link is on its way to {address}."));
            }
            Self::Confirm { link_file } => {
                let link = secret_file::read("link", link_file)?;
                let token = json!({ "token": secret_file::token_of(&link) });
                client
                    .post(&["auth", "verify-mail"])
                    .json(token)
                    .send()
                    .await?;
                out.done("The address is confirmed.");
            }
            Self::Remove => {
                client.delete(&path).send().await?;
                out.done("There is no address any more.");
            }
            Self::Warnings { warn } => {
                let call = client.put(&["account", "mail", "warnings"]);
                call.json(json!({ "quota_warnings": warn })).send().await?;
                out.done(match warn {
                    true => "Mail warns before the data of the month is used up.",
                    false => "No mail warns before the data of the month is used up.",
                });
            }
        }
        Ok(())
    }

    /// Returns whether it is the account's. The link confirms by itself.
    pub const fn needs_token(&self) -> bool {
        !matches!(self, Self::Confirm { .. })
    }
}
