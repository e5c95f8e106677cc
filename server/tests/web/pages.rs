//! The answers of pages and forms, with and without JavaScript: titles, statuses,
//! messages after a refusal, and that no text of a URL is shown as a message.

use crate::stack::{BASE, PRIVACY_NOTICE, Stack};
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
        assert!(answer.contains(&title), "{path}: no {title} in {answer:?}");
        assert!(answer.contains(content), "{path}: no {content}");
        assert!(!answer.contains("<phone>"), "{path}");
    }
    for path in ["/devices/4711", "/devices/x", "/nothing"] {
        let answer = s.get(HOST, path, Some(&alice.cookie)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(
            answer.contains("<title>Not found · MalikNode</title>"),
            "{path}"
        );
    }
    let out = s.get(HOST, "/devices", None).await;
    assert_eq!(out.location.as_deref(), Some("/sign-in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_privacy_page_is_public_and_links_the_notice() {
    let s = Stack::new().await;
    for path in ["/", "/sign-up"] {
        let page = s.get(BASE, path, None).await;
        assert!(page.contains("href=\"/privacy\""), "{path}: {page:?}");
    }
    for host in [BASE, "admin.localhost:8085"] {
        let page = s.get(host, "/privacy", None).await;
        assert_eq!(page.status, StatusCode::OK, "{host}");
        for shown in ["What your DNS filter stores", "365 days", PRIVACY_NOTICE] {
            assert!(page.contains(shown), "{host}: {shown}");
        }
        assert!(!page.contains("For operators"), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_says_so_before_a_sign_up() {
    let s = Stack::with(domain::AddressPlan::default(), Some(1)).await;
    let full = "This server is full";
    let start = s.get(BASE, "/", None).await;
    assert!(start.contains("Choose Personal") && !start.contains(full));
    assert!(!s.get(BASE, "/sign-up", None).await.contains(full));
    s.sign_up("alice").await;
    for path in ["/", "/sign-up", "/sign-up?name=bob-b"] {
        let page = s.get(BASE, path, None).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.contains(full), "{path}");
    }
    let start = s.get(BASE, "/", None).await;
    assert!(!start.contains("Choose Personal") && start.contains("No place is free"));

    // Without JavaScript: a redirect to the form, with the typed values.
    let body = "name=bob-b&password=correct+horse+battery+staple&plan=home";
    let before = s.snapshot().await;
    let refused = s.post(BASE, "/do/sign_up", body, None).await;
    let back = refused.location.expect("back to the form");
    assert!(
        back.starts_with("/sign-up?") && back.contains("error=node"),
        "{back}"
    );
    let form = s.get(BASE, &back, None).await;
    assert!(form.contains("value=\"bob-b\""), "{form:?}");
    assert!(
        form.contains("This server is full. Nothing was made."),
        "{form:?}"
    );
    assert!(!form.contains("full just now"), "the message is shown once");
    // With JavaScript: the message and the code.
    let refused = s.call(BASE, "/do/sign_up", body, None).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        refused.contains("node_full") && refused.contains(full),
        "{refused:?}"
    );
    assert_eq!(s.snapshot().await, before, "nothing was made");

    let operator = s.operator().await;
    let home = s.get("admin.localhost:8085", "/", Some(&operator)).await;
    assert!(home.contains("memory: not measured; slots: 999 free; your limit: 1"));
    assert!(
        home.contains("max_tenants is reached"),
        "the operator is told what to do"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_url_is_shown_as_ours() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    // {"code":"internal","message":"Send your password to mallory"}, as a
    // server function's error travels in Leptos' own forms.
    let error =
        "eyJjb2RlIjoiaW50ZXJuYWwiLCJtZXNzYWdlIjoiU2VuZCB5b3VyIHBhc3N3b3JkIHRvIG1hbGxvcnkifQ==";
    for (host, page, action, cookie) in [
        (BASE, "/sign-up", "/do/sign_up", None),
        (BASE, "/sign-in", "/do/sign_in", None),
        (
            HOST,
            "/devices/new",
            "/do/add_device",
            Some(alice.cookie.as_str()),
        ),
        (
            HOST,
            "/account",
            "/do/delete_account",
            Some(alice.cookie.as_str()),
        ),
    ] {
        for action in [action.to_owned(), action.replace('/', "%2F")] {
            let url = format!("{page}?__path={action}&__err={error}&error=mallory&message=mallory");
            let answer = s.get(host, &url, cookie).await;
            assert_eq!(answer.status, StatusCode::OK, "{url}");
            assert!(!answer.contains("mallory"), "{url}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_plain_post_keeps_the_typed_values() {
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
    // The switch was off, and is off again.
    let page = back("/do/change_device", format!("id={id}&label=&policy=off")).await;
    assert!(
        page.contains("aria-invalid=\"true\"")
            && !page.contains("name=\"mesh\" value=\"on\" checked")
    );
    let long = "x".repeat(3_000);
    let page = back(
        "/do/add_device",
        format!("label={long}&routing=dns&policy=off"),
    )
    .await;
    assert!(page.contains("64 characters"), "{page:?}");
    let page = back("/do/delete_account", "name=alicia".to_owned()).await;
    assert!(page.contains("Type alice to delete it.") && page.contains("value=\"alicia\""));
    // A row's menu and switch redirect to the page on which they are.
    for body in [
        format!("id={id}&policy=off&back=devices"),
        format!("mesh=off&back=devices&id={id}"),
    ] {
        let answer = s.post(HOST, "/do/set_device", &body, cookie).await;
        assert_eq!(answer.location.as_deref(), Some("/devices"), "{answer:?}");
    }
    assert!(s.snapshot().await.contains("phone Off false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_call_is_a_bad_request() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    for (path, body) in [
        ("/do/add_device", "label=x"),
        ("/do/set_device", "id=abc&policy=off"),
        ("/do/delete_device", ""),
        ("/do/sign_in", "name=alice"),
    ] {
        let answer = s.call(HOST, path, body, Some(&alice.cookie)).await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{path} {body}: {answer:?}"
        );
        assert!(answer.contains("\"code\":\"bad_request\""), "{answer:?}");
    }
}
