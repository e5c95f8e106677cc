//! The pages' files: scripts and styles with a hash in their names, which
//! never change, and four small ones that every host has.

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use std::path::Path;
use tower_http::services::{ServeDir, ServeFile};

/// What every host serves, also one we do not know: its error page needs it.
pub const EVERYWHERE: [&str; 4] = ["/theme.js", "/favicon.svg", "/error.css", "/robots.txt"];

/// `/pkg/*`: the folder cargo-leptos filled. `.br` and `.gz` beside a file
/// are sent where the browser takes them.
pub fn package(site: &Path) -> Router {
    let folder = ServeDir::new(site.join("pkg"))
        .precompressed_br()
        .precompressed_gzip();
    Router::new()
        .fallback_service(folder)
        .layer(map_response(|r| async {
            cached(r, "public, max-age=31536000, immutable")
        }))
}

/// The files of [`EVERYWHERE`].
pub fn everywhere(site: &Path) -> Router {
    EVERYWHERE
        .iter()
        .fold(Router::new(), |router, path| {
            let file = ServeFile::new(site.join(path.trim_start_matches('/')));
            router.route_service(path, file.precompressed_br().precompressed_gzip())
        })
        .layer(map_response(|r| async {
            cached(r, "public, max-age=3600")
        }))
}

/// Good answers may be kept; that a file is missing may not.
fn cached(mut response: Response, how: &'static str) -> Response {
    if response.status().is_success() || response.status() == axum::http::StatusCode::NOT_MODIFIED {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static(how));
    }
    response
}
