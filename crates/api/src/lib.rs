//! The REST interface at `api.<base>`: what pages can do, for programs.
//!
//! Each operation is one call of `control`; a request passes, in this order:
//!
//! 1. a guard against panics and slow answers ([`http::guard`]);
//! 2. what renders a refusal as a problem document ([`http::problem`], RFC 9457);
//! 3. the token, which becomes a permission ([`http::permission`]);
//! 4. the key of a request that may be repeated ([`http::idempotency`]);
//! 5. the operation ([`routes`]).
//!
//! There are no cookies here, so a page of another site can do nothing in a client's name.
//! The description (OpenAPI 3.1) is made from the operations themselves; what it promises
//! stays, which a test compares with `openapi.json`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod docs_page;
mod http;
mod openapi;
mod routes;
mod state;

pub use http::{
    client::{Client, CommandLine},
    problem::{refuse, status},
};
pub use openapi::openapi;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use control::Control;
use http::{guard, idempotency, permission, problem, streams::Streams};
use state::ApiState;
use tokio::sync::watch;

/// The routers of the interface.
pub struct Api {
    /// Answers `api.<base>`.
    pub router: Router,
    /// Answers the published calls, which `<base>` has too: [`is_published`].
    pub published: Router,
}

/// Returns whether a path is one of the published calls.
pub fn is_published(path: &str) -> bool {
    matches!(path, "/api/auth/login" | "/api/peers")
}

/// Lets requests through to this router that have an operator's token, with any access. The
/// others are refused as the interface refuses them.
pub fn for_operators(control: Control, closing: watch::Receiver<bool>, router: Router) -> Router {
    let state = ApiState {
        control,
        streams: Streams::default(),
        closing,
    };
    router.route_layer((
        from_fn(guard::catch_panic_and_timeout),
        from_fn(problem::render),
        from_fn_with_state(state, permission::grant),
        from_fn(permission::require_operator),
    ))
}

/// Builds the interface. Every request has a [`Client`] as an extension; streams end once
/// `closing` becomes true.
pub fn api(control: Control, closing: watch::Receiver<bool>) -> Api {
    let state = ApiState {
        control,
        streams: Streams::default(),
        closing,
    };
    let repeats = from_fn_with_state(state.clone(), idempotency::answer_again);
    let grants = from_fn_with_state(state.clone(), permission::grant);
    let (granted, _) = routes::granted().split_for_parts();
    let (open, _) = routes::open().split_for_parts();
    let (published, _) = routes::published().split_for_parts();
    let published = published
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(state.clone());
    let router = granted
        .route_layer((grants, repeats))
        .merge(open)
        .merge(docs_page::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(state)
        .merge(published.clone());
    // Together: each call of `layer` boxes every route, and each layer outside clones the box.
    let guarded = |router: Router| {
        router.layer((
            from_fn(guard::catch_panic_and_timeout),
            from_fn(problem::render),
        ))
    };
    Api {
        router: guarded(router),
        published: guarded(published),
    }
}
