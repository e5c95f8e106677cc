//! How one gets to an account: a sign-in, and the ways back after a password is lost.

use crate::cli::{
    client::{CallError, Client},
    output::{Output, text},
    secret_file::{self, NewPasswordFile, PasswordFile},
};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Whose account.
#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The tenant's name
    name: String,
    /// It is an operator's name
    #[arg(long)]
    operator: bool,
}

impl Name {
    const fn account(&self) -> &'static str {
        match self.operator {
            true => "operator",
            false => "tenant",
        }
    }
}

/// A sign-in.
#[derive(Debug, clap::Args)]
pub(crate) struct SignIn {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    password: PasswordFile,
    /// The code of the authenticator app, or a recovery code, where there is one
    #[arg(long)]
    code: Option<String>,
    /// Only read with it
    #[arg(long)]
    read_only: bool,
}

impl SignIn {
    /// Signs in, with both steps.
    ///
    /// # Errors
    /// The API refuses, or a code is missing.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let request = json!({
            "grant": "password",
            "account": self.name.account(),
            "name": self.name.name,
            "password": self.password.read()?.expose(),
            "access": if self.read_only { "read" } else { "write" },
        });
        let mut answer = ask(client, request).await?;
        if answer["step"] == "second_factor" {
            let code = self.code.as_deref().ok_or_else(|| {
                CallError::Usage("this account needs a code as well: --code CODE".to_owned())
            })?;
            let pending = &answer["pending"];
            let request = json!({ "grant": "second_factor", "pending": pending, "code": code });
            answer = ask(client, request).await?;
        }
        let tokens = &answer["tokens"];
        if !tokens["access_token"].is_string() {
            let step = text(&answer["step"]);
            return Err(CallError::Failed(format!(
                "this sign-in needs a browser (step {step})"
            )));
        }
        out.say(tokens, &text(&tokens["access_token"]));
        Ok(())
    }
}

async fn ask(client: &Client, request: Value) -> Result<Value, CallError> {
    client.post(&["auth", "token"]).json(request).object().await
}

/// A password that is lost.
#[derive(Debug, clap::Args)]
pub(crate) struct Forgotten {
    #[command(flatten)]
    name: Name,
}

impl Forgotten {
    /// Asks for a mail.
    ///
    /// # Errors
    /// The API refuses.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let forgotten = json!({ "account": self.name.account(), "name": self.name.name });
        let call = client.post(&["auth", "forgot"]).json(forgotten);
        call.begins().send().await?;
        out.done("If the account has an address, a mail is on its way to it.");
        Ok(())
    }
}

/// A recovery code that is used.
#[derive(Debug, clap::Args)]
pub(crate) struct Recovery {
    #[command(flatten)]
    name: Name,
    /// The file whose first line is the recovery code; - is standard input
    #[arg(long, value_name = "FILE")]
    code_file: PathBuf,
    #[command(flatten)]
    new: NewPasswordFile,
}

impl Recovery {
    /// Uses the code.
    ///
    /// # Errors
    /// The API refuses, or a file cannot be read.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let code = secret_file::read("recovery code", &self.code_file)?;
        let recovery = json!({
            "account": self.name.account(),
            "name": self.name.name,
            "code": code.expose(),
            "new_password": self.new.read()?.expose(),
        });
        let call = client.post(&["auth", "recover"]).json(recovery);
        call.send().await?;
        out.done("The new password holds.");
        Ok(())
    }
}

/// A link to a new password that is used.
#[derive(Debug, clap::Args)]
pub(crate) struct Reset {
    /// The file whose first line is the token in the link, or the link; - is standard input
    #[arg(long, value_name = "FILE")]
    link_file: PathBuf,
    #[command(flatten)]
    new: NewPasswordFile,
}

impl Reset {
    /// Uses the link.
    ///
    /// # Errors
    /// The API refuses, or a file cannot be read.
    pub async fn run(&self, client: &Client, out: Output) -> Result<(), CallError> {
        let link = secret_file::read("link", &self.link_file)?;
        let reset = json!({
            "token": secret_file::token_of(&link),
            "new_password": self.new.read()?.expose(),
        });
        let call = client.post(&["auth", "reset"]).json(reset);
        call.send().await?;
        out.done("The new password holds.");
        Ok(())
    }
}
