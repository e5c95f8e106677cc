//! `maliknode operator link`, `… list`, `… add NAME --role ROLE`, `… role NAME ROLE`,
//! `… reset NAME`, `… remove NAME` and `… accept`.

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    database::core,
    output::{Column, Output, text},
    secret_file::{self, NewPasswordFile},
};
use app::ui::format;
use clap::{Subcommand, ValueEnum};
use domain::{ErrorCode, Failure, Message};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Print a link by which the first operator chooses a name and a password
    ///
    /// It works once, for a day, and only while there is no operator.
    Link,
    /// Print the operators, and those who are invited
    List,
    /// Invite an operator, and print the link by which it chooses a password
    ///
    /// The link works once, for a day.
    Add {
        /// The operator's name: letters, digits and hyphens
        name: String,
        /// What it may do: read-only reads everything, support also acts on tenants, owner does
        /// everything
        #[arg(long)]
        role: Role,
    },
    /// Give an operator another role, in force with its next request
    Role {
        /// The operator's name
        name: String,
        /// What it may do
        role: Role,
    },
    /// Print a link by which an operator chooses a new password
    Reset {
        /// The operator's name
        name: String,
        /// Take the second factor away, too, of an operator who has lost it
        #[arg(long)]
        without_factors: bool,
    },
    /// Use the link of `operator link` or `operator add`: choose the password
    Accept {
        /// The file whose first line is the link, or the token in it; - is standard input
        #[arg(long, value_name = "FILE")]
        link_file: PathBuf,
        #[command(flatten)]
        password: NewPasswordFile,
        /// What the first operator is called; others are called as they were invited
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Remove an operator, whose sessions and tokens end at once, or an invitation
    Remove {
        /// The operator's name
        name: String,
    },
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Role {
    ReadOnly,
    Support,
    Owner,
}

impl Role {
    /// Returns its name in the API.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Support => "support",
            Self::Owner => "owner",
        }
    }
}

impl ApiCommand for OperatorCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::Link => first_link(client, out).await,
            Self::List => {
                let operators = client.get(&["operator", "operators"]).list().await?;
                let columns = [
                    Column::text("NAME", "name"),
                    Column::of("ROLE", |operator| text(&operator["role"]).replace('_', "-")),
                    Column::date("SINCE", "created_at"),
                    Column::date("INVITED UNTIL", "expires_at"),
                ];
                out.table(
                    &operators,
                    &columns,
                    "There is no operator: maliknode operator link",
                );
                Ok(())
            }
            Self::Add { name, role } => {
                let new = json!({ "name": name, "role": role.as_str() });
                let made = client.post(&["operator", "operators"]).json(new);
                said(&made.object().await?, out);
                Ok(())
            }
            Self::Role { name, role } => {
                let call = client.patch(&["operator", "operators", name]);
                let changed = call.json(json!({ "role": role.as_str() })).object().await?;
                let role = role.as_str().replace('_', "-");
                out.say(&changed, &format!("{name} is {role} from now on."));
                Ok(())
            }
            Self::Reset {
                name,
                without_factors,
            } => {
                let path = ["operator", "operators", name, "password-link"];
                let made = client
                    .post(&path)
                    .json(json!({ "without_factors": without_factors }));
                said(&made.object().await?, out);
                Ok(())
            }
            Self::Accept {
                link_file,
                password,
                name,
            } => {
                let link = secret_file::read("link", link_file)?;
                let accepted = json!({
                    "token": secret_file::token_of(&link),
                    "name": name,
                    "new_password": password.read()?.expose(),
                });
                let call = client.post(&["auth", "operator-link"]).json(accepted);
                let accepted = call.object().await?;
                let name = text(&accepted["name"]);
                out.say(
                    &accepted,
                    &format!("{name} is an operator, and can sign in."),
                );
                Ok(())
            }
            Self::Remove { name } => {
                client
                    .delete(&["operator", "operators", name])
                    .send()
                    .await?;
                out.done(&format!("{name} is no operator any more."));
                Ok(())
            }
        }
    }

    fn needs_token(&self) -> bool {
        !matches!(self, Self::Accept { .. })
    }
}

/// Prints a link alone, for scripts; what it is for is said beside it.
pub(super) fn said(made: &Value, out: Output) {
    out.say(made, &text(&made["link"]));
    if !out.is_json() {
        eprintln!("A password is chosen there. The link works once, and is shown this once.");
    }
}

/// Prints a link for the first operator. The API has none: without an operator, no permission
/// can be checked, and so this is for those alone who can read the database.
///
/// # Errors
/// There is an operator, no database, or another machine's server was named.
async fn first_link(client: &Client, out: Output) -> Result<(), CallError> {
    let elsewhere =
        || CallError::Usage("the first link is made on the server's machine".to_owned());
    let config = client.config().ok_or_else(elsewhere)?;
    let (store, control) = core(config).await.map_err(CallError::Start)?;
    let made = control.operators().first_link().await;
    store.close().await;
    let refused = |f: Failure| CallError::Failed(texts::english().failure(&f));
    let exists = || Failure::new(ErrorCode::NotPermitted, Message::OperatorsExist);
    let link = made.map_err(refused)?.ok_or_else(exists).map_err(refused)?;
    let (url, until) = (link.url.expose(), format::iso(link.expires_at));
    said(&json!({ "link": url, "expires_at": until }), out);
    Ok(())
}
