//! The outbox: mail that waits, was sent or was given up.

use crate::{
    http::{
        body::Body,
        cursor::{self, Page},
        path::Named,
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    routes::{problems::Problems, time::Time},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{Access, MailState, view::MailRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The list's name in cursors.
const LIST: &str = "mail";

/// What became of a mail.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateOfMail {
    Waiting,
    Sent,
    Failed,
}

/// A mail, without its text.
#[derive(Serialize, ToSchema)]
pub struct OutboxMail {
    id: i64,
    /// What it is about: verify, reset, address-change, sign-in, change, quota-warned,
    /// quota-reached or test.
    #[schema(example = "reset")]
    kind: String,
    recipient: String,
    state: StateOfMail,
    /// How often it was tried.
    tries: u32,
    created_at: Time,
    /// While it waits.
    next_try: Option<Time>,
    /// When it was sent or given up.
    done_at: Option<Time>,
    /// What the server said last.
    answer: String,
}

impl From<MailRow> for OutboxMail {
    fn from(m: MailRow) -> Self {
        Self {
            id: m.id,
            kind: m.kind,
            recipient: m.recipient,
            state: match m.state {
                MailState::Waiting => StateOfMail::Waiting,
                MailState::Sent => StateOfMail::Sent,
                MailState::Failed => StateOfMail::Failed,
            },
            tries: m.tries,
            created_at: m.created_at.into(),
            next_try: m.next_try.map(Time::from),
            done_at: m.done_at.map(Time::from),
            answer: m.answer,
        }
    }
}

/// Which mails, and which page of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MailParams {
    /// `next` of the page before; without it, the first page.
    cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// Only mails that wait or were given up.
    #[serde(default)]
    #[param(default = false)]
    unsent: bool,
}

/// The outbox
///
/// The newest first. Sent and given up mails are listed for a week.
#[utoipa::path(
    get,
    path = "/v1/operator/mail",
    tag = "operator",
    security(("bearer" = [])),
    params(MailParams),
    responses((status = 200, body = Page<OutboxMail>), Problems)
)]
pub async fn operator_list_mail(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<MailParams>,
) -> Result<Json<Page<OutboxMail>>, Refusal> {
    let operator = permission.operator(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let before = cursor::parse(LIST, params.cursor.as_deref())?;
    let rows = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let (mail, before) = (state.control.mail(), before.unwrap_or(i64::MAX));
    let listed = match params.unsent {
        true => mail.unsent(operator, before, rows).await?,
        false => mail.outbox(operator, before, rows).await?,
    };
    let page = cursor::page(LIST, listed, limit, |m| m.id, OutboxMail::from);
    Ok(Json(page))
}

/// Send a mail again
///
/// One that was given up, or that waits; from the first try on.
#[utoipa::path(
    post,
    path = "/v1/operator/mail/{id}/retry",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The mail's id.")),
    responses((status = 204, description = "It is tried."), Problems)
)]
pub async fn operator_retry_mail(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<i64>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.support()?;
    state.control.mail().retry(operator, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Discard a mail
///
/// One that waits or was given up; it is never sent then.
#[utoipa::path(
    delete,
    path = "/v1/operator/mail/{id}",
    tag = "operator",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The mail's id.")),
    responses((status = 204, description = "It is removed."), Problems)
)]
pub async fn operator_discard_mail(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<i64>,
) -> Result<StatusCode, Refusal> {
    let operator = permission.owner()?;
    state.control.mail().discard(operator, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a test is sent.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailTest {
    #[schema(example = "ada@example.org", max_length = 254)]
    mail: String,
}

/// What the server said.
#[derive(Serialize, ToSchema)]
pub struct MailAnswer {
    #[schema(example = "250 OK")]
    answer: String,
}

/// Test mail
///
/// Sends a mail now, and answers with what the mail server said; within a minute.
#[utoipa::path(
    post,
    path = "/v1/operator/mail-test",
    tag = "operator",
    security(("bearer" = [])),
    request_body = MailTest,
    responses((status = 200, body = MailAnswer), Problems)
)]
pub async fn operator_test_mail(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(test): Body<MailTest>,
) -> Result<Json<MailAnswer>, Refusal> {
    let operator = permission.owner()?;
    let answer = state.control.mail().test(operator, &test.mail).await?;
    Ok(Json(MailAnswer { answer }))
}
