//! Event streams: each sends its own tenant's state, and ends when its session, its
//! tenant or the server ends.

use crate::stack::Stack;
use axum::http::StatusCode;
use std::time::Duration;

const HOST: &str = "alice.localhost:8085";
/// A stream checks every 5 s that its session exists.
const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_its_own_tenants_changes_only() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let mallory = s.sign_up("mallory").await;
    let mut stream = s.open(HOST, "/live/overview", &alice.cookie).await;
    let first = stream.wait_for("\"name\":\"alice\"", TIMEOUT).await;
    assert!(first.contains("event: dashboard"), "{first}");
    s.add_device(&mallory, "mallorys-phone").await;
    s.add_device(&alice, "alices-phone").await;
    let events = stream.wait_for("alices-phone", TIMEOUT).await;
    assert!(!events.contains("mallorys-phone"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_session_tenant_or_server() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let mut signed_out = s.open(HOST, "/live/progress", &alice.cookie).await;
    signed_out.wait_for("event: progress", TIMEOUT).await;
    s.post(HOST, "/sign-out", "", Some(&alice.cookie)).await;
    signed_out.wait_for("event: signed_out", TIMEOUT).await;
    assert!(signed_out.ends(TIMEOUT).await);

    let alice = s.sign_in("alice").await;
    let mut deleted = s.open(HOST, "/live/overview", &alice.cookie).await;
    deleted.wait_for("event: dashboard", TIMEOUT).await;
    s.delete("alice").await;
    deleted.wait_for("event: signed_out", TIMEOUT).await;
    assert!(deleted.ends(TIMEOUT).await);

    let bob = s.sign_up("bob-b").await;
    let mut open = s
        .open("bob-b.localhost:8085", "/live/overview", &bob.cookie)
        .await;
    open.wait_for("event: dashboard", TIMEOUT).await;
    s.close();
    assert!(
        open.ends(Duration::from_secs(1)).await,
        "at once, so that the server can shut down"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_out_client_gets_one_event() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    for path in [
        "/live/overview",
        "/live/network",
        "/live/devices/1",
        "/live/progress",
    ] {
        let mut stream = s
            .open(HOST, path, "mn_session=AAAAAAAAAAAAAAAAAAAAAA")
            .await;
        let all = stream.wait_for("\n\n", TIMEOUT).await;
        assert_eq!(all, "event: signed_out\ndata: over\n\n", "{path}");
        assert!(stream.ends(TIMEOUT).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_streams_is_limited() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(s.open(HOST, "/live/overview", &alice.cookie).await);
    }
    let one_more = s.get(HOST, "/live/overview", Some(&alice.cookie)).await;
    assert_eq!(one_more.status, StatusCode::TOO_MANY_REQUESTS);
    open.pop();
    s.open(HOST, "/live/overview", &alice.cookie).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_only_the_last_state() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let id = s.add_device(&alice, "phone").await;
    let mut stream = s.open(HOST, "/live/overview", &alice.cookie).await;
    stream.wait_for("event: dashboard", TIMEOUT).await;
    for n in 0..100 {
        s.rename_device(&alice, &id, &format!("phone {n}")).await;
    }
    let events = stream.wait_for("phone 99", TIMEOUT).await;
    let count = events.matches("event: dashboard").count();
    assert!(count <= 3, "{count} events were queued");
    assert!(
        !events.contains("phone 50"),
        "states in between are skipped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_its_topics_view_only() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let phone = s.add_device(&alice, "alices-phone").await;
    s.add_device(&alice, "alices-laptop").await;
    let first = async |path: &str| {
        let mut stream = s.open(HOST, path, &alice.cookie).await;
        stream.wait_for("\n\n", TIMEOUT).await
    };
    let overview = first("/live/overview").await;
    assert!(overview.starts_with("event: dashboard"), "{overview}");
    for part in ["alices-phone", "alices-laptop", "month_bytes", "\"speed\""] {
        assert!(overview.contains(part), "{part} in {overview}");
    }
    let network = first("/live/network").await;
    assert!(network.starts_with("event: network"), "{network}");
    assert!(network.contains("alices-phone") && network.contains("alices-laptop"));
    for part in ["month_bytes", "\"speed\"", "queries"] {
        assert!(!network.contains(part), "{part} in {network}");
    }
    let device = first(&format!("/live/devices/{phone}")).await;
    assert!(device.starts_with("event: device"), "{device}");
    assert!(device.contains("alices-phone") && device.contains("\"status\""));
    assert!(!device.contains("alices-laptop"), "{device}");
    let progress = first("/live/progress").await;
    assert!(progress.starts_with("event: progress"), "{progress}");
    assert!(!progress.contains("alices-phone"), "{progress}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_devices_stream_ends_with_the_device() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let phone = s.add_device(&alice, "alices-phone").await;
    let path = format!("/live/devices/{phone}");
    let mut stream = s.open(HOST, &path, &alice.cookie).await;
    stream.wait_for("event: device", TIMEOUT).await;
    s.rename_device(&alice, &phone, "alices-tablet").await;
    stream.wait_for("alices-tablet", TIMEOUT).await;
    let body = format!("id={phone}");
    s.post(HOST, "/do/delete_device", &body, Some(&alice.cookie))
        .await;
    stream.wait_for("event: signed_out", TIMEOUT).await;
    assert!(stream.ends(TIMEOUT).await);
    for path in [path.as_str(), "/live/devices/x"] {
        let none = s.get(HOST, path, Some(&alice.cookie)).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{path}");
    }
}
