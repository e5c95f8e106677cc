//! What holds for requests of the REST interface everywhere: whose pages may send them, and of
//! which state they are.

use crate::{
    api_client::{Call, Reply},
    stack::{CORS_ORIGIN, Stack},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_named_origin_calls_with_a_token_and_never_with_a_cookie() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let token = s.api_session("alice", "write").await.access;
    let preflight = Call::new(axum::http::Method::OPTIONS, "/v1/devices")
        .with("origin", CORS_ORIGIN)
        .with("access-control-request-method", "POST")
        .with(
            "access-control-request-headers",
            "authorization,content-type",
        );
    let reply = preflight.send(&s).await;
    assert!(reply.status.is_success(), "{reply:?}");
    assert_eq!(reply.header("access-control-allow-origin"), CORS_ORIGIN);
    let allowed = reply
        .header("access-control-allow-headers")
        .to_ascii_lowercase();
    for name in [
        "authorization",
        "content-type",
        "if-match",
        "idempotency-key",
    ] {
        assert!(allowed.contains(name), "{allowed}");
    }
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(
            reply
                .header("access-control-allow-methods")
                .contains(method)
        );
    }
    let call = || {
        let call = Call::post("/v1/devices", json!({ "label": "x" }));
        call.with("origin", CORS_ORIGIN)
    };
    let reply = call().by(&token).send(&s).await;
    reply.expect(201);
    assert_eq!(reply.header("access-control-allow-origin"), CORS_ORIGIN);
    let exposed = reply.header("access-control-expose-headers").to_lowercase();
    assert!(
        exposed.contains("etag") && exposed.contains("retry-after"),
        "{exposed}"
    );
    assert!(reply.header("vary").to_lowercase().contains("origin"));
    let reply = call().send(&s).await;
    assert_eq!(reply.code(), "signed_out");
    assert_eq!(reply.header("access-control-allow-origin"), CORS_ORIGIN);
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    // Not with what a browser adds by itself, and not on the hosts with cookies.
    let cookie = call().by(&token).with("cookie", &alice.cookie);
    assert_eq!(cookie.send(&s).await.code(), "wrong_origin");
    let dashboard = Call::new(axum::http::Method::POST, "/do/add_device")
        .with("origin", CORS_ORIGIN)
        .with("cookie", &alice.cookie)
        .with("content-type", "application/x-www-form-urlencoded");
    let reply = dashboard.send_to(&s, "alice.localhost:8085").await;
    assert_eq!(reply.status, 403, "{reply:?}");
    for other in [
        "https://status.example.evil.example",
        "https://status.example:8443",
        "http://status.example",
        "null",
    ] {
        let get = Call::get("/v1/devices").by(&token).with("origin", other);
        let reply = get.send(&s).await;
        let is_cors = |name: &axum::http::HeaderName| name.as_str().starts_with("access-control");
        assert!(!reply.headers.keys().any(is_cors), "{other}");
    }
    assert_eq!(s.device_count("alice").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_the_state_that_it_is_of() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let id = s.tenant_id(&alice).await;
    let tenant = s.api_session("alice", "write").await.access;
    let operator = s.api_operator().await.access;
    let of_tenant = format!("/v1/operator/tenants/{id}");
    for (path, token, first, second) in [
        (
            "/v1/account",
            &tenant,
            json!({ "time_zone": "Europe/Berlin" }),
            json!({ "time_zone": "Asia/Tokyo" }),
        ),
        (
            &of_tenant,
            &operator,
            json!({ "plan": "studio", "suspended": true }),
            json!({ "suspended": false }),
        ),
        (
            "/v1/operator/nodes/2",
            &operator,
            json!({ "host": "first.example", "open": false }),
            json!({ "host": "second.example" }),
        ),
    ] {
        let read = Call::get(path).by(token).send(&s).await;
        let tag = read.header("etag").to_owned();
        let patch = |body: &Value| Call::patch(path, body.clone()).by(token);
        let done = patch(&first).with("if-match", &tag).send(&s).await;
        assert!(done.status.is_success(), "{done:?}");
        for (name, value) in first.as_object().unwrap() {
            let now = match (name.as_str(), &done.json["standing"]) {
                ("open", standing) => json!(standing == "open"),
                (name, _) => done.json[name].clone(),
            };
            assert_eq!(&now, value, "{path}: {name}");
        }
        let late = patch(&second).with("if-match", &tag).send(&s).await;
        assert_eq!(
            (late.status.as_u16(), late.code()),
            (412, "changed_meanwhile"),
            "{path}"
        );
        let now = Call::get(path).by(token).send(&s).await;
        assert_eq!(now.header("etag"), done.header("etag"), "{path}");
        let again = patch(&first).with("if-match", now.header("etag"));
        assert!(again.send(&s).await.status.is_success(), "{path}");
    }
    // Of two changes at once, neither is made where one cannot be.
    let plan = json!({ "plan": "nothing", "suspended": false });
    let refused = Call::patch(&of_tenant, plan).by(&operator).send(&s).await;
    assert_eq!(refused.code(), "plan_unknown");
    let host = json!({ "host": "a b", "open": true });
    let refused = Call::patch("/v1/operator/nodes/2", host).by(&operator);
    assert_eq!(refused.send(&s).await.code(), "node_malformed");
    let tenant = Call::get(&of_tenant).by(&operator).send(&s).await;
    assert_eq!(tenant.expect(200)["suspended"], true);
    let node = Call::get("/v1/operator/nodes/2").by(&operator);
    assert_eq!(node.send(&s).await.expect(200)["standing"], "closed");
}

/// Returns how many changes the answer says are left.
fn changes_left(reply: &Reply) -> u32 {
    let limit = reply.header("ratelimit");
    let left = limit.strip_prefix("\"changes\";r=");
    let left = left.and_then(|rest| rest.split_once(";t="));
    let (left, reset) = left.unwrap_or_else(|| panic!("{limit}"));
    assert!(reset.parse::<u32>().unwrap() <= 60, "{limit}");
    left.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_one_less_until_none_is_left() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let token = s.api_session("alice", "write").await.access;
    let read = async || Call::get("/v1/devices").by(&token).send(&s).await;
    let begun = changes_left(&read().await);
    assert!(begun > 100, "{begun}");
    assert_eq!(changes_left(&read().await), begun, "to read costs nothing");
    // There is no such device: a change that is refused is one, too.
    let change = async || {
        let change = Call::patch("/v1/devices/1", json!({ "label": "x" }));
        change.by(&token).send(&s).await
    };
    for left in (0..begun).rev() {
        let reply = change().await;
        assert_eq!((reply.code(), changes_left(&reply)), ("not_found", left));
    }
    let refused = change().await;
    let code = (refused.status.as_u16(), refused.code());
    assert_eq!(code, (429, "too_many_tries"));
    assert_eq!(changes_left(&refused), 0);
    let wait: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    read().await.expect(200);
}
