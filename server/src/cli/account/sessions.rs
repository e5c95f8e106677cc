//! `maliknode account session list`, `… end ID` and `… end-others`.

use crate::cli::{
    client::{CallError, Client},
    output::{Column, Output, text},
};
use clap::Subcommand;

/// The commands of sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// Print where the account is signed in
    List,
    /// End a session
    End {
        /// The session's id in `maliknode account session list`
        id: String,
    },
    /// End all sessions but the one of the token
    EndOthers,
}

impl SessionCommand {
    /// Runs a command.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::List => {
                let sessions = client.get(&["account", "sessions"]).list().await?;
                let columns = [
                    Column::text("ID", "id"),
                    Column::text("KIND", "kind"),
                    Column::text("BROWSER", "browser"),
                    Column::text("SYSTEM", "system"),
                    Column::text("ADDRESS", "address"),
                    Column::date("BEGAN", "begun_at"),
                    Column::date("USED", "used_at"),
                    Column::text("THIS ONE", "current"),
                ];
                out.table(&sessions, &columns, "There is no session.");
                Ok(())
            }
            Self::End { id } => {
                let call = client.delete(&["account", "sessions", id]);
                let unknown = || {
                    format!("there is no session {id}; `maliknode account session list` shows all")
                };
                call.send().await.map_err(|e| e.or_unknown(unknown))?;
                out.done("The session is over.");
                Ok(())
            }
            Self::EndOthers => {
                let call = client.post(&["account", "sessions", "end-others"]);
                let ended = call.object().await?;
                out.say(
                    &ended,
                    &format!("Sessions ended: {}", text(&ended["ended"])),
                );
                Ok(())
            }
        }
    }
}
