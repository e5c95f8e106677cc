//! `maliknode mail list`, `… retry ID`, `… discard ID` and `… test ADDRESS`: the mail that waits, was sent or was
//! given up, and whether mail works.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// Print the mails of the last week and those that wait, the newest first
    List {
        /// The most that are printed
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// Only mails that wait or were given up
        #[arg(long)]
        unsent: bool,
    },
    /// Send a mail again that was given up, or one that waits now
    Retry {
        /// The mail's id in `maliknode mail list`
        id: i64,
    },
    /// Remove a mail that waits or was given up: it is never sent then
    Discard {
        /// The mail's id in `maliknode mail list`
        id: i64,
    },
    /// Send a mail to an address, and print what the mail server said
    Test {
        /// Where to
        address: String,
    },
}

impl ApiCommand for MailCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::List { limit, unsent } => {
                let mut call = client.get(&["operator", "mail"]);
                if *unsent {
                    call = call.query("unsent", "true");
                }
                let items = call.items(*limit).await?;
                let answer = |m: &Value| match &m["answer"] {
                    Value::String(answer) => answer.clone(),
                    _ => String::new(),
                };
                let columns = [
                    Column::number("ID", "id"),
                    Column::text("STATE", "state"),
                    Column::text("KIND", "kind"),
                    Column::text("TO", "recipient"),
                    Column::number("TRIES", "tries"),
                    Column::date("SINCE", "created_at"),
                    Column::date("NEXT TRY", "next_try"),
                    Column::of("THE SERVER SAID", answer),
                ];
                out.table(&items, &columns, "There is no mail.");
                Ok(())
            }
            Self::Retry { id } => {
                let path = ["operator", "mail", &id.to_string(), "retry"];
                client.post(&path).send().await?;
                out.done(&format!("The mail {id} is tried again."));
                Ok(())
            }
            Self::Discard { id } => {
                let path = ["operator", "mail", &id.to_string()];
                client.delete(&path).send().await?;
                out.done(&format!("The mail {id} is removed."));
                Ok(())
            }
            Self::Test { address } => {
                let call = client.post(&["operator", "mail-test"]);
                let sent = call.json(json!({ "mail": address })).object().await?;
                let said = format!("The mail server took it: {}", text(&sent["answer"]));
                out.say(&sent, &said);
                Ok(())
            }
        }
    }
}
