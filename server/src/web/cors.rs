//! Pages of other sites that may call the REST interface (Fetch Standard, "CORS protocol"):
//! none, unless the setting `api.cors_origins` names their origins. They send a token that they
//! have; cookies are not sent, and would be nothing here.

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
};
use std::time::Duration;
use tower::ServiceExt;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// For how long a browser need not ask again.
const MAX_AGE: Duration = Duration::from_secs(600);

/// What a page may send besides what every page may.
const REQUEST_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    HeaderName::from_static("idempotency-key"),
];

/// What a page may read besides what every page may.
const ANSWER_HEADERS: [HeaderName; 7] = [
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    header::CONTENT_DISPOSITION,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("idempotency-replayed"),
];

/// Lets pages of these origins call the router. All others are answered as without it.
pub fn allow(router: Router, origins: &[String]) -> Router {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|o| o.parse().ok()).collect();
    if origins.is_empty() {
        return router;
    }
    let methods = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let named = router.clone().layer(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins.clone()))
            .allow_methods(methods)
            .allow_headers(REQUEST_HEADERS)
            .expose_headers(ANSWER_HEADERS)
            .max_age(MAX_AGE),
    );
    Router::new().fallback(async move |request: Request| {
        let origin = request.headers().get(header::ORIGIN);
        let is_named = origin.is_some_and(|origin| origins.contains(origin));
        let router = if is_named { named } else { router };
        router.oneshot(request).await
    })
}
