//! What a session is bound to: the browser that signed in, the host, the dashboard's
//! session from which it was created, the operator's password.

use crate::{
    client::Answer,
    is_refusal,
    stack::{BASE, Stack},
};
use axum::http::{Method, StatusCode};

const HOST: &str = "alice.localhost:8085";
const DNS: &str = "alice-dns.localhost:8085";
const ADMIN: &str = "admin.localhost:8085";

/// Returns the cookie that an answer sets, as a browser sends it back.
fn cookie(answer: &Answer) -> String {
    let set = answer.cookie.as_deref().expect("a session");
    set.split(';').next().unwrap().to_owned()
}

async fn is_signed_in(s: &Stack, host: &str, cookie: &str) -> bool {
    s.get(host, "/", Some(cookie)).await.status == StatusCode::OK
}

/// Returns whether AdGuard Home's host treats the client as signed out. It requests
/// a path that is refused even with a session, so that no connection to AdGuard Home
/// is made.
async fn is_signed_out(s: &Stack, cookie: &str) -> bool {
    let answer = s.get(DNS, "/control/update", Some(cookie)).await;
    let redirected =
        answer.status.is_redirection() || answer.status == StatusCode::MISDIRECTED_REQUEST;
    assert!(
        redirected || answer.status == StatusCode::NOT_FOUND,
        "{answer:?}"
    );
    redirected
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_again_replaces_the_session() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let (ticket, arrival) = s.ticket("alice").await;
    let url = format!("/arrive?ticket={ticket}");
    let cookies = format!("{}; {arrival}", alice.cookie);
    let again = s.get(HOST, &url, Some(&cookies)).await;
    assert_ne!(cookie(&again), alice.cookie, "the id is a new one");
    assert!(is_signed_in(&s, HOST, &cookie(&again)).await);
    assert!(
        !is_signed_in(&s, HOST, &alice.cookie).await,
        "the first session has ended"
    );

    let first = s.operator().await;
    let again = s.operator_sign_in(Some(&first)).await;
    assert_ne!(again, first);
    assert!(is_signed_in(&s, ADMIN, &again).await && !is_signed_in(&s, ADMIN, &first).await);

    // An id that was never a session does not become one.
    let planted = "mn_session=AAAAAAAAAAAAAAAAAAAAAA";
    assert_ne!(s.operator_sign_in(Some(planted)).await, planted);
    assert!(!is_signed_in(&s, ADMIN, planted).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn adguard_homes_session_ends_with_the_dashboards() {
    let s = Stack::new().await;
    let [one, two] = [s.sign_up("alice").await, s.sign_in("alice").await];
    let out = async |cookie: &str| is_signed_out(&s, cookie).await;
    assert!(!out(&one.dns_cookie).await && !out(&two.dns_cookie).await);
    s.post(HOST, "/sign-out", "", Some(&one.cookie)).await;
    assert!(out(&one.dns_cookie).await);
    assert!(
        !out(&two.dns_cookie).await,
        "another browser stays signed in"
    );
    assert!(is_signed_in(&s, HOST, &two.cookie).await);
    s.delete("alice").await;
    assert!(out(&two.dns_cookie).await);
    s.sign_up("alice").await;
    assert!(
        out(&two.dns_cookie).await,
        "the next tenant with that name is another one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_operators_sessions() {
    let s = Stack::new().await;
    let cookie = s.operator().await;
    assert!(is_signed_in(&s, ADMIN, &cookie).await);
    s.reset_operator().await;
    assert!(is_refusal(&s.get(ADMIN, "/", Some(&cookie)).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_refused_on_another_host() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    s.sign_up("mallory").await;
    for host in ["mallory.localhost:8085", DNS, ADMIN, BASE] {
        let (ticket, arrival) = s.ticket("alice").await;
        let url = format!("/arrive?ticket={ticket}");
        let answer = s.get(host, &url, Some(&arrival)).await;
        assert!(is_refusal(&answer) && !answer.signs_in, "{host} {answer:?}");
    }
    let alice = s.sign_in("alice").await;
    for host in [HOST, "mallory-dns.localhost:8085", "mallory.localhost:8085"] {
        let (path, arrival) = s.dns_ticket("alice", &alice.cookie).await;
        let answer = s.get(host, &path, Some(&arrival)).await;
        assert!(is_refusal(&answer) && !answer.signs_in, "{host} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_needs_the_browser_that_asked() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let (ticket, arrival) = s.ticket("alice").await;
    let url = format!("/arrive?ticket={ticket}");
    let (_, other) = s.ticket("alice").await;
    let planted = format!("mn_handoff={ticket}");
    for cookie in [None, Some(other.as_str()), Some(planted.as_str())] {
        let answer = s.get(HOST, &url, cookie).await;
        assert!(is_refusal(&answer) && !answer.signs_in, "{answer:?}");
    }
    // A bound ticket is none of this host's own, and other browsers do not use it up.
    let own = s.get(HOST, "/arrive", Some(&planted)).await;
    assert!(is_refusal(&own) && !own.signs_in, "{own:?}");
    assert!(s.get(HOST, &url, Some(&arrival)).await.signs_in);

    let alice = s.sign_in("alice").await;
    let (path, arrival) = s.dns_ticket("alice", &alice.cookie).await;
    let stranger = s.get(DNS, &path, None).await;
    assert!(is_refusal(&stranger) && !stranger.signs_in, "{stranger:?}");
    assert!(s.get(DNS, &path, Some(&arrival)).await.signs_in);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_at_the_base_reaches_its_own_browser() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let ticket = s.unbound_ticket("alice").await;
    let unbound = s.get(HOST, &format!("/arrive?ticket={ticket}"), None).await;
    assert!(is_refusal(&unbound) && !unbound.signs_in, "{unbound:?}");

    let begun = s.get(HOST, "/arrive?from=base&to=%2Fdevices", None).await;
    let arrival = begun.set_cookie("mn_arrival").expect("a nonce");
    let back = begun.location.expect("a redirect to the base");
    let back = back.strip_prefix("http://localhost:8085").unwrap();
    let nonce = arrival.strip_prefix("mn_arrival=").unwrap();
    assert!(!back.contains(nonce), "only the hash is sent on: {back}");
    // A browser without the sign-in gets nothing, and the sign-in is still there.
    let stranger = s.get(BASE, back, None).await;
    assert!(is_refusal(&stranger), "{stranger:?}");
    let issued = format!("mn_handoff={ticket}");
    let bound = s.get(BASE, back, Some(&issued)).await;
    let to = bound.location.expect("a redirect with the ticket");
    let to = to.strip_prefix("http://alice.localhost:8085").unwrap();
    assert!(!s.get(HOST, to, None).await.signs_in);
    let answer = s.get(HOST, to, Some(&arrival)).await;
    assert!(answer.signs_in && answer.location.as_deref() == Some("/devices"));
    let again = s.get(BASE, back, Some(&issued)).await;
    assert!(is_refusal(&again), "a ticket is bound once: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_on_adguard_homes_host_change_nothing() {
    let s = Stack::new().await;
    let [alice, mallory] = [s.sign_up("alice").await, s.sign_up("mallory").await];
    let before = s.snapshot().await;
    for cookie in [None, Some(mallory.dns_cookie.as_str())] {
        let answer = s.get(DNS, "/arrive?ticket=made-up", cookie).await;
        assert!(is_refusal(&answer) && !answer.signs_in, "{answer:?}");
    }
    assert_eq!(before, s.snapshot().await);
    for cookie in [None, Some(mallory.dns_cookie.as_str())] {
        s.post(DNS, "/sign-out", "", cookie).await;
    }
    assert!(!is_signed_out(&s, &alice.dns_cookie).await);
    assert!(is_signed_in(&s, HOST, &alice.cookie).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_adguard_homes_host_needs_its_origin() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.sign_up("mallory").await;
    for (method, path) in [
        (Method::POST, "/control/protection"),
        (Method::POST, "/sign-out"),
        (Method::PUT, "/control/rewrite/update"),
    ] {
        for origin in [
            Some("http://alice.localhost:8085"),
            Some("http://mallory.localhost:8085"),
            Some("http://mallory-dns.localhost:8085"),
            Some("null"),
            None,
        ] {
            let cookie = Some(alice.dns_cookie.as_str());
            let answer = s.send_from(method.clone(), DNS, path, cookie, origin).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {origin:?}");
        }
    }
    let out = s.post(DNS, "/sign-out", "", Some(&alice.dns_cookie)).await;
    assert_eq!(
        out.location.as_deref(),
        Some("http://alice.localhost:8085/")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_returns_to_adguard_home() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let sent = s.get(DNS, "/", None).await;
    assert_eq!(
        sent.location.as_deref(),
        Some("http://alice.localhost:8085/dns/open")
    );
    let refused = s.get(HOST, "/dns/open", None).await;
    assert_eq!(refused.location.as_deref(), Some("/sign-in"));
    let return_to = refused.headers["set-cookie"].to_str().unwrap();
    let return_to = return_to.split(';').next().unwrap().to_owned();
    let redeem = async |cookie: &str| {
        let (ticket, arrival) = s.ticket("alice").await;
        let url = format!("/arrive?ticket={ticket}&to=%2F");
        s.get(HOST, &url, Some(&format!("{cookie}; {arrival}")))
            .await
    };
    let answer = redeem(&return_to).await;
    assert_eq!(answer.location.as_deref(), Some("/dns/open"));
    assert!(answer.signs_in);
    let set = answer.headers.get_all("set-cookie").iter();
    let mut set = set.map(|v| v.to_str().unwrap());
    assert!(
        set.any(|c| c.starts_with("mn_return_to=;") && c.contains("Max-Age=0")),
        "the cookie is removed"
    );
    for evil in [
        "mn_return_to=//evil.example/",
        "mn_return_to=https://evil.example",
    ] {
        assert_eq!(redeem(evil).await.location.as_deref(), Some("/"));
    }
}
