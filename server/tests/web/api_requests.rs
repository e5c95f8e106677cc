//! Requests of the REST interface that are wrong or repeated: each gets a problem document,
//! and nothing is half done.

use crate::{
    api_client::{API, Call, Reply, raw},
    client::Stream,
    stack::Stack,
};
use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

async fn send(s: &Stack, path: &str, token: &str, body: impl Into<Body>, kind: &str) -> Reply {
    let request = Request::post(path)
        .header("host", API)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", kind);
    raw(s, request.body(body.into()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_a_problem() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let token = s.api_session("alice", "write").await.access;
    const JSON: &str = "application/json";
    let deep = format!("{{\"label\":{}", "[".repeat(10_000));
    for (status, code, body, kind) in [
        (400, "bad_request", "{\"label\":\"x\",\"colour\":1}", JSON),
        (400, "bad_request", "{\"label\":7}", JSON),
        (
            400,
            "bad_request",
            "{\"label\":\"x\",\"policy\":\"all\"}",
            JSON,
        ),
        (400, "bad_request", "{\"label\":\"x\"", JSON),
        (400, "bad_request", "", JSON),
        (400, "bad_request", "\u{0}", JSON),
        (400, "bad_request", deep.as_str(), JSON),
        (415, "media_type_wrong", "{\"label\":\"x\"}", "text/plain"),
        (
            415,
            "media_type_wrong",
            "label=x",
            "application/x-www-form-urlencoded",
        ),
        (422, "label_malformed", "{\"label\":\"\"}", JSON),
    ] {
        let reply = send(&s, "/v1/devices", &token, body.to_owned(), kind).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code),
            "{body}"
        );
    }
    let large = "x".repeat(70_000);
    let reply = send(&s, "/v1/devices", &token, large, JSON).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (413, "too_large"));
    // 100 MB that are announced are not waited for, and those that are not are cut off.
    let request = Request::post("/v1/auth/token")
        .header("host", API)
        .header("content-type", JSON)
        .header("content-length", "104857600");
    let reply = raw(&s, request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.code(), "too_large");
    let chunk = || Ok::<_, std::io::Error>(axum::body::Bytes::from(vec![b' '; 1 << 20]));
    let endless = futures_util::stream::iter((0..100).map(move |_| chunk()));
    let reply = send(&s, "/v1/devices", &token, Body::from_stream(endless), JSON).await;
    assert_eq!(reply.code(), "too_large");

    for (status, code, path) in [
        (400, "bad_request", "/v1/devices?limit=0"),
        (400, "bad_request", "/v1/devices?limit=x"),
        (400, "bad_request", "/v1/devices?offset=3"),
        (400, "cursor_invalid", "/v1/devices?cursor=nonsense"),
        (400, "bad_request", "/v1/traffic?span=decade"),
        (404, "not_found", "/v1/devices/none"),
        (404, "not_found", "/v1/devices/99999999999999999999"),
        (404, "not_found", "/v1/devices/%ff"),
        (404, "not_found", "/v1/nothing"),
        (404, "not_found", "/v2/devices"),
    ] {
        let reply = Call::get(path).by(&token).send(&s).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code),
            "{path}"
        );
    }
    let method = Call::new(axum::http::Method::PUT, "/v1/devices").by(&token);
    let reply = method.send(&s).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code()),
        (405, "method_not_allowed")
    );
    assert!(reply.header("allow").contains("GET"), "{:?}", reply.headers);
    assert_eq!(s.device_count("alice").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_does_nothing() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let token = s.api_session("alice", "write").await.access;
    let call = || Call::post("/v1/devices", json!({ "label": "x" })).by(&token);
    let reply = call().with("origin", "https://evil.example").send(&s).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (403, "wrong_origin"));
    let preflight = Call::new(axum::http::Method::OPTIONS, "/v1/devices");
    let reply = preflight
        .with("origin", "https://evil.example")
        .send(&s)
        .await;
    assert!(!reply.status.is_success(), "{reply:?}");
    assert!(
        reply
            .headers
            .keys()
            .all(|n| !n.as_str().starts_with("access-control"))
    );
    assert_eq!(s.device_count("alice").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_page_by_page() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    for n in 0..5 {
        s.add_device(&alice, &format!("device {n}")).await;
    }
    for _ in 0..3 {
        s.record_event(Some(&alice), "drift.key_changed", "{}")
            .await;
    }
    let token = s.api_session("alice", "read").await.access;
    for (list, total) in [("devices", 5), ("events", 3)] {
        let (mut seen, mut next) = (0, None::<String>);
        loop {
            let cursor = next.map_or(String::new(), |c| format!("&cursor={c}"));
            let path = format!("/v1/{list}?limit=2{cursor}");
            let reply = Call::get(&path).by(&token).send(&s).await;
            seen += reply.expect(200)["items"].as_array().unwrap().len();
            next = reply.json["next"].as_str().map(str::to_owned);
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, total, "{list}");
    }
    let reply = Call::get("/v1/devices?limit=1").by(&token).send(&s).await;
    let cursor = reply.json["next"].as_str().unwrap();
    let other = format!("/v1/events?cursor={cursor}");
    let reply = Call::get(&other).by(&token).send(&s).await;
    assert_eq!(reply.code(), "cursor_invalid", "a cursor of another list");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_the_second_is_told() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "phone").await;
    let token = s.api_session("alice", "write").await.access;
    let path = format!("/v1/devices/{device}");
    let read = Call::get(&path).by(&token).send(&s).await;
    let tag = read.header("etag").to_owned();
    let change = |label: &str| {
        let change = Call::patch(&path, json!({ "label": label })).by(&token);
        change.with("if-match", &tag)
    };
    let first = change("first").send(&s).await;
    assert_eq!(first.expect(200)["label"], "first");
    assert_ne!(first.header("etag"), tag);
    let second = change("second").send(&s).await;
    assert_eq!(
        (second.status.as_u16(), second.code()),
        (412, "changed_meanwhile")
    );
    let delete = Call::delete(&path).by(&token).with("if-match", &tag);
    assert_eq!(delete.send(&s).await.code(), "changed_meanwhile");
    let now = Call::get(&path).by(&token).send(&s).await;
    assert_eq!(now.expect(200)["label"], "first");
    let limit = now.header("ratelimit").to_owned();
    assert_eq!(now.header("ratelimit-policy"), "\"changes\";q=120;w=60");
    assert!(limit.starts_with("\"changes\";r=1"), "{limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_the_second_is_told() {
    let s = Stack::new().await;
    let [ada, ben] = [s.api_operator().await, s.api_operator().await];
    let path = "/v1/operator/plans/home";
    let read = Call::get(path).by(&ada.access).send(&s).await;
    let (mut plan, tag) = (read.expect(200).clone(), read.header("etag").to_owned());
    let mut put = |name: &str| {
        plan["name"] = json!(name);
        Call::new(axum::http::Method::PUT, path).body(plan.clone())
    };
    let blind = put("Blind").by(&ada.access).send(&s).await;
    assert_eq!(
        (blind.status.as_u16(), blind.code()),
        (428, "precondition_needed")
    );
    let first = put("First").by(&ada.access).with("if-match", &tag);
    assert_eq!(first.send(&s).await.expect(200)["name"], "First");
    let second = put("Second").by(&ben.access).with("if-match", &tag);
    let second = second.send(&s).await;
    assert_eq!(
        (second.status.as_u16(), second.code()),
        (412, "changed_meanwhile")
    );
    let now = Call::get(path).by(&ben.access).send(&s).await;
    assert_eq!(now.expect(200)["name"], "First");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_done_once() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    s.sign_up("mallory").await;
    let token = s.api_session("alice", "write").await.access;
    let theirs = s.api_session("mallory", "write").await.access;
    let add = |token: &str, label: &str, key: &str| {
        let add = Call::post("/v1/devices", json!({ "label": label })).by(token);
        add.with("idempotency-key", key)
    };
    let first = add(&token, "phone", "one").send(&s).await;
    let again = add(&token, "phone", "one").send(&s).await;
    assert_eq!(first.expect(201)["id"], again.expect(201)["id"]);
    assert_eq!(again.header("idempotency-replayed"), "true");
    for header in ["location", "etag", "content-type"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
    assert_eq!(s.device_count("alice").await, 1);
    let other = add(&token, "tablet", "one").send(&s).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "key_reused"));
    add(&theirs, "tablet", "one").send(&s).await.expect(201);
    let malformed = add(&token, "tablet", "a b").send(&s).await;
    assert_eq!(malformed.code(), "bad_request");
    // A refusal is not remembered: the client may correct it.
    let refused = add(&token, "phone", "two").send(&s).await;
    assert_eq!(refused.code(), "label_taken");
    add(&token, "tablet", "two").send(&s).await.expect(201);
    let many = (0..8).map(|_| add(&token, "laptop", "three").send(&s));
    let replies = futures_util::future::join_all(many).await;
    let made: Vec<&Value> = replies
        .iter()
        .filter(|r| r.status == 201)
        .map(|r| &r.json)
        .collect();
    assert!(made.windows(2).all(|w| w[0] == w[1]) && !made.is_empty());
    for reply in replies.iter().filter(|r| r.status != 201) {
        assert_eq!(reply.code(), "key_pending");
    }
    assert_eq!(s.device_count("alice").await, 3);
    let token_key = Call::post(
        "/v1/tokens",
        json!({ "name": "t", "access": "read", "days": 1 }),
    );
    let token_key = token_key.by(&token).with("idempotency-key", "four");
    let (one, two) = (token_key.clone().send(&s).await, token_key.send(&s).await);
    assert_eq!(one.expect(201)["secret"], two.expect(201)["secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_a_file_and_a_picture() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "My phone").await;
    let token = s.api_session("alice", "write").await.access;
    let path = format!("/v1/devices/{device}/config");
    let config = Call::get(&path).by(&token).send(&s).await;
    config.expect(200);
    assert!(
        config.text.starts_with("[Interface]\nPrivateKey = "),
        "{}",
        config.text
    );
    assert_eq!(
        config.header("content-disposition"),
        "attachment; filename=\"my-phone-2.conf\""
    );
    assert_eq!(config.header("cache-control"), "no-store");
    let path = format!("/v1/devices/{device}/qr");
    let qr = Call::get(&path).by(&token).send(&s).await;
    qr.expect(200);
    let lines: Vec<&str> = qr.text.lines().collect();
    let width = lines[0].chars().count();
    assert!(width > 40 && lines.iter().all(|l| l.chars().count() == width));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_and_its_page_are_served() {
    let s = Stack::new().await;
    let api = Call::get("/v1/openapi.json").send(&s).await;
    assert_eq!(api.expect(200)["openapi"], "3.1.0");
    assert_eq!(&api.json, api::openapi());
    let page = Call::get("/docs").send(&s).await;
    page.expect(200);
    assert!(page.text.contains("/v1/devices/{id}/config"));
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert_eq!(Call::get("/docs.css").send(&s).await.status, 200);
    assert!(Call::get("/").send(&s).await.status.is_redirection());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_changes_until_its_token_ends() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.ready(&alice).await;
    let session = s.api_session("alice", "read").await;
    let open = async |topic: &str| {
        let request = Request::get(format!("/v1/live?topic={topic}"))
            .header("host", API)
            .header("authorization", format!("Bearer {}", session.access));
        let request = request.body(Body::empty()).unwrap();
        let answer = s.web.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Stream(answer.into_body())
    };
    let soon = Duration::from_secs(10);
    let mut devices = open("devices").await;
    devices.wait_for("event: devices\ndata: []", soon).await;
    let mut network = open("network").await;
    network.wait_for("\"ready\":true", soon).await;
    let mut account = open("account").await;
    account.wait_for("\"name\":\"alice\"", soon).await;
    s.add_device(&alice, "phone").await;
    devices.wait_for("\"label\":\"phone\"", soon).await;
    account.wait_for("\"devices\":1", soon).await;
    let out = Call::new(axum::http::Method::POST, "/v1/auth/sign-out");
    out.by(&session.access).send(&s).await.expect(204);
    for mut stream in [devices, network, account] {
        stream
            .wait_for("event: ended\ndata: token_invalid", soon)
            .await;
        assert!(stream.ends(soon).await);
    }
    let other = s.api_session("alice", "read").await;
    let topic = Call::get("/v1/live?topic=all")
        .by(&other.access)
        .send(&s)
        .await;
    assert_eq!(topic.code(), "bad_request");
}
