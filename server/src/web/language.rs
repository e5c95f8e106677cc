//! The language of an answer: the one that the request prefers (`Accept-Language`).

use axum::{
    extract::Request,
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use texts::Texts;

tokio::task_local! {
    static TEXTS: &'static Texts;
}

/// Makes [`texts`] return what the request prefers, while it is answered.
pub async fn set_language(request: Request, next: Next) -> Response {
    TEXTS
        .scope(preferred(request.headers()), next.run(request))
        .await
}

/// Returns the texts for the request that this task answers; English elsewhere.
pub fn texts() -> &'static Texts {
    TEXTS
        .try_with(|texts| *texts)
        .unwrap_or_else(|_| texts::english())
}

fn preferred(headers: &HeaderMap) -> &'static Texts {
    let header = headers.get(header::ACCEPT_LANGUAGE);
    header
        .and_then(|value| value.to_str().ok())
        .map_or_else(texts::english, texts::preferred)
}
