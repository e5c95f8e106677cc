//! What every request passes through, before it is known whose it is.

pub mod headers;
pub mod observe;

use super::errors;
use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use futures_util::FutureExt;
use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

/// The largest form, in bytes. The largest useful one is a sign-up with a password
/// of one kilobyte.
pub const MAX_FORM: usize = 64 * 1024;

/// The longest wait for the head of an answer. Streams begin at once, so it does
/// not limit them; AdGuard Home may take a while to check a list.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Refuses a request without a path (CONNECT, `OPTIONS *`): everything behind this
/// relies on a path.
pub async fn require_path(request: Request, next: Next) -> Response {
    if request.method() == Method::CONNECT || !request.uri().path().starts_with('/') {
        return errors::method_not_allowed().await;
    }
    next.run(request).await
}

/// Ends every request with an answer: a panic becomes a page with an incident id,
/// and so does an answer that takes too long.
pub async fn catch_panic_and_timeout(request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => errors::internal(&panic_message(panic.as_ref())),
        Err(_) => {
            // The line of the request says which route it was.
            tracing::warn!("no answer in time");
            errors::page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not now",
                "That took too long. Try again in a moment.",
            )
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}

/// Answers a form whose `Content-Length` is too large with a page. A form that only
/// turns out to be too large is cut off by `RequestBodyLimitLayer`.
pub async fn limit_form_size(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|l| l > MAX_FORM as u64) {
        return errors::unreadable(StatusCode::PAYLOAD_TOO_LARGE);
    }
    next.run(request).await
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
            .layer(middleware::from_fn(catch_panic_and_timeout));
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
