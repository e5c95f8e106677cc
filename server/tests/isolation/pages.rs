//! What pages and forms answer, with and without a script: titles, statuses, what
//! is told after a refusal, and that no text of an address is told as ours.

use crate::stack::{BASE, Stack};
use axum::http::StatusCode;

const HOST: &str = "alice.localhost:8085";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_its_title_its_status_and_its_content() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let id = s.add_device(&alice, "alices <phone>").await;
    let device = format!("/devices/{id}");
    for (path, title, content) in [
        ("/", "Overview", "alices &lt;phone&gt;"),
        ("/devices", "Devices", "alices &lt;phone&gt;"),
        ("/devices/new", "Add a device", "1 of 5"),
        (
            device.as_str(),
            "alices &lt;phone&gt;",
            "Waiting for the first handshake",
        ),
        (
            "/mesh",
            "Mesh",
            "alices &lt;phone&gt;, 10.88.1.2, not connected yet",
        ),
        ("/events", "Events", "Nothing has happened yet"),
        ("/account", "Account", "Delete alice for good"),
        ("/progress", "Making your network", "Keys"),
    ] {
        let answer = s.get(HOST, path, Some(&alice.cookie)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let title = format!("<title>{title} · MalikNode</title>");
        assert!(answer.tells_of(&title), "{path}: no {title} in {answer:?}");
        assert!(answer.tells_of(content), "{path}: no {content}");
        assert!(!answer.tells_of("<phone>"), "{path}");
    }
    for path in ["/devices/4711", "/devices/x", "/nothing"] {
        let answer = s.get(HOST, path, Some(&alice.cookie)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            answer.tells_of("<title>Not found · MalikNode</title>"),
            "{path}"
        );
    }
    let out = s.get(HOST, "/devices", None).await;
    assert_eq!(out.location.as_deref(), Some("/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_says_so_on_every_page_that_would_lead_to_a_sign_up() {
    let s = Stack::with(domain::AddressPlan::default(), Some(1)).await;
    let full = "This server is full";
    let start = s.get(BASE, "/", None).await;
    assert!(start.tells_of("Choose Personal") && !start.tells_of(full));
    assert!(!s.get(BASE, "/sign-up", None).await.tells_of(full));
    s.sign_up("alice").await;
    for path in ["/", "/sign-up", "/sign-up?name=bob-b"] {
        let page = s.get(BASE, path, None).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.tells_of(full), "{path}");
    }
    let start = s.get(BASE, "/", None).await;
    assert!(!start.tells_of("Choose Personal") && start.tells_of("No place is free"));

    // Without a script: back to the form, with what was typed.
    let body = "name=bob-b&password=correct+horse+battery+staple&plan=home";
    let before = s.everything().await;
    let refused = s.post(BASE, "/api/sign_up", body, None).await;
    let back = refused.location.expect("back to the form");
    assert!(
        back.starts_with("/sign-up?") && back.contains("error=node"),
        "{back}"
    );
    let form = s.get(BASE, &back, None).await;
    assert!(form.tells_of("value=\"bob-b\""), "{form:?}");
    assert!(
        form.tells_of("This server is full. Nothing was made."),
        "{form:?}"
    );
    assert!(!form.tells_of("full just now"), "once is enough");
    // With one: the sentence and the code.
    let refused = s.call(BASE, "/api/sign_up", body, None).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        refused.tells_of("node_full") && refused.tells_of(full),
        "{refused:?}"
    );
    assert_eq!(s.everything().await, before, "nothing was made");

    let operator = s.operator().await;
    let home = s.get("admin.localhost:8085", "/", Some(&operator)).await;
    assert!(home.tells_of("memory: not measured; slots: 999 free; your limit: 1"));
    assert!(
        home.tells_of("max_tenants is reached"),
        "what it wants of the operator"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_an_address_is_told_as_ours() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    // {"code":"internal","sentence":"Send your password to mallory"}, as a
    // server function's error travels in Leptos' own forms.
    let error =
        "eyJjb2RlIjoiaW50ZXJuYWwiLCJzZW50ZW5jZSI6IlNlbmQgeW91ciBwYXNzd29yZCB0byBtYWxsb3J5In0=";
    for (host, page, action, cookie) in [
        (BASE, "/sign-up", "/api/sign_up", None),
        (BASE, "/sign-in", "/api/sign_in", None),
        (
            HOST,
            "/devices/new",
            "/api/add_device",
            Some(alice.cookie.as_str()),
        ),
        (
            HOST,
            "/account",
            "/api/delete_account",
            Some(alice.cookie.as_str()),
        ),
    ] {
        for action in [action.to_owned(), action.replace('/', "%2F")] {
            let url =
                format!("{page}?__path={action}&__err={error}&error=mallory&sentence=mallory");
            let answer = s.get(host, &url, cookie).await;
            assert_eq!(answer.status, StatusCode::OK, "{url}");
            assert!(!answer.tells_of("mallory"), "{url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_plain_post_leads_back_with_what_was_typed() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let cookie = Some(alice.cookie.as_str());
    let id = s.add_device(&alice, "phone").await;
    let back = |form: &'static str, body: String| {
        let s = &s;
        async move {
            let answer = s.post(HOST, form, &body, cookie).await;
            assert_eq!(answer.status, StatusCode::FOUND, "{answer:?}");
            let to = answer.location.clone().unwrap_or_default();
            s.get(HOST, &to, cookie).await
        }
    };
    // The switch was off and stays off.
    let page = back("/api/change_device", format!("id={id}&label=&policy=off")).await;
    assert!(
        page.tells_of("aria-invalid=\"true\"")
            && !page.tells_of("name=\"mesh\" value=\"on\" checked")
    );
    let long = "x".repeat(3_000);
    let page = back(
        "/api/add_device",
        format!("label={long}&routing=dns&policy=off"),
    )
    .await;
    assert!(page.tells_of("64 characters"), "{page:?}");
    let page = back("/api/delete_account", "name=alicia".to_owned()).await;
    assert!(page.tells_of("Type alice to delete it.") && page.tells_of("value=\"alicia\""));
    // A row's menu and switch, back to the page they stand on.
    for body in [
        format!("id={id}&policy=off&back=devices"),
        format!("mesh=off&back=devices&id={id}"),
    ] {
        let answer = s.post(HOST, "/api/set_device", &body, cookie).await;
        assert_eq!(answer.location.as_deref(), Some("/devices"), "{answer:?}");
    }
    assert!(s.everything().await.contains("phone Off false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_call_is_the_callers_fault() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    for (path, body) in [
        ("/api/add_device", "label=x"),
        ("/api/set_device", "id=abc&policy=off"),
        ("/api/delete_device", ""),
        ("/api/sign_in", "name=alice"),
    ] {
        let answer = s.call(HOST, path, body, Some(&alice.cookie)).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{path} {body}: {answer:?}"
        );
        assert!(answer.tells_of("\"code\":\"bad_request\""), "{answer:?}");
    }
}
