//! The mail address of the own account, and a link to a new password by mail.

use super::{problems::Problems, token::Account};
use crate::{
    http::{body::Body, client::Client, permission::Permission, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Access, ErrorCode, Failure, Message, Secret, view::MailView};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account has of mail.
#[derive(Serialize, ToSchema)]
pub struct MailAddress {
    /// Where its mail is sent; `null` where none is verified.
    #[schema(example = "lina@example.org")]
    address: Option<String>,
    /// An address whose link was not opened yet.
    pending: Option<String>,
    /// Whether warnings of the month's data are sent.
    quota_warnings: bool,
}

impl From<MailView> for MailAddress {
    fn from(view: MailView) -> Self {
        Self {
            address: view.address,
            pending: view.pending,
            quota_warnings: view.quota_warnings,
        }
    }
}

/// The mail address
///
/// Refused as `mail_unavailable` where the installation sends no mail.
#[utoipa::path(
    get,
    path = "/v1/account/mail",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = MailAddress), Problems)
)]
pub async fn get_mail_address(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<MailAddress>, Refusal> {
    let scope = permission.account(Access::Read)?;
    let view = state.control.mail().address(&scope).await?;
    let unavailable = || Failure::new(ErrorCode::MailUnavailable, Message::MailNotSetUp);
    Ok(Json(view.ok_or_else(unavailable)?.into()))
}

/// An address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMailAddress {
    #[schema(example = "lina@example.org", max_length = 254)]
    mail: String,
}

/// Change the mail address
///
/// The address gets a link; it is the account's once that was opened. The present one is told.
/// Needs a proof of presence.
#[utoipa::path(
    put,
    path = "/v1/account/mail",
    tag = "security",
    security(("bearer" = [])),
    request_body = NewMailAddress,
    responses((status = 202, description = "The link is on its way."), Problems)
)]
pub async fn set_mail_address(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Body(new): Body<NewMailAddress>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    let mail = state.control.mail();
    mail.set_address(&scope, &new.mail, client.address).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Remove the mail address
///
/// It is told, and nothing more is sent. Needs a proof of presence.
#[utoipa::path(
    delete,
    path = "/v1/account/mail",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 204, description = "There is none."), Problems)
)]
pub async fn remove_mail_address(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    let mail = state.control.mail();
    mail.remove_address(&scope, client.address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which warnings are sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailWarnings {
    /// Warnings of the month's data.
    quota_warnings: bool,
}

/// Change which warnings are sent by mail
#[utoipa::path(
    put,
    path = "/v1/account/mail/warnings",
    tag = "security",
    security(("bearer" = [])),
    request_body = MailWarnings,
    responses((status = 204, description = "It holds."), Problems)
)]
pub async fn set_mail_warnings(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Body(warnings): Body<MailWarnings>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    let mail = state.control.mail();
    mail.set_quota_warnings(&scope, warnings.quota_warnings, client.address)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailVerification {
    /// What the link has after `token=`.
    #[schema(format = Password)]
    token: String,
}

/// Verify a mail address
///
/// With the link that was sent there. It works once.
#[utoipa::path(
    post,
    path = "/v1/auth/verify-mail",
    tag = "access",
    request_body = MailVerification,
    responses((status = 204, description = "The address is the account's."), Problems)
)]
pub async fn verify_mail(
    State(state): State<ApiState>,
    client: Client,
    Body(verification): Body<MailVerification>,
) -> Result<StatusCode, Refusal> {
    let token = Secret::new(verification.token);
    let verified = state.control.mail().verify(&token, client.address).await;
    verified?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose password is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    name: String,
    /// Whose account it is.
    #[serde(default)]
    account: Account,
}

/// Ask for a link to a new password
///
/// It is sent to the account's mail address, if there is one. The answer is the same whether or
/// not there is such an account.
#[utoipa::path(
    post,
    path = "/v1/auth/forgot",
    tag = "access",
    request_body = Forgotten,
    responses((status = 202, description = "If there is an address, a link is on its way."), Problems)
)]
pub async fn forgot_password(
    State(state): State<ApiState>,
    client: Client,
    Body(forgotten): Body<Forgotten>,
) -> Result<StatusCode, Refusal> {
    let is_operator = forgotten.account == Account::Operator;
    let mail = state.control.mail();
    mail.forgot_password(is_operator, &forgotten.name, client.address)
        .await?;
    Ok(StatusCode::ACCEPTED)
}
