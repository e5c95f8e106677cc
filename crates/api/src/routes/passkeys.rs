//! The own account's passkeys. A page at the account's own host asks the browser; the API takes and
//! gives what WebAuthn Level 3 writes in JSON.

use super::{problems::Problems, time::Time};
use crate::{
    http::{body::Body, client::Client, path::Named, permission::Permission, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Access, ErrorCode, Failure, Message, view::PasskeyRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A passkey.
#[derive(Serialize, ToSchema)]
pub struct Passkey {
    id: String,
    #[schema(example = "laptop")]
    name: String,
    added_at: Time,
    /// When it signed in last.
    used_at: Option<Time>,
}

impl From<PasskeyRow> for Passkey {
    fn from(row: PasskeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            added_at: row.added.into(),
            used_at: row.used.map(Time::from),
        }
    }
}

/// The passkeys of an account.
#[derive(Serialize, ToSchema)]
pub struct PasskeyList {
    items: Vec<Passkey>,
}

/// Passkeys
///
/// Your own, the oldest first. Any of them is a second factor.
#[utoipa::path(
    get,
    path = "/v1/account/passkeys",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = PasskeyList), Problems)
)]
pub async fn list_passkeys(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<PasskeyList>, Refusal> {
    let scope = permission.enrolment(Access::Read)?;
    let passkeys = state.control.account().passkeys(&scope).await?;
    let items = passkeys.into_iter().map(Passkey::from).collect();
    Ok(Json(PasskeyList { items }))
}

/// What a browser is asked for.
#[derive(Serialize, ToSchema)]
pub struct PasskeyOptions {
    /// `PublicKeyCredentialCreationOptionsJSON` of WebAuthn Level 3, section 5.1.
    #[schema(value_type = Object)]
    public_key: Value,
}

/// Begin with a passkey
///
/// Returns what a page at the account's own host gives to `navigator.credentials.create`. It is
/// answered once, within five minutes, with the same token. Needs a proof of presence.
#[utoipa::path(
    post,
    path = "/v1/account/passkeys/begin",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = PasskeyOptions), Problems)
)]
pub async fn begin_passkey(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<PasskeyOptions>, Refusal> {
    let scope = permission.enrolment(Access::Write)?;
    let options = state.control.account().begin_passkey(&scope).await?;
    let unreadable = |_| Failure::new(ErrorCode::PasskeyInvalid, Message::PasskeyUnreadable);
    let public_key = serde_json::from_str(&options).map_err(unreadable)?;
    Ok(Json(PasskeyOptions { public_key }))
}

/// A new passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasskey {
    #[schema(example = "laptop", max_length = 40)]
    name: String,
    /// `RegistrationResponseJSON` of WebAuthn Level 3, section 5.1: what `toJSON()` returns.
    #[schema(value_type = Object)]
    answer: Value,
}

/// Add a passkey
///
/// With the browser's answer to what you began with. From then on a sign-in with the password needs
/// a second factor. Needs a proof of presence.
#[utoipa::path(
    post,
    path = "/v1/account/passkeys",
    tag = "security",
    security(("bearer" = [])),
    request_body = NewPasskey,
    responses((status = 204, description = "It is added."), Problems)
)]
pub async fn add_passkey(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Body(new): Body<NewPasskey>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.enrolment(Access::Write)?;
    let (account, answer) = (state.control.account(), new.answer.to_string());
    account
        .add_passkey(&scope, &new.name, &answer, client.address)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A passkey's name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyName {
    #[schema(example = "laptop", max_length = 40)]
    name: String,
}

/// Rename a passkey
#[utoipa::path(
    patch,
    path = "/v1/account/passkeys/{id}",
    tag = "security",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The passkey's id.")),
    request_body = PasskeyName,
    responses((status = 204, description = "It has the name."), Problems)
)]
pub async fn rename_passkey(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
    Body(new): Body<PasskeyName>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    let account = state.control.account();
    account.rename_passkey(&scope, &id, &new.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a passkey
///
/// It signs in no more. An owner's last second factor stays. Needs a proof of presence.
#[utoipa::path(
    delete,
    path = "/v1/account/passkeys/{id}",
    tag = "security",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The passkey's id.")),
    responses((status = 204, description = "It is removed."), Problems)
)]
pub async fn remove_passkey(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    state.control.account().remove_passkey(&scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
