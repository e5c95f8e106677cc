//! `maliknode sign-up show` and `… set MODE`: who may sign up. `maliknode reserved list`,
//! `… add NAME …` and `… remove NAME`: names that no tenant may have.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
};
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum SignUpCommand {
    /// Print who may sign up, and where that is set
    Show,
    /// Set who may sign up, with the next request
    Set {
        /// Who may
        mode: Mode,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Mode {
    /// Every visitor
    Open,
    /// A visitor with an invitation
    Invite,
    /// No visitor
    Closed,
    /// What `sign_up` in the configuration says, now and later
    Configured,
}

impl ApiCommand for SignUpCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let path = ["operator", "sign-up"];
        let call = match self {
            Self::Show => client.get(&path),
            Self::Set { mode } => {
                let mode = match mode {
                    Mode::Open => json!("open"),
                    Mode::Invite => json!("invite"),
                    Mode::Closed => json!("closed"),
                    Mode::Configured => Value::Null,
                };
                client.put(&path).json(json!({ "mode": mode }))
            }
        };
        let setting = call.object().await?;
        let mode = text(&setting["mode"]);
        let said = match setting["set"].as_bool() {
            Some(true) => format!(
                "Sign-ups: {mode}. An operator has set it; the configuration says {}.",
                text(&setting["configured"])
            ),
            _ => format!("Sign-ups: {mode}. The configuration says so."),
        };
        out.say(&setting, &said);
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum ReservedCommand {
    /// Print the names that operators have reserved
    List,
    /// Reserve names: no further tenant signs up with one
    Add {
        /// The names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Release a reserved name
    Remove {
        /// The name
        name: String,
    },
}

impl ApiCommand for ReservedCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let path = ["operator", "reserved-names"];
        match self {
            Self::List => {
                let names = client.get(&path).list().await?;
                let columns = [
                    Column::text("NAME", "name"),
                    Column::text("BY", "added_by"),
                    Column::date("SINCE", "added_at"),
                ];
                out.table(
                    &names,
                    &columns,
                    "No name is reserved beside the program's own.",
                );
                Ok(())
            }
            Self::Add { names } => {
                let call = client.post(&path).json(json!({ "names": names }));
                let added = call.object().await?;
                let count = text(&added["added"]);
                out.say(&added, &format!("{count} more reserved."));
                Ok(())
            }
            Self::Remove { name } => {
                client.delete(&[path[0], path[1], name]).send().await?;
                out.done(&format!("{name} is not reserved any more."));
                Ok(())
            }
        }
    }
}
