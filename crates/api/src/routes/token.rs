//! Signing in: access tokens for a password, a refresh token or an API token.

use super::{choices::Access, problems::Problems, time::Time};
use crate::{
    http::{body::Body, client::Client, permission::Permission, problem::Refusal},
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use control::{ApiCaller, ApiGrant, ApiStep, ApiTokens, Grant};
use domain::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What access is asked for with.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "grant", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenRequest {
    /// A name and its password.
    Password {
        /// Whose name it is; a tenant's unless it says so.
        #[serde(default)]
        account: Account,
        #[schema(example = "lina")]
        name: String,
        #[schema(format = Password)]
        password: String,
        /// What the session may do; everything unless it says so.
        #[serde(default = "write")]
        access: Access,
    },
    /// The newest refresh token of a session. It works once; the answer has the next.
    RefreshToken {
        #[schema(format = Password)]
        refresh_token: String,
    },
    /// An API token.
    ApiToken {
        #[schema(format = Password)]
        token: String,
    },
    /// The second step of a sign-in.
    SecondFactor {
        /// What the first step answered.
        #[schema(format = Password)]
        pending: String,
        /// A code of the authenticator app, or a recovery code.
        #[schema(example = "123456")]
        code: String,
    },
}

/// Whose name it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    #[default]
    Tenant,
    Operator,
}

const fn write() -> Access {
    Access::Write
}

/// What became of a request for access.
#[derive(Serialize, ToSchema)]
pub struct TokenAnswer {
    /// `done`: `tokens` has what was asked for. `second_factor`: the password was right, and a
    /// code is asked for; send `pending` with it. Any other value names a step that is still to
    /// be done, and there are no tokens: a client that does not know the step stops.
    #[schema(example = "done")]
    step: String,
    /// The tokens, if the step is `done`.
    tokens: Option<Tokens>,
    /// What names the sign-in, if the step is `second_factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<String>,
    /// Until when it waits for a code, if the step is `second_factor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_expires_at: Option<Time>,
}

/// An access token and, in a session, how to get the next one.
#[derive(Serialize, ToSchema)]
pub struct Tokens {
    /// `Bearer` (RFC 6750).
    token_type: String,
    /// A JWT, for `Authorization: Bearer …`. It is valid for 15 minutes.
    access_token: String,
    expires_at: Time,
    /// For the next access token. It works once; `null` for an API token.
    refresh_token: Option<String>,
    refresh_expires_at: Option<Time>,
    access: Access,
    account: Account,
    /// The tenant's or operator's name.
    name: String,
}

impl From<ApiTokens> for Tokens {
    fn from(t: ApiTokens) -> Self {
        let (refresh_token, refresh_expires_at) = t.refresh.unzip();
        Self {
            token_type: "Bearer".to_owned(),
            access_token: t.access_token.expose().to_owned(),
            expires_at: t.expires_at.into(),
            refresh_token: refresh_token.map(|token| token.expose().to_owned()),
            refresh_expires_at: refresh_expires_at.map(Time::from),
            access: t.access.into(),
            account: match t.is_operator {
                true => Account::Operator,
                false => Account::Tenant,
            },
            name: t.name,
        }
    }
}

/// Sign in
///
/// Gives an access token for a password, a refresh token or an API token. An account with a second
/// factor answers a right password with the step `second_factor`. Five wrong ones in a minute lock
/// an address for the rest of the minute; an account becomes slower for strangers.
#[utoipa::path(
    post,
    path = "/v1/auth/token",
    tag = "access",
    request_body = TokenRequest,
    responses((status = 200, body = TokenAnswer), Problems)
)]
pub async fn issue_token(
    State(state): State<ApiState>,
    client: Client,
    headers: HeaderMap,
    Body(request): Body<TokenRequest>,
) -> Result<Json<TokenAnswer>, Refusal> {
    let (grant, access) = match request {
        TokenRequest::Password {
            account,
            name,
            password,
            access,
        } => {
            let password = Secret::new(password);
            let grant = match account {
                Account::Tenant => Grant::Tenant { name, password },
                Account::Operator => {
                    client.allow_operator()?;
                    Grant::Operator { name, password }
                }
            };
            (grant, access)
        }
        TokenRequest::RefreshToken { refresh_token } => {
            (Grant::Refresh(Secret::new(refresh_token)), write())
        }
        TokenRequest::SecondFactor { pending, code } => {
            let pending = Secret::new(pending);
            (Grant::SecondFactor { pending, code }, write())
        }
        TokenRequest::ApiToken { token } => (Grant::ApiToken(Secret::new(token)), write()),
    };
    let request = ApiGrant {
        grant,
        access: access.into(),
        client: client.sign_in(&headers),
    };
    let answer = match state.control.auth().grant(request).await? {
        ApiStep::Done(tokens) => TokenAnswer {
            step: "done".to_owned(),
            tokens: Some(tokens.into()),
            pending: None,
            pending_expires_at: None,
        },
        ApiStep::SecondFactor(pending) => TokenAnswer {
            step: "second_factor".to_owned(),
            tokens: None,
            pending: Some(pending.token.expose().to_owned()),
            pending_expires_at: Some(pending.expires_at.into()),
        },
    };
    Ok(Json(answer))
}

/// Sign out
///
/// Ends the session of this access token, with its refresh token. An API token stays.
#[utoipa::path(
    post,
    path = "/v1/auth/sign-out",
    tag = "access",
    security(("bearer" = [])),
    responses((status = 204, description = "The session is over."), Problems)
)]
pub async fn sign_out(
    State(state): State<ApiState>,
    Permission(permission): Permission,
) -> Result<StatusCode, Refusal> {
    state.control.auth().end_api_session(&permission).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whom a token acts for.
#[derive(Serialize, ToSchema)]
pub struct Holder {
    account: Account,
    name: String,
    access: Access,
}

/// Who a token is
#[utoipa::path(
    get,
    path = "/v1/auth/holder",
    tag = "access",
    security(("bearer" = [])),
    responses((status = 200, body = Holder), Problems)
)]
pub async fn whoami(Permission(permission): Permission) -> Json<Holder> {
    let (account, name) = match permission.caller() {
        ApiCaller::Tenant(scope) => (Account::Tenant, scope.name().to_string()),
        ApiCaller::Operator(scope) => (Account::Operator, scope.name().to_owned()),
        ApiCaller::FactorNeeded(owner) => (Account::Operator, owner.name().to_owned()),
    };
    Json(Holder {
        account,
        name,
        access: permission.access().into(),
    })
}
