//! Requests every route and every server function without permission: signed out,
//! signed in as another tenant, with a session of another host, and as the operator.
//! Then with permission, which proves that the refusals were due to the missing
//! permission.
//!
//! A new route or server function that is not in [`table`] fails the test.
// A test that cannot continue panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api;
mod api_acts;
mod api_client;
mod api_logs;
mod api_requests;
mod api_rules;
mod api_script;
mod api_table;
mod api_tools;
mod client;
mod device_files;
mod edges;
mod events;
mod keys;
mod live;
mod metrics;
mod nodes;
mod operators_look;
mod operators_mail;
mod pages;
mod plans;
mod roles;
mod second_factor;
mod sessions;
mod sign_ups;
mod slow;
mod stack;
mod table;
mod texts;

use axum::http::StatusCode;
use client::Answer;
use stack::{BASE, Stack};
use std::collections::BTreeSet;
use table::{Reach, table};

/// Returns whether an answer reveals nothing: a refusal, a redirect to a sign-in, or
/// a stream with the one event that says so.
fn is_refusal(answer: &Answer) -> bool {
    let leads_to_sign_in = || {
        answer.location.as_deref().is_some_and(|to| {
            to.starts_with("/sign-in")
                || to.ends_with("/dns/open")
                || to.contains("localhost:8085/sign-in?")
        })
    };
    answer.is("event: signed_out\ndata: over\n\n")
        || matches!(answer.status.as_u16(), 401 | 403 | 404 | 405 | 421)
        || (answer.status.is_redirection() && leads_to_sign_in())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_reach_no_route_of_a_tenant() {
    let s = Stack::with_worker().await;
    let [alice, mallory] = [s.sign_up("alice").await, s.sign_up("mallory").await];
    let device = s.add_device(&alice, "alices-phone").await;
    let theirs = s.add_device(&mallory, "mallorys-phone").await;
    s.record_event(Some(&alice), "drift.key_changed", "alices-phone")
        .await;
    let operator = s.operator().await;
    let before = s.snapshot().await;

    let (a, a_dns) = ("alice.localhost:8085", "alice-dns.localhost:8085");
    let admin = "admin.localhost:8085";
    // The client, the host, and the cookie.
    let strangers: Vec<(&str, &str, Option<&str>)> = vec![
        ("signed out, on the tenant's host", a, None),
        (
            "another tenant, on the tenant's host",
            a,
            Some(&mallory.cookie),
        ),
        (
            "with the tenant's AdGuard session, on the tenant's host",
            a,
            Some(&alice.dns_cookie),
        ),
        ("the operator, on the tenant's host", a, Some(&operator)),
        ("signed out, on the operator's host", admin, None),
        (
            "a tenant, on the operator's host",
            admin,
            Some(&alice.cookie),
        ),
        (
            "a tenant, on the landing page's host",
            BASE,
            Some(&alice.cookie),
        ),
        (
            "the operator, on the landing page's host",
            BASE,
            Some(&operator),
        ),
        (
            "with a made-up cookie",
            a,
            Some("mn_session=AAAAAAAAAAAAAAAAAAAAAA"),
        ),
        ("with a malformed cookie", a, Some("mn_session=../../x")),
    ];
    for route in table(&device, "alice", &s.tenant_id(&alice).await) {
        for (who, host, cookie) in &strangers {
            if route.is_open_to(host, *cookie == Some(operator.as_str())) {
                continue;
            }
            let answer = s.request(&route, host, *cookie).await;
            assert!(
                !answer.contains("alices-phone"),
                "{who}: {route:?} reveals it: {answer:?}"
            );
            assert!(is_refusal(&answer), "{who}: {route:?} answered {answer:?}");
            assert!(!answer.signs_in, "{who}: {route:?} made a session");
        }
        // The client's own host, with another tenant's object.
        if route.reach == Reach::Tenant
            && (route.path.contains("{id}")
                || route.path.contains(":id")
                || route.body.contains("id="))
        {
            let answer = s
                .request(&route, "mallory.localhost:8085", Some(&mallory.cookie))
                .await;
            assert_eq!(
                answer.status,
                StatusCode::NOT_FOUND,
                "another tenant's object: {route:?} {answer:?}"
            );
        }
    }
    // The proxy, on AdGuard Home's host.
    for path in [
        "/",
        "/control/status",
        "/control/clients",
        "/assets/favicon.png",
    ] {
        for (who, cookie) in [
            ("signed out", None),
            ("the dashboard's session", Some(alice.cookie.as_str())),
            (
                "another tenant's AdGuard session",
                Some(mallory.dns_cookie.as_str()),
            ),
            ("another tenant's session", Some(mallory.cookie.as_str())),
            ("the operator", Some(operator.as_str())),
        ] {
            let answer = s.get(a_dns, path, cookie).await;
            assert!(is_refusal(&answer), "{who}: {path} {answer:?}");
        }
    }
    assert_eq!(before, s.snapshot().await, "nothing has changed");
    assert_eq!(s.device_count("mallory").await, 1, "{theirs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permitted_client_reaches_every_route() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "alices-phone").await;
    let operator = s.operator().await;
    let mut rows = table(&device, "alice", &s.tenant_id(&alice).await);
    // Routes that end or delete something are last.
    rows.sort_by_key(|r| (r.ends_the_session(), r.path.contains("delete")));
    for route in rows {
        let (host, cookie) = match route.reach {
            Reach::Public => (BASE, None),
            Reach::Tenant | Reach::Account | Reach::SignOut => {
                ("alice.localhost:8085", Some(alice.cookie.as_str()))
            }
            Reach::Operator | Reach::Support | Reach::Owner => {
                ("admin.localhost:8085", Some(operator.as_str()))
            }
            Reach::OperatorSignIn => ("admin.localhost:8085", None),
        };
        if route.ends_the_session() {
            continue;
        }
        let answer = s.request(&route, host, cookie).await;
        let succeeded = answer.status.is_success() || answer.status.is_redirection();
        let refused = route.reach != Reach::OperatorSignIn
            && answer
                .location
                .as_deref()
                .is_some_and(|l| l.starts_with("/sign-in"));
        assert!(
            succeeded && !refused || route.refuses_wrong_credentials(),
            "{route:?} answered {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_in_the_table() {
    let s = Stack::new().await;
    let mut routes: BTreeSet<(String, String)> = BTreeSet::new();
    routes.extend(
        s.web
            .routes
            .iter()
            .map(|(m, p)| ((*m).to_owned(), (*p).to_owned())),
    );
    routes.extend(s.web.pages.iter().map(|p| ("GET".to_owned(), p.clone())));
    routes.extend(
        leptos::server_fn::axum::server_fn_paths()
            .map(|(path, method)| (method.to_string(), path.to_owned())),
    );
    let known: BTreeSet<(String, String)> = table("1", "alice", "1")
        .into_iter()
        .map(|r| (r.method.to_string(), r.path.to_owned()))
        .collect();
    let missing: Vec<_> = routes.difference(&known).collect();
    let removed: Vec<_> = known.difference(&routes).collect();
    assert!(
        missing.is_empty(),
        "add these to tests/web/table.rs: {missing:?}"
    );
    assert!(
        removed.is_empty(),
        "these are no longer served: {removed:?}"
    );
    assert_eq!(
        s.web.dns_routes,
        [("GET", "/arrive"), ("POST", "/sign-out")],
        "the proxy's host has no other routes of ours"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_same_origin() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "alices-phone").await;
    let before = s.snapshot().await;
    for route in table(&device, "alice", &s.tenant_id(&alice).await) {
        if route.method == axum::http::Method::GET {
            continue;
        }
        for origin in [
            Some("http://mallory.localhost:8085"),
            Some("http://alice-dns.localhost:8085"),
            Some("null"),
            None,
        ] {
            let answer = s
                .request_from(&route, "alice.localhost:8085", Some(&alice.cookie), origin)
                .await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin:?} {route:?}");
        }
        let answer = s.request(&route, "evil.example", Some(&alice.cookie)).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    }
    assert_eq!(before, s.snapshot().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_works_once_on_its_own_host() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let (ticket, arrival) = s.ticket("alice").await;
    let url = |ticket: &str| format!("/arrive?ticket={ticket}&to=//evil.example/");
    for host in [
        "mallory.localhost:8085",
        "alice-dns.localhost:8085",
        "admin.localhost:8085",
        BASE,
    ] {
        let answer = s.get(host, &url("made-up"), None).await;
        assert!(is_refusal(&answer) && !answer.signs_in, "{host} {answer:?}");
    }
    let host = "alice.localhost:8085";
    let answer = s.get(host, &url(&ticket), Some(&arrival)).await;
    assert_eq!(
        (answer.status, answer.location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/"))
    );
    let cookie = answer.cookie.expect("a session");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=86400"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let again = s.get(host, &url(&ticket), Some(&arrival)).await;
    assert_eq!(
        again.location.as_deref(),
        Some("/sign-in?error=ticket_invalid")
    );
    assert!(!again.signs_in);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_sign_out_or_tenant() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let host = "alice.localhost:8085";
    let page = |cookie: String| {
        let s = &s;
        async move { s.get(host, "/devices", Some(&cookie)).await.status }
    };
    assert_eq!(page(alice.cookie.clone()).await, StatusCode::OK);
    let out = s.post(host, "/sign-out", "", Some(&alice.cookie)).await;
    assert_eq!(out.location.as_deref(), Some("/sign-in"));
    assert!(
        page(alice.cookie.clone()).await.is_redirection(),
        "the cookie is no longer valid"
    );

    let again = s.sign_in("alice").await;
    assert_eq!(page(again.cookie.clone()).await, StatusCode::OK);
    s.delete("alice").await;
    let status = page(again.cookie.clone()).await;
    assert_eq!(
        status,
        StatusCode::MISDIRECTED_REQUEST,
        "a host without a tenant"
    );
    // A new tenant with that name is another tenant.
    s.sign_up("alice").await;
    assert!(page(again.cookie).await.is_redirection());
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_get_no_session_but_security_headers() {
    let s = Stack::new().await;
    for (host, path) in [
        (BASE, "/"),
        (BASE, "/sign-up"),
        ("alice.localhost:8085", "/sign-in"),
        (BASE, "/nothing"),
        ("evil.example", "/"),
        (BASE, "/healthz"),
        (BASE, "/pkg/none.js"),
    ] {
        let answer = s.get(host, path, None).await;
        assert!(answer.cookie.is_none(), "{host}{path}");
        for header in [
            "content-security-policy",
            "x-content-type-options",
            "referrer-policy",
            "permissions-policy",
        ] {
            assert!(
                answer.headers.contains_key(header),
                "{host}{path} has no {header}"
            );
        }
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("script-src 'unsafe"),
            "{policy}"
        );
    }
    let large = "x".repeat(70 * 1024);
    let answer = s.post(BASE, "/do/sign_up", &large, None).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}
