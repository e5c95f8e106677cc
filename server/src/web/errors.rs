//! Answers where there is no page of the app: refusals before it, failures
//! around it, and what panics.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
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
    let id = id();
    tracing::error!(%id, cause, "a request failed");
    with_id(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something went wrong",
        "Something went wrong on our side. Try again in a moment.",
        Some(&id),
    )
}

/// Eight letters that are enough to find a line in a log. Not a secret.
fn id() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:08x}", RandomState::new().hash_one(0) as u32)
}

/// Ends every request with an answer: a panic below becomes a page with an
/// id, and so does an answer that does not come.
pub async fn bound(request: Request, next: Next) -> Response {
    let work = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => unforeseen(&words(panic.as_ref())),
        Err(_) => page(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now",
            "That took too long. Try again in a moment.",
        ),
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
