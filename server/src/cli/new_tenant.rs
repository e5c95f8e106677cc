//! `maliknode tenant create NAME --plan PLAN [--password-file FILE]`.

use super::{
    client::{CallError, Client, first_line},
    output::{Output, text},
};
use control::Entropy;
use domain::Secret;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct NewTenant {
    /// The name: 3 to 32 of the letters a to z, digits and inner hyphens
    name: String,
    /// The plan's id in `maliknode plan list`
    #[arg(long)]
    plan: String,
    /// The file whose first line is the password, - is standard input; without it, a password is
    /// made and printed this once
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Creates a tenant.
///
/// # Errors
/// The API refuses, or the file cannot be read.
pub(super) async fn create(client: &Client, out: Output, new: &NewTenant) -> Result<(), CallError> {
    let (password, is_made) = match &new.password_file {
        Some(path) => (first_line("password", path)?, false),
        None => (made()?, true),
    };
    let body = json!({ "name": new.name, "password": password.expose(), "plan": new.plan });
    let call = client.post(&["operator", "tenants"]).json(body);
    let mut created = call.object().await?;
    let mut said = format!("{} is created.", text(&created["name"]));
    if is_made {
        created["password"] = json!(password.expose());
        said = format!("{said} Its password: {}", password.expose());
    }
    out.say(&created, &said);
    Ok(())
}

fn made() -> Result<Secret, CallError> {
    let made = Entropy::system().password();
    made.map_err(|failure| CallError::Failed(texts::english().failure(&failure)))
}
