//! `maliknode account …`: the account of whose token a command is run with, and how one gets to
//! it.

mod factors;
mod mail;
mod sessions;
mod sign_in;

use super::{
    api_command::ApiCommand,
    client::{CallError, Client},
    output::{Column, Output, text},
    secret_file::{NewPasswordFile, PasswordFile},
};
use clap::Subcommand;
use serde_json::{Value, json};

/// The commands of one's own account.
#[derive(Debug, Subcommand)]
pub(super) enum AccountCommand {
    /// Sign in, and print an access token: it is valid for 15 minutes
    ///
    /// MALIKNODE_TOKEN="$(maliknode account sign-in NAME --password-file FILE)" is what the
    /// commands of one's own account need, some of them after `account prove`.
    SignIn(sign_in::SignIn),
    /// End the session of the token
    SignOut,
    /// Print how the account signs in
    Show,
    /// Prove to be present, which some commands need: it holds for the session of the token
    Prove {
        #[command(flatten)]
        password: PasswordFile,
        /// The code of the authenticator app, where there is one
        #[arg(long)]
        code: Option<String>,
    },
    /// Change the password; other sessions end
    Password {
        #[command(flatten)]
        password: PasswordFile,
        #[command(flatten)]
        new: NewPasswordFile,
    },
    /// Ask for a mail with a link to a new password
    Forgot(sign_in::Forgotten),
    /// Set a new password with a recovery code
    Recover(sign_in::Recovery),
    /// Set a new password with the link of a mail, or the one that an operator has made
    Reset(sign_in::Reset),
    /// Print what happened to the account
    Activity,
    /// Sessions: where the account is signed in
    #[command(subcommand)]
    Session(sessions::SessionCommand),
    /// Passkeys; a browser adds them
    #[command(subcommand)]
    Passkey(factors::PasskeyCommand),
    /// The authenticator app whose codes a sign-in needs
    #[command(subcommand)]
    Totp(factors::TotpCommand),
    /// Make new recovery codes, in place of the former ones, and print them this once
    RecoveryCodes,
    /// The address to which mail of the account goes
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Set a tenant's time zone, in which its months begin
    TimeZone {
        /// A name of the IANA's list, e.g. Europe/Berlin
        zone: String,
        /// Whose; needless with a tenant's own token
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Delete the tenant whose token it is, with everything that belongs to it
    Delete {
        /// The tenant's name, which confirms it
        name: String,
    },
}

impl ApiCommand for AccountCommand {
    async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        match self {
            Self::SignIn(sign_in) => sign_in.run(client, out).await,
            Self::SignOut => {
                client.post(&["auth", "sign-out"]).send().await?;
                out.done("The session is over.");
                Ok(())
            }
            Self::Show => show(client, out).await,
            Self::Prove { password, code } => {
                let proof = json!({ "password": password.read()?.expose(), "code": code });
                let call = client.post(&["auth", "presence"]).json(proof);
                let proved = call.object().await?;
                let until = super::output::date(&proved["present_until"]);
                out.say(&proved, &format!("This holds until {until}."));
                Ok(())
            }
            Self::Password { password, new } => {
                let (old, new) = (password.read()?, new.read()?);
                let change = json!({ "password": old.expose(), "new_password": new.expose() });
                let call = client.post(&["account", "password"]).json(change);
                call.send().await?;
                out.done("The password is changed. Other sessions are over.");
                Ok(())
            }
            Self::Forgot(forgotten) => forgotten.run(client, out).await,
            Self::Recover(recovery) => recovery.run(client, out).await,
            Self::Reset(reset) => reset.run(client, out).await,
            Self::Activity => activity(client, out).await,
            Self::Session(command) => command.run(client, out).await,
            Self::Passkey(command) => command.run(client, out).await,
            Self::Totp(command) => command.run(client, out).await,
            Self::RecoveryCodes => factors::make_codes(client, out).await,
            Self::Mail(command) => command.run(client, out).await,
            Self::TimeZone { zone, tenant } => {
                let call = client.patch(&["account"]).tenant(tenant.as_deref());
                let account = call.json(json!({ "time_zone": zone })).object().await?;
                let said = format!("The time zone is {}.", text(&account["time_zone"]));
                out.say(&account, &said);
                Ok(())
            }
            Self::Delete { name } => {
                client
                    .delete(&["account"])
                    .query("name", name)
                    .send()
                    .await?;
                out.done(&format!("{name} is deleted."));
                Ok(())
            }
        }
    }

    fn needs_token(&self) -> bool {
        match self {
            Self::SignIn(_) | Self::Forgot(_) | Self::Recover(_) | Self::Reset(_) => false,
            Self::Mail(command) => command.needs_token(),
            _ => true,
        }
    }
}

async fn show(client: &Client, out: Output) -> Result<(), CallError> {
    let security = client.get(&["account", "security"]).object().await?;
    let fields = [
        Column::text("name", "name"),
        Column::date("authenticator app since", "totp_since"),
        Column::text("recovery codes left", "recovery_codes_left"),
        Column::date("made", "recovery_codes_made_at"),
        Column::date("proved to be present until", "present_until"),
    ];
    out.fields(&security, &fields);
    Ok(())
}

async fn activity(client: &Client, out: Output) -> Result<(), CallError> {
    let entries = client.get(&["account", "activity"]).list().await?;
    let columns = [
        Column::date("AT", "at"),
        Column::text("WHO", "actor"),
        Column::text("FROM", "origin"),
        Column::text("DID", "action"),
        Column::text("TO", "object"),
        Column::of("DETAIL", |e: &Value| text(&e["detail"])),
    ];
    out.table(&entries, &columns, "There are no entries.");
    Ok(())
}
