//! Answers where there is no page of the app: refusals before it, failures
//! around it, and what panics.

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use domain::Failure;
use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

/// The policy of our error pages: two files of ours and nothing else.
pub const POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Longest wait for the head of an answer. Streams begin at once and are not
/// bound by it; AdGuard Home may take a while to check a list.
const PATIENCE: Duration = Duration::from_secs(60);

/// An error page.
pub fn page(status: StatusCode, title: &str, sentence: &str) -> Response {
    with_id(status, title, sentence, None)
}

fn with_id(status: StatusCode, title: &str, sentence: &str, id: Option<&str>) -> Response {
    let html = app::errors::page(status.as_u16(), title, sentence, id);
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The page for a failure of the core.
pub fn failure(f: &Failure) -> Response {
    let status = StatusCode::from_u16(f.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let title = match status.as_u16() {
        401 => "Signed out",
        403 => "Not allowed",
        404 => "Not found",
        429 => "Too many tries",
        503 => "Not now",
        500.. => "Something went wrong",
        _ => "That did not work",
    };
    page(status, title, &f.sentence)
}

/// What we did not foresee: the cause goes to the log under an id that the
/// page shows.
pub fn unforeseen(cause: &str) -> Response {
    let id = control::incident_id();
    tracing::error!(%id, cause, "a request failed");
    with_id(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "Something went wrong on our side. Try again in a moment.",
        Some(&id),
    )
}

/// The page for a request that an extractor could not read, with its status.
pub fn unreadable(status: StatusCode) -> Response {
    let sentence = match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            "That is too much for a form. Go back and shorten what you typed."
        }
        _ => "The server could not read that request. Go back, reload the page and try again.",
    };
    page(status, "That did not work", sentence)
}

/// The page for a method that the address does not take.
pub async fn wrong_method() -> Response {
    page(
        StatusCode::METHOD_NOT_ALLOWED,
        "That did not work",
        "That address cannot be asked in this way. Go back and try again.",
    )
}

/// Refuses what names no path of ours (CONNECT, `OPTIONS *`): everything
/// behind this takes one for granted.
pub async fn with_path(request: Request, next: Next) -> Response {
    if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return wrong_method().await;
    }
    next.run(request).await
}

/// Ends every request with an answer: a panic below becomes a page with an
/// id, and so does an answer that does not come.
pub async fn bound(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).cloned();
    let path = request.uri().path().to_owned();
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => unforeseen(&words(panic.as_ref())),
        Err(_) => {
            // Not the query, which may hold a ticket.
            tracing::warn!(?host, path, "no answer in time");
            page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "That took too long. Try again in a moment.",
            )
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware, routing::get};
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_becomes_a_page_with_an_id() {
        async fn broken() -> &'static str {
            panic!("boom")
        }
        let app = Router::new()
            .route("/", get(broken))
            .layer(middleware::from_fn(bound));
        let answer = app.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            body.contains("quote <code>") && !body.contains("boom"),
            "{body}"
        );
    }
}
