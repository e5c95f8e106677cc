//! Refusals as problem documents (RFC 9457), with the codes and messages that pages have.

use super::client::Client;
use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::{ErrorCode, Failure, Field, Message, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A refusal (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of problem: `urn:maliknode:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:maliknode:problem:not_found")]
    kind: String,
    /// What that kind means, in the language that the request prefers.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here and what to do, in the language that the request prefers.
    detail: String,
    /// The kind, for programs to compare. It stays the same.
    #[schema(example = "not_found")]
    code: String,
    /// What happened here, for programs. It may become more precise.
    #[schema(example = "not-found")]
    message: String,
    /// The member of the body that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// A failure as an answer; [`render`] writes it in the client's language.
#[derive(Clone, Debug)]
pub struct Refusal(pub Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns the HTTP status of a refusal with this code.
pub const fn status(code: ErrorCode) -> StatusCode {
    use ErrorCode as C;
    match code {
        C::BadRequest | C::CursorInvalid => StatusCode::BAD_REQUEST,
        C::SignInRefused | C::SignedOut | C::TicketInvalid | C::TokenInvalid | C::TokenExpired => {
            StatusCode::UNAUTHORIZED
        }
        C::PasskeyInvalid | C::CodeInvalid | C::SecondFactorNeeded | C::SignInExpired => {
            StatusCode::UNAUTHORIZED
        }
        C::PresenceNeeded | C::SecondFactorRequired => StatusCode::FORBIDDEN,
        C::ResetInvalid => StatusCode::NOT_FOUND,
        C::MailLinkInvalid => StatusCode::NOT_FOUND,
        C::MailAddressMalformed | C::TextMalformed => StatusCode::UNPROCESSABLE_ENTITY,
        C::MailUnavailable => StatusCode::CONFLICT,
        C::SignUpClosed => StatusCode::FORBIDDEN,
        C::InvitationUsedUp | C::InvitationEnded => StatusCode::CONFLICT,
        C::InvitationNeeded | C::InvitationUnknown | C::InvitationMalformed => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        C::FactorExists => StatusCode::CONFLICT,
        C::WrongOrigin | C::Suspended | C::NodeRefused | C::NotPermitted => StatusCode::FORBIDDEN,
        C::NotFound | C::OperatorLinkInvalid => StatusCode::NOT_FOUND,
        C::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        C::NameTaken
        | C::PlanTaken
        | C::PlanInUse
        | C::LabelTaken
        | C::DeviceLimit
        | C::NodeTaken
        | C::NodeInUse
        | C::NodeFixed
        | C::MoveRefused
        | C::TokenLimit
        | C::LastOwner
        | C::LastFactor
        | C::PasskeyLimit
        | C::KeyPending
        | C::WorkersUnavailable => StatusCode::CONFLICT,
        C::ChangedMeanwhile => StatusCode::PRECONDITION_FAILED,
        C::PreconditionNeeded => StatusCode::PRECONDITION_REQUIRED,
        C::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        C::MediaTypeWrong => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        C::UnknownHost => StatusCode::MISDIRECTED_REQUEST,
        C::NameMalformed
        | C::NameReserved
        | C::PasswordWeak
        | C::PlanUnknown
        | C::PlanMalformed
        | C::TimeZoneUnknown
        | C::LabelMalformed
        | C::PasskeyName
        | C::ChoiceUnknown
        | C::RoleUnknown
        | C::OperatorMalformed
        | C::KeyReused
        | C::NodeMalformed => StatusCode::UNPROCESSABLE_ENTITY,
        C::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
        C::BadConfiguration | C::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Returns the refusal of a request, complete.
pub fn refuse(failure: &Failure, client: Client) -> Response {
    let texts = client.texts;
    let status = status(failure.code);
    let problem = Problem {
        kind: format!("urn:maliknode:problem:{}", failure.code),
        title: texts.code(failure.code),
        status: status.as_u16(),
        detail: texts.failure(failure),
        code: failure.code.to_string(),
        message: failure.message.code().to_owned(),
        field: failure.field.map(field_name),
    };
    let mut response = (status, Json(problem)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(language) = HeaderValue::from_str(&texts.language().to_string()) {
        headers.insert(header::CONTENT_LANGUAGE, language);
    }
    if let Some(seconds) = wait_seconds(&failure.message) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6750, 3.1: without a token there is no error to name.
        let challenge = match failure.code {
            ErrorCode::TokenInvalid | ErrorCode::TokenExpired => "Bearer error=\"invalid_token\"",
            _ => "Bearer",
        };
        let value = HeaderValue::from_static(challenge);
        headers.insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// Returns the name of a member of the body.
fn field_name(field: Field) -> String {
    let name = serde_json::to_value(field).ok();
    name.and_then(|n| n.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Returns how long a client has to wait, where the message says it.
fn wait_seconds(message: &Message) -> Option<u64> {
    match message {
        Message::TooManyTries { seconds } | Message::NodesStarting { seconds } => Some(*seconds),
        Message::TooManyTriesMinutes { minutes } => Some(minutes * 60),
        Message::SigningInBusy => Some(2),
        _ => None,
    }
}

/// Writes the problem document of a refused request.
pub async fn render(request: Request, next: Next) -> Response {
    let client = Client::of(request.extensions());
    let response = next.run(request).await;
    let Some(Refusal(failure)) = response.extensions().get() else {
        return response;
    };
    let mut refused = refuse(failure, client);
    if let Some(tenant) = response.extensions().get::<TenantId>() {
        refused.extensions_mut().insert(*tenant);
    }
    // What other layers added, e.g. Allow.
    for (name, value) in response.headers() {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            refused.headers_mut().entry(name).or_insert(value.clone());
        }
    }
    refused
}

/// Answers a path that there is not.
pub async fn not_found() -> Refusal {
    Refusal(Failure::not_found())
}

/// Answers a method that a path does not accept.
pub async fn method_not_allowed() -> Refusal {
    let code = ErrorCode::MethodNotAllowed;
    Refusal(Failure::new(code, Message::MethodNotAllowed))
}
