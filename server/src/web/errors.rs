//! Error pages for requests that do not reach a page of the app.

use super::language;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use domain::Failure;

/// The content security policy of error pages: a style sheet and an icon of ours,
/// and nothing else.
pub const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Returns an error page.
pub fn page(status: StatusCode, title: &str, message: &str) -> Response {
    with_id(status, title, message, None)
}

fn with_id(status: StatusCode, title: &str, message: &str, id: Option<&str>) -> Response {
    let html = app::errors::standalone_page(status.as_u16(), title, message, id);
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns the page for a failure of the core.
pub fn failure(f: &Failure) -> Response {
    let message = language::texts().failure(f);
    page(
        app::errors::status(f.code),
        app::errors::heading(f.code),
        &message,
    )
}

/// Returns the page for an unexpected error. The cause is logged with an id that the
/// page shows.
pub fn internal(cause: &str) -> Response {
    let id = control::incident_id();
    tracing::error!(%id, cause, "a request failed");
    with_id(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "Something went wrong on our side. Try again in a moment.",
        Some(&id),
    )
}

/// Returns the page for a request that an extractor could not read, with the
/// extractor's status.
pub fn unreadable(status: StatusCode) -> Response {
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            "That is too much for a form. Go back and shorten what you typed."
        }
        _ => "The server could not read that request. Go back, reload the page and try again.",
    };
    page(status, "That did not work", message)
}

/// Returns the page for a method that the path does not accept.
pub async fn method_not_allowed() -> Response {
    page(
        StatusCode::METHOD_NOT_ALLOWED,
        "That did not work",
        "That address does not accept such a request. Go back and try again.",
    )
}
