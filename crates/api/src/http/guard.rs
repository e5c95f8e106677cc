//! Ends every request with an answer.

use super::{client::Client, problem::refuse};
use axum::{extract::Request, middleware::Next, response::Response};
use domain::{ErrorCode, Failure, Message};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};

/// The longest wait for the head of an answer. A change waits 3 s for its node.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers a panic with an id, which is in the log with its cause, and a request that takes
/// too long with a refusal.
pub async fn catch_panic_and_timeout(request: Request, next: Next) -> Response {
    let client = Client::of(request.extensions());
    let path = request.uri().path().to_owned();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let failure = match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(response)) => return response,
        Ok(Err(panic)) => {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let message = |incident| Message::InternalError { incident };
            control::internal(&text.unwrap_or_default(), message)
        }
        Err(_) => {
            tracing::warn!(path, "no answer in time");
            Failure::new(ErrorCode::Busy, Message::AnswerTimedOut)
        }
    };
    refuse(&failure, client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, http::StatusCode, middleware::from_fn, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_is_a_problem_with_an_id() {
        async fn broken() -> &'static str {
            panic!("boom")
        }
        let router = Router::new()
            .route("/", get(broken))
            .layer(from_fn(catch_panic_and_timeout));
        let answer = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "internal");
        assert!(!problem.to_string().contains("boom"), "{problem}");
    }
}
