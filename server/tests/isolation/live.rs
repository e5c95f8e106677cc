//! Event streams: they tell their own tenant's state, and end when their
//! session, their tenant or the server does.

use crate::stack::Stack;
use axum::http::StatusCode;
use std::time::Duration;

const HOST: &str = "alice.localhost:8085";
/// A stream looks every 5 s whether its session is there.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_changes_of_its_own_tenant_only() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let mallory = s.sign_up("mallory").await;
    let mut stream = s.open(HOST, "/live", &alice.cookie).await;
    let first = stream.wait_for("\"name\":\"alice\"", SOON).await;
    assert!(first.contains("event: dashboard"), "{first}");
    s.add_device(&mallory, "mallorys-phone").await;
    s.add_device(&alice, "alices-phone").await;
    let told = stream.wait_for("alices-phone", SOON).await;
    assert!(!told.contains("mallorys-phone"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_session_its_tenant_and_the_server() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let mut signed_out = s.open(HOST, "/progress/live", &alice.cookie).await;
    signed_out.wait_for("event: progress", SOON).await;
    s.post(HOST, "/sign-out", "", Some(&alice.cookie)).await;
    signed_out.wait_for("event: signed_out", SOON).await;
    assert!(signed_out.ends(SOON).await);

    let alice = s.arrive("alice").await;
    let mut deleted = s.open(HOST, "/live", &alice.cookie).await;
    deleted.wait_for("event: dashboard", SOON).await;
    s.delete("alice").await;
    deleted.wait_for("event: signed_out", SOON).await;
    assert!(deleted.ends(SOON).await);

    let bob = s.sign_up("bob-b").await;
    let mut open = s.open("bob-b.localhost:8085", "/live", &bob.cookie).await;
    open.wait_for("event: dashboard", SOON).await;
    s.close();
    assert!(
        open.ends(Duration::from_secs(1)).await,
        "at once, so that the server can end"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_told_once_and_nothing_else() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    for path in ["/live", "/progress/live"] {
        let mut stream = s
            .open(HOST, path, "mn_session=AAAAAAAAAAAAAAAAAAAAAA")
            .await;
        let all = stream.wait_for("\n\n", SOON).await;
        assert_eq!(all, "event: signed_out\ndata: over\n\n", "{path}");
        assert!(stream.ends(SOON).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_streams_than_pages_somebody_has_open() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(s.open(HOST, "/live", &alice.cookie).await);
    }
    let one_more = s.get(HOST, "/live", Some(&alice.cookie)).await;
    assert_eq!(one_more.status, StatusCode::TOO_MANY_REQUESTS);
    open.pop();
    s.open(HOST, "/live", &alice.cookie).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_costs_nothing_and_is_told_the_last_state() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let id = s.add_device(&alice, "phone").await;
    let mut stream = s.open(HOST, "/live", &alice.cookie).await;
    stream.wait_for("event: dashboard", SOON).await;
    for n in 0..100 {
        s.rename(&alice, &id, &format!("phone {n}")).await;
    }
    let told = stream.wait_for("phone 99", SOON).await;
    let events = told.matches("event: dashboard").count();
    assert!(events <= 3, "{events} events were kept");
    assert!(!told.contains("phone 50"), "states between are left out");
}
