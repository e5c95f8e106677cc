//! HTTP, from the socket to the pages. A request passes, in this order:
//!
//! 1. the security headers, a guard against panics and slow answers, and a check
//!    that the request has a path ([`middleware`]);
//! 2. the host, which is one of the installation's or answered with 421 ([`hosts`]);
//! 3. the origin: a change must come from this host ([`origin`]);
//! 4. by host, the pages, a tenant's AdGuard Home ([`proxy`]) or the REST interface (the crate
//!    `api`);
//! 5. the session, which becomes a permission ([`auth::scope`]); a host of no
//!    tenant is answered with 421 too;
//! 6. the route's handler.

pub mod audit_export;
pub mod auth;
pub mod authority;
pub mod cors;
pub mod errors;
pub mod files;
pub mod host_label;
pub mod hosts;
pub mod language;
pub mod live;
pub mod metrics;
pub mod middleware;
pub mod origin;
pub mod per_tenant_limit;
pub mod proxy;
pub mod redirect;
pub mod route_table;
pub mod state;
pub mod tenant_routes;
pub mod trace_context;

use crate::{health, metrics::Metrics};
use auth::{arrival, handoff, scope, session};
use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware::{from_fn, from_fn_with_state},
    response::Response,
};
use control::Control;
use hosts::{RequestInfo, Site, VirtualHost};
use leptos::prelude::{Env, LeptosOptions, provide_context};
use leptos_axum::{AxumRouteListing, LeptosRoutes, generate_route_list};
use middleware::{
    headers::{Tls, add_security_headers},
    observe::{Observation, note_route, observe},
};
use per_tenant_limit::PerTenantLimit;
use route_table::RouteTable;
use state::WebState;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{Sessions, Store};
use tokio::sync::watch;
use tower::ServiceExt;
use tower_http::limit::RequestBodyLimitLayer;

/// What [`web`] needs.
pub struct WebParts {
    pub control: Control,
    /// For sessions.
    pub store: Store,
    pub metrics: Metrics,
    pub site: Site,
    /// The folder of the pages' files.
    pub files: PathBuf,
    /// Becomes true when the server shuts down, so that streams end too.
    pub closing: watch::Receiver<bool>,
}

/// The router, and a list of its routes.
pub struct Web {
    /// Answers every request.
    pub router: Router,
    /// The routes beside the pages on the hosts with pages, as (method, path).
    pub routes: Vec<(&'static str, &'static str)>,
    /// The routes beside the proxy on the hosts of AdGuard Homes.
    pub dns_routes: Vec<(&'static str, &'static str)>,
    /// The paths of the pages.
    pub pages: Vec<String>,
    /// Answers `api.<base>` alone, for the command line.
    pub api: Router,
}

/// Builds the router.
pub fn web(parts: WebParts) -> Web {
    let tls = parts.site.scheme == "https";
    let leptos = leptos_options(&parts.files);
    let state = WebState {
        sessions: Sessions::new(parts.store.clone()),
        proxy: proxy::Client::new(parts.control.clone()),
        control: parts.control,
        site: Arc::new(parts.site),
        leptos,
        streams: PerTenantLimit::new(live::MAX_STREAMS),
        forwarded: PerTenantLimit::new(proxy::MAX_REQUESTS),
        closing: parts.closing,
    };
    let sessions = session::layer(state.sessions.clone(), tls);
    let listings = generate_route_list(app::App);
    let pages = listings
        .iter()
        .map(|l: &AxumRouteListing| l.path().to_owned())
        .collect();

    let (own, routes) = RouteTable::new()
        .get("/arrive", arrival::arrive)
        .get("/hand-over", arrival::hand_over)
        .post("/operator/sign-in", handoff::operator_sign_in)
        .post("/operator/sign-in/code", handoff::operator_second_step)
        .post("/operator/sign-in/passkey", handoff::operator_passkey)
        .post("/sign-out", handoff::sign_out)
        .get("/audit/export", audit_export::audit_export)
        .get("/account/audit/export", audit_export::account_audit_export)
        .get("/devices/{id}/config", tenant_routes::config)
        .get("/dns/open", tenant_routes::dns_open)
        .get("/live/overview", live::overview)
        .get("/live/network", live::network)
        .get("/live/devices/{id}", live::device)
        .get("/live/progress", live::progress)
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
        .method_not_allowed_fallback(errors::method_not_allowed)
        .layer(from_fn(note_route))
        .layer(from_fn_with_state(state.clone(), scope::grant))
        .layer(sessions.clone())
        .layer(from_fn(session::fix_cookie_removal))
        .layer(RequestBodyLimitLayer::new(middleware::MAX_FORM))
        .layer(from_fn(middleware::limit_form_size))
        .with_state(state.clone());
    // These need no session, and browsers request them with every page.
    let with_pages = Router::new()
        .nest("/pkg", files::package(&parts.files))
        .fallback_service(with_pages);

    let (dns, dns_routes) = RouteTable::new()
        .get("/arrive", arrival::arrive)
        .post("/sign-out", proxy::sign_out)
        .finish();
    let dns = dns
        .fallback(proxy::forward)
        .method_not_allowed_fallback(errors::method_not_allowed)
        .layer(from_fn_with_state(state.clone(), scope::grant))
        .layer(sessions)
        .layer(from_fn(session::fix_cookie_removal))
        .with_state(state.clone());

    let api = api::api(state.control.clone(), state.closing.clone());
    let command_line = api.router.clone();
    let hosts = Router::new()
        .fallback(by_host)
        .with_state(Hosts {
            site: state.site.clone(),
            pages: with_pages.layer(from_fn(note_route)),
            dns: dns.layer(from_fn(note_route)),
            api: cors::allow(
                api.router.merge(metrics::routes(
                    state.control.clone(),
                    parts.metrics.clone(),
                    state.closing.clone(),
                )),
                &state.site.cors_origins,
            )
            .layer(from_fn(note_route)),
            published: api.published.layer(from_fn(note_route)),
        })
        // The first one of several is the outermost. Each call of `layer` boxes every route, and
        // a box is cloned by each layer outside of it, for each request: so there is one call.
        .layer((
            from_fn_with_state(state.site.clone(), hosts::resolve_host),
            from_fn_with_state(state.site.clone(), origin::check),
        ));
    let observation = Observation {
        site: state.site.clone(),
        metrics: parts.metrics.clone(),
    };
    let router = health::routes(parts.metrics.readiness().clone())
        .merge(files::everywhere(&parts.files))
        .layer(from_fn(note_route))
        .fallback_service(hosts)
        .layer((
            from_fn_with_state(observation, observe),
            from_fn_with_state(Tls(tls), add_security_headers),
            from_fn(language::set_language),
            from_fn(middleware::catch_panic_and_timeout),
            from_fn(middleware::require_path),
        ));
    Web {
        router,
        routes,
        dns_routes,
        pages,
        api: command_line,
    }
}

/// Returns how pages name their scripts and styles. It repeats what Cargo.toml says
/// to cargo-leptos, which a plain `cargo build` ignores.
fn leptos_options(files: &Path) -> LeptosOptions {
    // cargo-leptos writes the hashes beside the program; a package may have them
    // with the files. Without them, names have no hash, and `hash_files` must be
    // false, or Leptos would panic on every page.
    let program = std::env::current_exe().ok();
    let hashes = [program.as_deref().and_then(Path::parent), Some(files)]
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

/// The routers for each kind of host.
#[derive(Clone)]
struct Hosts {
    pages: Router,
    dns: Router,
    api: Router,
    published: Router,
    site: Arc<Site>,
}

async fn by_host(
    State(hosts): State<Hosts>,
    Extension(info): Extension<RequestInfo>,
    mut request: Request,
) -> Response {
    let client = api_client(&hosts.site, &info);
    request.extensions_mut().insert(client);
    let router = match info.host {
        VirtualHost::Base if api::is_published(request.uri().path()) => hosts.published,
        VirtualHost::Base | VirtualHost::Tenant(_) | VirtualHost::Operator => hosts.pages,
        VirtualHost::Dns(_) => hosts.dns,
        VirtualHost::Api => hosts.api,
    };
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Returns what the interface is told of a client.
fn api_client(site: &Site, info: &RequestInfo) -> api::Client {
    api::Client {
        address: info.client,
        may_operate: site.answers_operators(info.client),
        texts: language::texts(),
    }
}
