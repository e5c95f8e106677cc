//! The pages' files: scripts and styles with a hash in their names, which never
//! change, and six small files that every host serves.

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use std::path::Path;
use tower_http::services::{ServeDir, ServeFile};

/// The files that every host serves, even an unknown one: its error page needs
/// them.
pub const EVERYWHERE: [&str; 6] = [
    "/theme.js",
    "/passkey.js",
    "/time-zone.js",
    "/favicon.svg",
    "/error.css",
    "/robots.txt",
];

/// Serves `/pkg/*` from the folder that cargo-leptos fills. The `.br` or `.gz` file
/// beside a file is sent where the browser accepts it.
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

/// Serves the files of [`EVERYWHERE`].
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

/// Lets browsers cache a successful answer, but not that a file is missing.
fn cached(mut response: Response, how: &'static str) -> Response {
    if response.status().is_success() || response.status() == axum::http::StatusCode::NOT_MODIFIED {
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static(how));
    }
    response
}
