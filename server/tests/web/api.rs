//! Who may do what at the REST interface: every operation with every kind of token that is
//! not valid, and with those that are.

use crate::{
    api_client::{API, Call, Reply, Session},
    api_table::{Holder, Objects, Operation, operations},
    stack::{Stack, Tenant},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Clock, ErrorCode, SystemClock};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

async fn objects(s: &Stack, tenant: &Tenant, session: &Session) -> Objects {
    Objects {
        session: s.other_session(&tenant.name, &session.access).await,
        device: s
            .add_device(tenant, &format!("{}s-phone", tenant.name))
            .await,
        token: s.api_token(&session.access, "read").await.0,
        name: tenant.name.clone(),
        tenant: s.tenant_id(tenant).await,
    }
}

/// Returns the claims of a token.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut changed = claims.clone();
    changed[name] = value;
    changed
}

/// Returns tokens of a valid session that were forged or altered, each with what it is.
async fn forged(s: &Stack, valid: &str) -> Vec<(&'static str, String)> {
    let key = s.store().newest_signing_key().await.unwrap().unwrap();
    let sign = |claims: &Value, seed: &[u8], kid: Option<&str>| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(seed)).unwrap()
    };
    let ours = claims(valid);
    let signed = |claims: &Value| sign(claims, key.seed.as_slice(), Some(&key.kid));
    let unsigned = |header: Value| {
        let part = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        format!("{}.{}.", part(&header), part(&ours))
    };
    let now = SystemClock.now().secs();
    let mut parts: Vec<&str> = valid.split('.').collect();
    let altered = with(&ours, "sub", json!("operator:1")).to_string();
    let altered = URL_SAFE_NO_PAD.encode(altered);
    parts[1] = &altered;
    vec![
        ("expired", signed(&with(&ours, "exp", json!(now - 1)))),
        (
            "of another issuer",
            signed(&with(&ours, "iss", json!("evil"))),
        ),
        (
            "for another audience",
            signed(&with(&ours, "aud", json!("evil"))),
        ),
        (
            "of another holder",
            signed(&with(&ours, "sub", json!("operator:1"))),
        ),
        ("of no session", signed(&with(&ours, "sid", json!("00ff")))),
        ("without an end", {
            let mut endless = ours.clone();
            endless.as_object_mut().unwrap().remove("exp");
            signed(&endless)
        }),
        (
            "signed by another key",
            sign(&ours, &[7; 32], Some(&key.kid)),
        ),
        (
            "of an unknown key",
            sign(&ours, key.seed.as_slice(), Some("ffff")),
        ),
        ("of no key", sign(&ours, key.seed.as_slice(), None)),
        (
            "alg none",
            unsigned(json!({ "alg": "none", "typ": "JWT", "kid": key.kid })),
        ),
        (
            "alg NONE",
            unsigned(json!({ "alg": "NONE", "kid": key.kid })),
        ),
        (
            "alg HS256",
            unsigned(json!({ "alg": "HS256", "kid": key.kid })) + "AAAA",
        ),
        ("altered", parts.join(".")),
        ("cut", valid[..valid.len() - 4].to_owned()),
        ("no token", "x".to_owned()),
        ("empty", String::new()),
        ("too long", "x".repeat(5_000)),
        ("a path", "../../etc/passwd".to_owned()),
    ]
}

/// Asserts that an answer is a refusal of the token.
fn assert_unauthorised(reply: &Reply, operation: &Operation, who: &str) {
    let id = &operation.id;
    assert_eq!(reply.status, 401, "{who}: {id} {reply:?}");
    assert!(!reply.text.contains("alices-phone"), "{who}: {id}");
    assert!(
        reply.header("www-authenticate").starts_with("Bearer"),
        "{who}: {id}"
    );
    if !id.starts_with("published") {
        let code = reply.code();
        assert!(
            ["signed_out", "token_invalid", "token_expired"].contains(&code),
            "{who} {id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_is_open_to_strangers() {
    let s = Stack::with_worker().await;
    let [alice, mallory] = [s.sign_up("alice").await, s.sign_up("mallory").await];
    let session = s.api_session("alice", "write").await;
    let alices = objects(&s, &alice, &session).await;
    let theirs = s.api_session("mallory", "write").await;
    let operator = s.api_operator().await;
    let reading = s.api_session("alice", "read").await;
    s.add_device(&mallory, "mallorys-phone").await;

    // Tokens that were valid.
    let over = s.api_session("alice", "write").await;
    Call::new(axum::http::Method::POST, "/v1/auth/sign-out")
        .by(&over.access)
        .send(&s)
        .await
        .expect(204);
    let (id, revoked) = s.api_token(&session.access, "write").await;
    let path = format!("/v1/tokens/{id}");
    Call::delete(&path)
        .by(&session.access)
        .send(&s)
        .await
        .expect(204);
    let gone = s.sign_up("gone").await;
    let of_deleted = s.api_session(&gone.name, "write").await;
    s.delete("gone").await;
    let mut strangers = forged(&s, &session.access).await;
    strangers.push(("of a session that is over", over.access));
    strangers.push(("a deleted API token", revoked));
    strangers.push(("a deleted tenant's", of_deleted.access));
    strangers.push(("a refresh token", session.refresh.clone()));
    let before = s.snapshot().await;

    for operation in operations(&alices) {
        let (id, holder) = (operation.id.as_str(), operation.holder);
        if holder == Holder::Anyone {
            continue;
        }
        let call = || operation.call.clone();
        assert_unauthorised(&call().send(&s).await, &operation, "without a token");
        let basic = call().with("authorization", "Basic YTpi").send(&s).await;
        assert_unauthorised(&basic, &operation, "another scheme");
        for (who, token) in &strangers {
            let reply = call().by(token).send(&s).await;
            assert_unauthorised(&reply, &operation, who);
        }
        // A dashboard's cookie is nothing here.
        let cookie = call().with("cookie", &alice.cookie);
        let cookie = cookie.with("origin", "http://api.localhost:8085");
        let cookie = cookie.send(&s).await;
        assert_unauthorised(&cookie, &operation, "a cookie");
        if !matches!(holder, Holder::Both) {
            let other = match holder {
                Holder::Operator => &session.access,
                _ => &operator.access,
            };
            let reply = call().by(other).send(&s).await;
            assert_eq!(reply.status, 403, "another role: {id} {reply:?}");
        }
        if holder != Holder::Operator && operation.names_object {
            let reply = call().by(&theirs.access).send(&s).await;
            assert_eq!(
                (reply.status.as_u16(), reply.code()),
                (404, "not_found"),
                "{id}"
            );
        }
        if holder != Holder::Operator && !operation.reads {
            let reply = call().by(&reading.access).send(&s).await;
            assert_eq!(
                (reply.status.as_u16(), reply.code()),
                (403, "not_permitted"),
                "{id}"
            );
        }
    }
    assert_eq!(before, s.snapshot().await, "nothing has changed");

    s.suspend("alice", true).await;
    for operation in operations(&alices) {
        if matches!(operation.holder, Holder::Tenant | Holder::Both) {
            let reply = operation.call.by(&session.access).send(&s).await;
            assert_eq!(reply.status, 403, "suspended: {} {reply:?}", operation.id);
        }
    }
    let again = s.api_refresh(&session.refresh).await;
    assert_eq!((again.status.as_u16(), again.code()), (403, "suspended"));
    s.suspend("alice", false).await;
    let account = Call::get("/v1/account").by(&session.access).send(&s).await;
    account.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_open_to_its_holder() {
    let s = Stack::with_worker().await;
    let alice = s.sign_up("alice").await;
    let session = s.api_session("alice", "write").await;
    let mut alices = objects(&s, &alice, &session).await;
    let operator = s.api_operator().await;
    let operators = s.api_token(&operator.access, "write").await;
    let mut all = operations(&alices);
    // What ends or deletes something is last, and an account after what it holds.
    let is_last = |o: &Operation| match o.id.as_str() {
        "operator_delete_tenant" => 5,
        "delete_account" => 4,
        "sign_out" => 3,
        id if id.contains("delete") || id.contains("remove") => 2,
        // What another row has to begin: a move, and the revocation of a worker.
        "operator_cancel_move" | "operator_lose_node" => 1,
        // A session of its own is ended by another row.
        "end_other_sessions" => 1,
        // All tokens end but this one.
        "change_password" => 3,
        // Wrong ones count for the address.
        "recover" | "reset_password" | "verify_mail" => 6,
        _ => 0,
    };
    all.sort_by_key(is_last);
    for operation in all {
        let id = operation.id.as_str();
        if matches!(id, "issue_token" | "published_login") {
            let reply = operation.call.send(&s).await;
            assert_eq!(reply.status, 401, "a wrong password: {id}");
            continue;
        }
        if matches!(id, "add_passkey" | "rename_passkey" | "remove_passkey") {
            let reply = operation.call.by(&session.access).send(&s).await;
            let codes = ["passkey_invalid", "not_found"];
            assert!(
                codes.contains(&reply.code()),
                "no authenticator, no passkey: {id} {reply:?}"
            );
            continue;
        }
        if id == "verify_mail" {
            // Elsewhere: the rows before this one have used up the tries of the address.
            let reply = operation.call.send(&Stack::new().await).await;
            let codes = ["mail_unavailable", "mail_link_invalid"];
            assert!(codes.contains(&reply.code()), "no such link: {reply:?}");
            continue;
        }
        if id == "operator_discard_mail" {
            let reply = operation.call.by(&operators.1).send(&s).await;
            assert_eq!(reply.code(), "not_found", "there is no mail: {reply:?}");
            continue;
        }
        if id.contains("mail") && id != "operator_list_mail" || id == "forgot_password" {
            let reply = operation.call.by(&operator.access).send(&s).await;
            let codes = [
                "mail_unavailable",
                "mail_link_invalid",
                "mail_address_malformed",
            ];
            assert!(
                codes.contains(&reply.code()),
                "no mail is set up: {id} {reply:?}"
            );
            continue;
        }
        if id == "operator_check_endpoint_names" {
            let reply = operation.call.by(&operators.1).send(&s).await;
            assert_eq!(reply.code(), "not_found", "no name server: {reply:?}");
            continue;
        }
        if id == "accept_operator_link" {
            let reply = operation.call.send(&s).await;
            assert_eq!(reply.code(), "operator_link_invalid", "{reply:?}");
            continue;
        }
        if matches!(id, "recover" | "reset_password" | "confirm_totp") {
            let reply = operation.call.by(&session.access).send(&s).await;
            let codes = ["code_invalid", "reset_invalid"];
            assert!(
                codes.contains(&reply.code()),
                "a wrong code: {id} {reply:?}"
            );
            continue;
        }
        if id == "operator_delete_tenant" {
            let alice = s.sign_up("alice").await;
            alices.tenant = s.tenant_id(&alice).await;
            let again = operations(&alices);
            let call = again.into_iter().find(|o| o.id == id).unwrap().call;
            let reply = call.by(&operator.access).send(&s).await;
            assert!(reply.status.is_success(), "{id} {reply:?}");
            continue;
        }
        let session = match id {
            // Its own session is over then.
            "sign_out" => s.api_session("alice", "write").await,
            _ => session.clone(),
        };
        let call = match operation.holder {
            Holder::Anyone => operation.call,
            Holder::Tenant | Holder::Both => operation.call.by(&session.access),
            // An API token in place of an access token.
            Holder::Operator => operation.call.by(&operators.1),
        };
        let reply = call.send(&s).await;
        assert!(reply.status.is_success(), "{id} {reply:?}");
        assert!(!reply.headers.contains_key("set-cookie"), "{id}");
        assert!(
            !reply.headers.contains_key("access-control-allow-origin"),
            "{id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_refresh_token_ends_its_session() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let first = s.api_session("alice", "write").await;
    let other = s.api_session("alice", "write").await;
    let second = Session::of(&s.api_refresh(&first.refresh).await);
    assert_ne!(first.refresh, second.refresh);
    let devices = async |token: &str| Call::get("/v1/devices").by(token).send(&s).await;
    devices(&second.access).await.expect(200);
    let replayed = s.api_refresh(&first.refresh).await;
    assert_eq!(
        (replayed.status.as_u16(), replayed.code()),
        (401, "token_invalid")
    );
    for ended in [&first.access, &second.access] {
        assert_eq!(devices(ended).await.code(), "token_invalid");
    }
    assert_eq!(s.api_refresh(&second.refresh).await.code(), "token_invalid");
    devices(&other.access).await.expect(200);
    let audit = s.store().audit_recent(10).await.unwrap();
    assert!(
        audit.iter().any(|row| row.action == "session.replayed"),
        "{audit:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_sessions_and_tokens() {
    let s = Stack::new().await;
    let operator = s.api_operator().await;
    let (_, token) = s.api_token(&operator.access, "read").await;
    let holder = async |token: &str| Call::get("/v1/auth/holder").by(token).send(&s).await;
    assert_eq!(holder(&token).await.expect(200)["account"], "operator");
    s.reset_operator().await;
    assert_eq!(holder(&operator.access).await.code(), "token_invalid");
    assert_eq!(holder(&token).await.code(), "token_invalid");
    assert_eq!(
        s.api_refresh(&operator.refresh).await.code(),
        "token_invalid"
    );
    let body = json!({ "grant": "api_token", "token": token });
    let given = Call::post("/v1/auth/token", body).send(&s).await;
    assert_eq!(given.code(), "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_gives_what_it_may_do() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let session = s.api_session("alice", "write").await;
    let (id, token) = s.api_token(&session.access, "read").await;
    let body = json!({ "grant": "api_token", "token": token });
    let given = Call::post("/v1/auth/token", body).send(&s).await;
    assert_eq!(given.expect(200)["tokens"]["refresh_token"], Value::Null);
    let access = Session::of(&given).access;
    for token in [&access, &token] {
        Call::get("/v1/devices")
            .by(token)
            .send(&s)
            .await
            .expect(200);
        let add = Call::post("/v1/devices", json!({ "label": "x" })).by(token);
        assert_eq!(add.send(&s).await.code(), "not_permitted");
    }
    let list = Call::get("/v1/tokens").by(&session.access).send(&s).await;
    let listed = &list.expect(200)["items"][0];
    assert_eq!(listed["id"], id.as_str());
    assert!(listed["last_used_at"].is_string(), "{listed}");
    assert!(!list.text.contains(&token), "the secret is shown once");
    Call::delete(&format!("/v1/tokens/{id}"))
        .by(&session.access)
        .send(&s)
        .await
        .expect(204);
    let after = Call::get("/v1/devices").by(&access).send(&s).await;
    assert_eq!(
        after.code(),
        "token_invalid",
        "with the access token it gave"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_limited_as_on_pages() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let body = json!({ "grant": "password", "name": "alice", "password": "wrong" });
    for _ in 0..5 {
        let reply = Call::post("/v1/auth/token", body.clone()).send(&s).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (401, "sign_in_refused")
        );
        assert_eq!(reply.json["field"], "password");
    }
    let locked = Call::post("/v1/auth/token", body).send(&s).await;
    assert_eq!(
        (locked.status.as_u16(), locked.code()),
        (429, "too_many_tries")
    );
    let wait: u32 = locked.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
    let login = json!({ "username": "alice", "password": "wrong" });
    let published = Call::post("/api/auth/login", login).send(&s).await;
    assert_eq!(published.status, 429);
    let refresh = s.api_refresh("mnr_00ff_guess").await;
    assert_eq!(refresh.status, 429, "by address, whatever is tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_calls_have_their_forms() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let device = s.add_device(&alice, "alices-phone").await;
    for host in ["localhost:8085", API] {
        let body = json!({ "username": "alice", "password": crate::stack::PASSWORD });
        let login = Call::post("/api/auth/login", body).send_to(&s, host).await;
        assert_eq!(login.expect(200)["status"], "success");
        let token = login.json["token"].as_str().unwrap();
        let peers = Call::get("/api/peers").by(token).send_to(&s, host).await;
        assert_eq!(peers.expect(200)["status"], "success");
        let peer = &peers.json["peers"][0];
        assert_eq!(peer["id"].to_string(), device);
        assert_eq!(peer["device_label"], "alices-phone");
        for column in [
            "user_id",
            "vpn_ip",
            "public_key",
            "mesh_routing",
            "adguard_client_id",
            "dns_filtering_policy",
            "routing",
            "created_at",
            "last_handshake",
            "endpoint",
            "rx",
            "tx",
        ] {
            assert!(peer.get(column).is_some(), "{column}");
        }
        assert!(!peers.text.contains("private_key") && !peers.text.contains("preshared"));
        let refused = Call::get("/api/peers").send_to(&s, host).await;
        assert_eq!(refused.expect(401)["status"], "error");
        assert!(refused.json["message"].is_string());
        let body = json!({ "username": "alice", "password": "wrong" });
        let wrong = Call::post("/api/auth/login", body).send_to(&s, host).await;
        assert_eq!(wrong.expect(401)["status"], "error");
    }
    let elsewhere = Call::get("/api/peers")
        .send_to(&s, "alice.localhost:8085")
        .await;
    assert_eq!(elsewhere.status, 404, "not on a tenant's host");
}

#[test]
fn a_code_has_one_status() {
    for code in ErrorCode::ALL {
        assert_eq!(api::status(*code), app::errors::status(*code), "{code}");
    }
}
