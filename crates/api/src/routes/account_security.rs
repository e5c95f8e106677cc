//! How the own account is protected: sessions, password, second factor, recovery codes, and the
//! proof of presence that changes of these need.

use super::{problems::Problems, time::Time, token::Account};
use crate::{
    http::{body::Body, client::Client, path::Named, permission::Permission, problem::Refusal},
    state::ApiState,
};
use axum::{Json, extract::State, http::StatusCode};
use domain::{
    Access, Secret,
    view::{ActivityRow, SecurityView, SessionKind, SessionRow},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a session is for.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindOfSession {
    Dashboard,
    /// AdGuard Home. It ends with the dashboard's.
    Dns,
    Operator,
    Api,
}

/// A session.
#[derive(Serialize, ToSchema)]
pub struct Session {
    id: String,
    kind: KindOfSession,
    /// The browser or program; empty if it is not known.
    #[schema(example = "Firefox")]
    browser: String,
    /// The operating system; empty if it is not known.
    #[schema(example = "Android")]
    system: String,
    /// Where it began: an IPv4 address, or the /64 of an IPv6 address.
    address: String,
    begun_at: Time,
    /// When it was used last, to the hour.
    used_at: Time,
    expires_at: Time,
    /// Whether it is the one of this token.
    current: bool,
}

impl From<SessionRow> for Session {
    fn from(s: SessionRow) -> Self {
        Self {
            id: s.id,
            kind: match s.kind {
                SessionKind::Dashboard => KindOfSession::Dashboard,
                SessionKind::Dns => KindOfSession::Dns,
                SessionKind::Operator => KindOfSession::Operator,
                SessionKind::Api => KindOfSession::Api,
            },
            browser: s.browser,
            system: s.system,
            address: s.address,
            begun_at: s.begun.into(),
            used_at: s.used.into(),
            expires_at: s.expires.into(),
            current: s.is_current,
        }
    }
}

/// The sessions of an account.
#[derive(Serialize, ToSchema)]
pub struct SessionList {
    items: Vec<Session>,
}

/// Sessions
///
/// Your own: browsers, AdGuard Home and the API, those used last first.
#[utoipa::path(
    get,
    path = "/v1/account/sessions",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = SessionList), Problems)
)]
pub async fn list_sessions(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<SessionList>, Refusal> {
    let scope = permission.account(Access::Read)?;
    let sessions = state.control.account().sessions(&scope).await?;
    let items = sessions.into_iter().map(Session::from).collect();
    Ok(Json(SessionList { items }))
}

/// End a session
///
/// With those that came of it. It is over with its next request.
#[utoipa::path(
    delete,
    path = "/v1/account/sessions/{id}",
    tag = "security",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "The session's id.")),
    responses((status = 204, description = "It is over."), Problems)
)]
pub async fn end_session(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    state.control.account().end_session(&scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sessions were ended.
#[derive(Serialize, ToSchema)]
pub struct EndedSessions {
    ended: u64,
}

/// End all other sessions
///
/// All but the one of this token. API tokens stay.
#[utoipa::path(
    post,
    path = "/v1/account/sessions/end-others",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = EndedSessions), Problems)
)]
pub async fn end_other_sessions(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<EndedSessions>, Refusal> {
    let scope = permission.account(Access::Write)?;
    let ended = state.control.account().end_other_sessions(&scope).await?;
    Ok(Json(EndedSessions { ended }))
}

/// How an account is protected.
#[derive(Serialize, ToSchema)]
pub struct Security {
    name: String,
    /// Since when a sign-in needs a code of an authenticator app.
    totp_since: Option<Time>,
    /// Recovery codes that were not used yet.
    recovery_codes_left: u32,
    recovery_codes_made_at: Option<Time>,
    /// Until when what needs a proof of presence can be done in this session.
    present_until: Option<Time>,
}

impl From<SecurityView> for Security {
    fn from(s: SecurityView) -> Self {
        Self {
            name: s.name,
            totp_since: s.totp_since.map(Time::from),
            recovery_codes_left: s.recovery_codes_left,
            recovery_codes_made_at: s.recovery_codes_made.map(Time::from),
            present_until: s.present_until.map(Time::from),
        }
    }
}

/// How the account is protected
#[utoipa::path(
    get,
    path = "/v1/account/security",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = Security), Problems)
)]
pub async fn get_security(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<Security>, Refusal> {
    let scope = permission.enrolment(Access::Read)?;
    let security = state.control.account().security(&scope).await?;
    Ok(Json(security.into()))
}

/// An entry of the audit log about the account.
#[derive(Serialize, ToSchema)]
pub struct Activity {
    at: Time,
    /// Who acted.
    actor: String,
    #[schema(example = "session.begin")]
    action: String,
    object: String,
    detail: String,
    /// The prefix of the address that it came from; empty where there is none.
    origin: String,
}

impl From<ActivityRow> for Activity {
    fn from(row: ActivityRow) -> Self {
        Self {
            at: row.at.into(),
            actor: row.actor,
            action: row.action,
            object: row.object,
            detail: row.detail,
            origin: row.origin,
        }
    }
}

/// What happened to an account.
#[derive(Serialize, ToSchema)]
pub struct ActivityList {
    items: Vec<Activity>,
}

/// What happened to the account
///
/// The newest 50 entries of the audit log: sign-ins, refusals, changes, keys shown.
#[utoipa::path(
    get,
    path = "/v1/account/activity",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = ActivityList), Problems)
)]
pub async fn list_activity(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<ActivityList>, Refusal> {
    let scope = permission.account(Access::Read)?;
    let rows = state.control.account().activity(&scope).await?;
    let items = rows.into_iter().map(Activity::from).collect();
    Ok(Json(ActivityList { items }))
}

/// What proves that the account's holder is present.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceProof {
    #[schema(format = Password)]
    password: String,
    /// A code of the authenticator app, or a recovery code, if there is a second factor.
    code: Option<String>,
}

/// Until when a proof holds.
#[derive(Serialize, ToSchema)]
pub struct PresenceUntil {
    present_until: Time,
}

/// Prove to be present
///
/// For ten minutes this token may do what needs a proof. A sign-in with a password is one, too.
#[utoipa::path(
    post,
    path = "/v1/auth/presence",
    tag = "access",
    security(("bearer" = [])),
    request_body = PresenceProof,
    responses((status = 200, body = PresenceUntil), Problems)
)]
pub async fn prove_presence(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Body(proof): Body<PresenceProof>,
) -> Result<Json<PresenceUntil>, Refusal> {
    let scope = permission.enrolment(Access::Write)?;
    let password = Secret::new(proof.password);
    let account = state.control.account();
    let until = account.prove_presence(&scope, &password, proof.code.as_deref(), client.address);
    let present_until = until.await?.into();
    Ok(Json(PresenceUntil { present_until }))
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password as it is.
    #[schema(format = Password)]
    password: String,
    #[schema(format = Password)]
    new_password: String,
}

/// Change the password
///
/// All other sessions end, and all API tokens but this one.
#[utoipa::path(
    post,
    path = "/v1/account/password",
    tag = "security",
    security(("bearer" = [])),
    request_body = PasswordChange,
    responses((status = 204, description = "It is changed."), Problems)
)]
pub async fn change_password(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    let (old, new) = (
        Secret::new(change.password),
        Secret::new(change.new_password),
    );
    let account = state.control.account();
    account
        .change_password(&scope, &old, &new, client.address)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A secret for an authenticator app.
#[derive(Serialize, ToSchema)]
pub struct TotpSecret {
    /// The secret in base32 (RFC 4648), to be typed.
    secret: String,
    /// `otpauth://totp/…`, to be shown as a QR code.
    uri: String,
}

/// Begin with an authenticator app
///
/// Returns a secret, the same one until it is confirmed or an hour old. Needs a proof of presence.
#[utoipa::path(
    post,
    path = "/v1/account/totp",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = TotpSecret), Problems)
)]
pub async fn begin_totp(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<TotpSecret>, Refusal> {
    let scope = permission.enrolment(Access::Write)?;
    let begun = state.control.account().begin_totp(&scope).await?;
    Ok(Json(TotpSecret {
        secret: begun.secret.expose().to_owned(),
        uri: begun.uri.expose().to_owned(),
    }))
}

/// A code of an authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpCode {
    #[schema(example = "123456")]
    code: String,
}

/// Switch the second factor on
///
/// With a code of the secret that you began with. Needs a proof of presence.
#[utoipa::path(
    put,
    path = "/v1/account/totp",
    tag = "security",
    security(("bearer" = [])),
    request_body = TotpCode,
    responses((status = 204, description = "It is on."), Problems)
)]
pub async fn confirm_totp(
    State(state): State<ApiState>,
    client: Client,
    Permission(permission): Permission,
    Body(confirmation): Body<TotpCode>,
) -> Result<StatusCode, Refusal> {
    let scope = permission.enrolment(Access::Write)?;
    let account = state.control.account();
    account
        .confirm_totp(&scope, &confirmation.code, client.address)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switch the second factor off
///
/// Needs a proof of presence.
#[utoipa::path(
    delete,
    path = "/v1/account/totp",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 204, description = "It is off."), Problems)
)]
pub async fn remove_totp(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<StatusCode, Refusal> {
    let scope = permission.account(Access::Write)?;
    state.control.account().remove_totp(&scope).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// New recovery codes. They are shown this once.
#[derive(Serialize, ToSchema)]
pub struct NewRecoveryCodes {
    codes: Vec<String>,
}

/// Make recovery codes
///
/// Ten, in place of the former ones. Each stands once for a second factor, or for a password that
/// was lost. Needs a proof of presence.
#[utoipa::path(
    post,
    path = "/v1/account/recovery-codes",
    tag = "security",
    security(("bearer" = [])),
    responses((status = 200, body = NewRecoveryCodes), Problems)
)]
pub async fn make_recovery_codes(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<Json<NewRecoveryCodes>, Refusal> {
    let scope = permission.account(Access::Write)?;
    let codes = state.control.account().new_recovery_codes(&scope).await?;
    let codes = codes.0.iter().map(|c| c.expose().to_owned()).collect();
    Ok(Json(NewRecoveryCodes { codes }))
}

/// A new password for a recovery code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recovery {
    /// Whose name it is; a tenant's unless it says so.
    #[serde(default)]
    account: Account,
    #[schema(example = "lina")]
    name: String,
    /// A recovery code. It is used up.
    code: String,
    #[schema(format = Password)]
    new_password: String,
}

/// Replace a lost password
///
/// For a recovery code. What was begun with the former password ends. A second factor stays.
#[utoipa::path(
    post,
    path = "/v1/auth/recover",
    tag = "access",
    request_body = Recovery,
    responses((status = 204, description = "The password is replaced."), Problems)
)]
pub async fn recover(
    State(state): State<ApiState>,
    client: Client,
    Body(recovery): Body<Recovery>,
) -> Result<StatusCode, Refusal> {
    let is_operator = recovery.account == Account::Operator;
    let new = Secret::new(recovery.new_password);
    let (name, code) = (&recovery.name, &recovery.code);
    let account = state.control.account();
    account
        .recover(is_operator, name, code, &new, client.address)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new password for the token of a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// What the link has after `token=`.
    #[schema(format = Password)]
    token: String,
    #[schema(format = Password)]
    new_password: String,
}

/// Use a link to a new password
///
/// It works once. What was begun with the former password ends.
#[utoipa::path(
    post,
    path = "/v1/auth/reset",
    tag = "access",
    request_body = Reset,
    responses((status = 204, description = "The password is replaced."), Problems)
)]
pub async fn reset_password(
    State(state): State<ApiState>,
    client: Client,
    Body(reset): Body<Reset>,
) -> Result<StatusCode, Refusal> {
    let (token, new) = (Secret::new(reset.token), Secret::new(reset.new_password));
    let account = state.control.account();
    account.reset_password(&token, &new, client.address).await?;
    Ok(StatusCode::NO_CONTENT)
}
