//! Logs as streams: what is recent comes first, each new entry once, and a client goes on where
//! it was. No other client hears of it.

use crate::{
    api_client::{API, Call},
    client::Stream,
    stack::Stack,
};
use axum::{
    body::Body,
    http::{Request, request::Builder},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{OperatorRole, OwnerScope, SystemClock, Timestamp};
use std::{sync::Arc, time::Duration};
use store::{AuditEntry, DatabaseUrl, Store};
use tower::ServiceExt;

const SOON: Duration = Duration::from_secs(10);

fn request(path: &str, token: &str) -> Builder {
    Request::get(path)
        .header("host", API)
        .header("authorization", format!("Bearer {token}"))
}

async fn open(s: &Stack, path: &str, token: &str, last: Option<&str>) -> Stream {
    let mut request = request(path, token);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    sent(s, request).await
}

/// Opens a stream of a tenant for whom an operator acts.
async fn open_for(s: &Stack, tenant: &str, path: &str, token: &str) -> Stream {
    sent(s, request(path, token).header("maliknode-tenant", tenant)).await
}

async fn sent(s: &Stack, request: Builder) -> Stream {
    let request = request.body(Body::empty()).unwrap();
    let answer = s.web.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    Stream(answer.into_body())
}

/// Returns the last id of what was read.
fn last_id(text: &str) -> String {
    let mut lines = text.lines().rev();
    let id = lines.find_map(|line| line.strip_prefix("id: "));
    id.unwrap_or_else(|| panic!("no id: {text}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_comes_to_its_readers_once() {
    let s = Stack::new().await;
    let (alice, mallory) = (s.sign_up("alice").await, s.sign_up("mallory").await);
    let session = s.api_session("alice", "read").await;
    let operator = s.api_operator().await;
    let own = "/v1/live?topic=audit&recent=1&action=device.add";
    let mut alices = open(&s, own, &session.access, None).await;
    alices.wait_for("event: begin\n", SOON).await;
    let all = "/v1/operator/live?topic=audit&action=device.add";
    let mut operators = open(&s, all, &operator.access, None).await;
    operators.wait_for("event: begin\n", SOON).await;
    s.add_device(&mallory, "secret").await;
    s.add_device(&alice, "phone").await;
    let read = alices.wait_for("alice/phone", SOON).await;
    assert!(!read.contains("secret"), "{read}");
    let read = operators.wait_for("alice/phone", SOON).await;
    assert_eq!(read.matches("event: audit\n").count(), 2, "{read}");
    // The one before it comes again to who goes on there, and nothing else.
    let ids: Vec<_> = read
        .lines()
        .filter_map(|l| l.strip_prefix("id: "))
        .collect();
    assert_eq!(ids.len(), 2, "{read}");
    s.add_device(&alice, "tablet").await;
    let mut again = open(&s, all, &operator.access, Some(ids[0])).await;
    let read = again.wait_for("alice/tablet", SOON).await;
    assert_eq!(read.matches("event: audit\n").count(), 2, "{read}");
    assert!(
        read.contains("alice/phone") && !read.contains("secret"),
        "{read}"
    );

    let out = Call::new(axum::http::Method::POST, "/v1/auth/sign-out");
    out.by(&session.access).send(&s).await.expect(204);
    let read = alices
        .wait_for("event: ended\ndata: token_invalid", SOON)
        .await;
    assert_eq!(read.matches("event: audit\n").count(), 1, "{read}");
    assert!(alices.ends(SOON).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_are_recorded() {
    let s = Stack::new().await;
    let (alice, mallory) = (s.sign_up("alice").await, s.sign_up("mallory").await);
    let session = s.api_session("alice", "read").await;
    let operator = s.api_operator().await;
    s.record_event(Some(&alice), "drift.interface_gone", "")
        .await;
    let own = "/v1/live?topic=events&recent=5";
    let mut alices = open(&s, own, &session.access, None).await;
    let read = alices.wait_for("drift.interface_gone", SOON).await;
    let all = "/v1/operator/live?topic=events";
    let mut operators = open(&s, all, &operator.access, None).await;
    operators.wait_for("event: begin\n", SOON).await;
    s.record_event(Some(&mallory), "drift.key_changed", "")
        .await;
    s.record_event(Some(&alice), "drift.peers_changed", "")
        .await;
    let new = alices.wait_for("drift.peers_changed", SOON).await;
    assert!(!new.contains("drift.key_changed"), "{new}");
    let new = operators.wait_for("drift.peers_changed", SOON).await;
    assert!(new.contains("\"tenant\":\"mallory\""), "{new}");
    let mut again = open(&s, own, &session.access, Some(&last_id(&read))).await;
    let read = again.wait_for("drift.peers_changed", SOON).await;
    assert!(!read.contains("drift.interface_gone"), "{read}");
    // An operator who reads a tenant's log alone, until there is none.
    let lone = format!("{all}&tenant=mallory&recent=1");
    let mut lone = open(&s, &lone, &operator.access, None).await;
    lone.wait_for("drift.key_changed", SOON).await;
    s.delete("mallory").await;
    lone.wait_for("event: ended\ndata: not_found", SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_from_a_place_in_it() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let session = s.api_session("alice", "read").await;
    let operator = s.api_operator().await;
    let all = "/v1/operator/live?topic=audit&recent=1";
    let mut stream = open(&s, all, &operator.access, None).await;
    let id = last_id(&stream.wait_for("event: audit\n", SOON).await);
    let by_alice = |path: &str, last: &str| {
        let call = Call::get(path).by(&session.access);
        call.with("last-event-id", last)
    };
    for last in [id.as_str(), "!", "7", ""] {
        let refused = by_alice("/v1/live?topic=audit", last).send(&s).await;
        let code = (refused.status.as_u16(), refused.code());
        assert_eq!(code, (400, "cursor_invalid"), "{last:?}");
    }
    let many = Call::get("/v1/live?topic=audit&recent=1001");
    let many = many.by(&session.access).send(&s).await;
    assert_eq!(many.code(), "bad_request");
    let other = by_alice("/v1/operator/live?topic=audit", &id)
        .send(&s)
        .await;
    assert_eq!(other.code(), "not_permitted");
    let unknown = Call::get("/v1/operator/live?topic=events&tenant=nadia");
    let unknown = unknown.by(&operator.access).send(&s).await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.code()),
        (404, "not_found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_a_log_does_not_have_is_its_end() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let operator = s.api_operator().await;
    s.add_device(&alice, "old").await;
    let all = "/v1/operator/live?topic=audit&recent=10&action=device.add";
    // As after a backup was restored.
    let last = URL_SAFE_NO_PAD.encode("live.audit:9000000");
    let mut stream = open(&s, all, &operator.access, Some(&last)).await;
    let begun = stream.wait_for("event: begin\n", SOON).await;
    s.add_device(&alice, "new").await;
    let read = begun + &stream.wait_for("alice/new", SOON).await;
    assert!(!read.contains("alice/old"), "{read}");
    assert!(!read.contains(&last), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_may_act_for_a_tenant_no_more_follows_it_no_more() {
    let s = Stack::new().await;
    s.sign_up("alice").await;
    let operators = s.control().operators();
    let owner = OwnerScope::issue("test");
    let cases = [
        ("sam", OperatorRole::ReadOnly, "not_permitted"),
        ("rosa", OperatorRole::Owner, "second_factor_required"),
    ];
    let mut streams = Vec::new();
    for (name, _, code) in cases {
        s.add_operator(name, OperatorRole::Support).await;
        let session = s.operator_session(name).await;
        for (topic, begun) in [
            ("account", "event: account\n"),
            ("audit", "event: begin\n"),
            ("events", "event: begin\n"),
        ] {
            let path = format!("/v1/live?topic={topic}");
            let mut stream = open_for(&s, "alice", &path, &session.access).await;
            stream.wait_for(begun, SOON).await;
            streams.push((name, topic, code, stream));
        }
    }
    for (name, role, _) in cases {
        operators.set_role(&owner, name, role).await.unwrap();
    }
    for (name, topic, code, stream) in &mut streams {
        let ended = format!("event: ended\ndata: {code}\n");
        stream.wait_for(&ended, SOON).await;
        assert!(stream.ends(SOON).await, "{name}: {topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_writes_is_read_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("db"));
    let open_store = async || {
        let sealer = seal::Sealer::from_key([7; 32]);
        Store::open(&url, sealer).await.unwrap()
    };
    let s = Stack::on(open_store().await, Arc::new(SystemClock)).await;
    let operator = s.api_operator().await;
    let all = "/v1/operator/live?topic=audit&action=written.elsewhere";
    let mut stream = open(&s, all, &operator.access, None).await;
    stream.wait_for("event: begin\n", SOON).await;
    let entry = AuditEntry {
        at: Timestamp(1),
        action: "written.elsewhere".to_owned(),
        ..AuditEntry::default()
    };
    open_store().await.audit(entry).await.unwrap();
    // The server has not written since, and asks by itself.
    let by_itself = Duration::from_secs(30);
    stream.wait_for("written.elsewhere", by_itself).await;
}
