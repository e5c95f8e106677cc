//! The web: from the socket to the pages, in this order.
//!
//! 1. every answer ends and carries the security headers ([`errors::bound`],
//!    [`headers`]); what names no path is refused ([`errors::with_path`]);
//! 2. the host is found out ([`host`]): one of ours, or 421;
//! 3. a change comes from this very host ([`origin`]);
//! 4. by host: the pages, or a tenant's AdGuard Home ([`proxy`]);
//! 5. the session becomes a permission ([`scope`]); a tenant's host without a
//!    tenant is a 421 too;
//! 6. the route answers.

pub mod arrive;
pub mod authority;
pub mod errors;
pub mod files;
pub mod headers;
pub mod host;
pub mod live;
pub mod onward;
pub mod origin;
pub mod places;
pub mod proxy;
pub mod recorder;
pub mod scope;
pub mod session;
pub mod tenant;

use axum::{
    Extension, Router,
    extract::{FromRef, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use control::Control;
use domain::Failure;
use host::{Asked, Asking, Site};
use leptos::prelude::{Env, LeptosOptions, provide_context};
use leptos_axum::{AxumRouteListing, LeptosRoutes, generate_route_list};
use recorder::Recorder;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{Sessions, Store};
use tokio::sync::watch;
use tower::ServiceExt;
use tower_http::limit::RequestBodyLimitLayer;

/// Largest form, bytes. The largest honest one is a sign-up with a password of
/// a kilobyte.
const FORM: usize = 64 * 1024;

/// What the web is made of.
pub struct WebParts {
    /// The core.
    pub control: Control,
    /// The database, for sessions and health.
    pub store: Store,
    /// The installation's name and place on the web.
    pub site: Site,
    /// Where the pages' files are.
    pub files: PathBuf,
    /// Becomes true when the server ends, so that streams end too.
    pub closing: watch::Receiver<bool>,
}

/// What every request may need. Cheap to clone.
#[derive(Clone)]
pub struct WebState {
    control: Control,
    store: Store,
    sessions: Sessions,
    site: Arc<Site>,
    leptos: LeptosOptions,
    streams: places::Places,
    forwarded: places::Places,
    proxy: proxy::Client,
    closing: watch::Receiver<bool>,
}

impl WebState {
    /// Whether browsers reach us by TLS.
    fn is_tls(&self) -> bool {
        self.site.scheme == "https"
    }
}

impl FromRef<WebState> for LeptosOptions {
    fn from_ref(state: &WebState) -> Self {
        state.leptos.clone()
    }
}

/// The web, and what it consists of.
pub struct Web {
    /// Answers every request.
    pub router: Router,
    /// Our own routes on the hosts with pages, as (method, path).
    pub routes: Vec<(&'static str, &'static str)>,
    /// The same on the hosts of AdGuard Homes, besides the proxy.
    pub dns_routes: Vec<(&'static str, &'static str)>,
    /// The pages' paths.
    pub pages: Vec<String>,
}

/// Puts the web together.
pub fn web(parts: WebParts) -> Web {
    let tls = parts.site.scheme == "https";
    let leptos = leptos_options(&parts.files);
    let state = WebState {
        sessions: Sessions::new(parts.store.clone()),
        control: parts.control,
        store: parts.store,
        site: Arc::new(parts.site),
        leptos,
        streams: places::Places::of(live::STREAMS),
        forwarded: places::Places::of(proxy::AT_ONCE),
        proxy: proxy::Client::new(),
        closing: parts.closing,
    };
    let sessions = session::layer(state.sessions.clone(), tls);
    let listings = generate_route_list(app::App);
    let pages = listings
        .iter()
        .map(|l: &AxumRouteListing| l.path().to_owned())
        .collect();

    let (own, routes) = Recorder::new()
        .get("/arrive", arrive::arrive)
        .post("/operator/sign-in", arrive::operator_sign_in)
        .post("/sign-out", arrive::sign_out)
        .get("/devices/{id}/config", tenant::config)
        .get("/dns/open", tenant::dns_open)
        .get("/live", live::dashboard)
        .get("/progress/live", live::progress)
        .finish();
    let (head, control) = (app::Head::new(state.leptos.clone()), state.control.clone());
    let context = move || provide_context(control.clone());
    let not_found = {
        let head = head.clone();
        leptos_axum::render_app_async_with_context(context.clone(), move || app::shell(&head))
    };
    let with_pages = own
        .leptos_routes_with_context(&state, listings, context, move || app::shell(&head))
        .fallback(not_found)
        .method_not_allowed_fallback(errors::wrong_method)
        .layer(from_fn_with_state(state.clone(), scope::grant))
        .layer(sessions.clone())
        .layer(from_fn(session::let_go))
        .layer(RequestBodyLimitLayer::new(FORM))
        .layer(from_fn(small))
        .with_state(state.clone());
    // Without a session: the browser asks for these with every page.
    let with_pages = Router::new()
        .nest("/pkg", files::package(&parts.files))
        .fallback_service(with_pages);

    let (dns, dns_routes) = Recorder::new()
        .get("/arrive", arrive::arrive)
        .post("/sign-out", proxy::sign_out)
        .finish();
    let dns = dns
        .fallback(proxy::forward)
        .method_not_allowed_fallback(errors::wrong_method)
        .layer(from_fn_with_state(state.clone(), scope::grant))
        .layer(sessions)
        .layer(from_fn(session::let_go))
        .with_state(state.clone());

    let hosts = Router::new()
        .fallback(by_host)
        .with_state(Hosts {
            pages: with_pages,
            dns,
        })
        .layer(from_fn(origin::check))
        .layer(from_fn_with_state(state.site.clone(), host::find));
    let router = Router::new()
        .route("/healthz", get(healthz))
        .with_state(state)
        .merge(files::everywhere(&parts.files))
        .fallback_service(hosts)
        .layer(from_fn(errors::with_path))
        .layer(from_fn(errors::bound))
        .layer(from_fn_with_state(headers::Tls(tls), headers::add))
        .layer(from_fn(seen));
    Web {
        router,
        routes,
        dns_routes,
        pages,
    }
}

/// How pages name their scripts and styles: as in Cargo.toml, because a plain
/// `cargo build` knows nothing of it.
fn leptos_options(files: &Path) -> LeptosOptions {
    // cargo-leptos leaves the hashes beside the program; a package may have
    // them with the files. Without them, names have no hash (and Leptos would
    // panic at every page if told otherwise).
    let beside = std::env::current_exe().ok();
    let hashes = [beside.as_deref().and_then(Path::parent), Some(files)]
        .into_iter()
        .flatten()
        .map(|folder| folder.join("hash.txt"))
        .find(|path| path.is_file());
    LeptosOptions::builder()
        .output_name("maliknode")
        .site_root(files.to_string_lossy().as_ref())
        .site_pkg_dir("pkg")
        .hash_files(hashes.is_some())
        .hash_file(hashes.unwrap_or_default().to_string_lossy().into())
        .env(Env::PROD)
        .build()
}

/// The routers by kind of host.
#[derive(Clone)]
struct Hosts {
    pages: Router,
    dns: Router,
}

async fn by_host(
    State(hosts): State<Hosts>,
    Extension(asking): Extension<Asking>,
    request: Request,
) -> Response {
    let router = match asking.asked {
        Asked::Base | Asked::Tenant(_) | Asked::Operator => hosts.pages,
        Asked::Dns(_) => hosts.dns,
        Asked::Api => return nothing_yet(),
    };
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// `api.<base>`: kept for the REST interface.
fn nothing_yet() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    let body = serde_json::to_string(&Failure::not_found()).unwrap_or_default();
    (StatusCode::NOT_FOUND, json, body).into_response()
}

/// Whether the server and its database work, on any host.
async fn healthz(State(state): State<WebState>) -> Response {
    match state.store.health().await {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(e) => {
            tracing::warn!(error = ?e, "not healthy");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database does not answer.\n",
            )
                .into_response()
        }
    }
}

/// A form that says it is too large is told so by a page; one that only turns
/// out to be is cut off by the limit below.
async fn small(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|l| l > FORM as u64) {
        return errors::page(
            StatusCode::PAYLOAD_TOO_LARGE,
            "That did not work",
            "That is too much for a form. Go back and shorten what you typed.",
        );
    }
    next.run(request).await
}

/// A line per request for who asks for it (`MALIKNODE_LOG=server=debug`).
/// Without the query, which may hold a ticket, and without the client's
/// address, which is nobody's business.
async fn seen(request: Request, next: Next) -> Response {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let host = request.headers().get(header::HOST).cloned();
    let begun = std::time::Instant::now();
    let response = next.run(request).await;
    tracing::debug!(%method, ?host, path, status = response.status().as_u16(), took = ?begun.elapsed(), "answered");
    response
}
