//! `maliknode account passkey …`, `… totp …` and `… recovery-codes`: what a sign-in needs beside
//! the password, or in place of it.

use crate::cli::{
    client::{CallError, Client},
    output::{Column, Output, text},
};
use clap::Subcommand;
use serde_json::json;

/// The commands of passkeys. To add one needs the browser that keeps it.
#[derive(Debug, Subcommand)]
pub(crate) enum PasskeyCommand {
    /// Print the passkeys
    List,
    /// Give a passkey another name
    Rename {
        /// The passkey's id in `maliknode account passkey list`
        id: String,
        /// What it is called from now on
        name: String,
    },
    /// Remove a passkey: it signs in no more
    Remove {
        /// The passkey's id in `maliknode account passkey list`
        id: String,
    },
}

fn unknown(id: &str) -> String {
    format!("there is no passkey {id}; `maliknode account passkey list` shows all")
}

impl PasskeyCommand {
    /// Runs a command.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::List => {
                let passkeys = client.get(&["account", "passkeys"]).list().await?;
                let columns = [
                    Column::text("ID", "id"),
                    Column::text("NAME", "name"),
                    Column::date("SINCE", "added_at"),
                    Column::date("LAST USED", "used_at"),
                ];
                out.table(&passkeys, &columns, "There is no passkey.");
                Ok(())
            }
            Self::Rename { id, name } => {
                let call = client.patch(&["account", "passkeys", id]);
                let call = call.json(json!({ "name": name })).send().await;
                call.map_err(|e| e.or_unknown(|| unknown(id)))?;
                out.done(&format!("The passkey is called {name}."));
                Ok(())
            }
            Self::Remove { id } => {
                let call = client.delete(&["account", "passkeys", id]).send().await;
                call.map_err(|e| e.or_unknown(|| unknown(id)))?;
                out.done("The passkey is removed.");
                Ok(())
            }
        }
    }
}

/// The commands of the authenticator app.
#[derive(Debug, Subcommand)]
pub(crate) enum TotpCommand {
    /// Make a secret for an authenticator app, and print it: `confirm` puts it in force
    Begin,
    /// Let sign-ins need the app's codes from now on
    Confirm {
        /// The code that the app shows
        code: String,
    },
    /// Let sign-ins need no codes of an app
    Remove,
}

impl TotpCommand {
    /// Runs a command.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let path = ["account", "totp"];
        match self {
            Self::Begin => {
                let begun = client.post(&path).object().await?;
                out.say(&begun, &text(&begun["uri"]));
                if !out.is_json() {
                    eprintln!(
                        "The app takes this address. It is in force once a code is confirmed."
                    );
                }
                Ok(())
            }
            Self::Confirm { code } => {
                client
                    .put(&path)
                    .json(json!({ "code": code }))
                    .send()
                    .await?;
                out.done("A sign-in needs a code of the app from now on.");
                Ok(())
            }
            Self::Remove => {
                client.delete(&path).send().await?;
                out.done("A sign-in needs no code of an app from now on.");
                Ok(())
            }
        }
    }
}

/// Makes recovery codes and prints them.
///
/// # Errors
/// The API refuses.
pub(super) async fn make_codes(client: &Client, out: Output) -> Result<(), CallError> {
    let made = client.post(&["account", "recovery-codes"]).object().await?;
    let codes = made["codes"].as_array().into_iter().flatten();
    let lines: Vec<String> = codes.map(text).collect();
    out.say(&made, &lines.join("\n"));
    if !out.is_json() {
        eprintln!("Each replaces the password once. They are shown this once.");
    }
    Ok(())
}
