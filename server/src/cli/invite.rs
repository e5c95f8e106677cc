//! `maliknode invite create`, `… list` and `… revoke ID`: invitations to sign up.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum InviteCommand {
    /// Make invitations, and print their links this once, a line each
    Create {
        /// The plan that a tenant gets, also a hidden one; without it, the visitor chooses a
        /// visible one
        #[arg(long, value_name = "ID")]
        plan: Option<String>,
        /// How many tenants may sign up with each, 1 to 10,000
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// For how many hours they are valid, 1 to 8,760
        #[arg(long, value_name = "HOURS", default_value_t = 168)]
        hours: u32,
        /// A note for the operators, of at most 200 characters
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// How many invitations to make, 1 to 1,000
        #[arg(long, value_name = "N", default_value_t = 1)]
        count: u32,
    },
    /// Print the invitations, the newest first, without their links
    List {
        /// The most that are printed
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Revoke an invitation: no further tenant signs up with it
    Revoke {
        /// The invitation's id in `maliknode invite list`
        id: i64,
    },
}

impl ApiCommand for InviteCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::Create {
                plan,
                uses,
                hours,
                note,
                count,
            } => {
                let new = json!({
                    "plan": plan, "uses": uses, "hours": hours, "note": note, "count": count,
                });
                let call = client.post(&["operator", "invitations"]).json(new);
                let made = call.object().await?;
                let links = made["items"].as_array().into_iter().flatten();
                let links: Vec<_> = links.map(|made| text(&made["link"])).collect();
                out.say(&made, &links.join("\n"));
                if !out.is_json() {
                    eprintln!("What is printed is shown this once.");
                }
                Ok(())
            }
            Self::List { limit } => {
                let call = client.get(&["operator", "invitations"]);
                let items = call.items(*limit).await?;
                let left = |i: &Value| {
                    let number = |member: &str| i[member].as_u64().unwrap_or_default();
                    let left = number("uses").saturating_sub(number("used"));
                    format!("{left} of {}", number("uses"))
                };
                let plan = |i: &Value| match &i["plan"] {
                    Value::Null => "any".to_owned(),
                    plan => text(plan),
                };
                let columns = [
                    Column::number("ID", "id"),
                    Column::text("STATE", "state"),
                    Column::of("USES LEFT", left).right(),
                    Column::of("PLAN", plan),
                    Column::date("VALID UNTIL", "expires_at"),
                    Column::text("BY", "created_by"),
                    Column::text("NOTE", "note"),
                ];
                out.table(&items, &columns, "There is no invitation.");
                Ok(())
            }
            Self::Revoke { id } => {
                let path = ["operator", "invitations", &id.to_string(), "revoke"];
                let revoked = client.post(&path).object().await?;
                out.say(&revoked, &format!("The invitation {id} is revoked."));
                Ok(())
            }
        }
    }
}
