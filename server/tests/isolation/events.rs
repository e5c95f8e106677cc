//! The event log on the pages: whose events who sees, and in which words.

use crate::stack::Stack;

const NOTHING: &str = "Nothing has happened yet";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_what_befell_them_in_our_words_and_nobody_elses() {
    let s = Stack::new().await;
    let [alice, bob] = [s.sign_up("alice").await, s.sign_up("bob-b").await];
    let page = async |host: &str, cookie: &str| {
        let page = s.get(host, "/events", Some(cookie)).await;
        assert_eq!(page.status, axum::http::StatusCode::OK);
        page
    };
    let (a, b) = ("alice.localhost:8085", "bob-b.localhost:8085");
    assert!(page(a, &alice.cookie).await.tells_of(NOTHING));

    let raw = "Error response from daemon: <no> such container: 3f9c";
    s.happened(Some(&alice), "drift.key_changed", raw).await;
    s.happened(Some(&alice), "part.dns.failed", raw).await;
    s.happened(Some(&alice), "<kind>", raw).await;
    s.happened(None, "node.docker_unavailable.failed", raw)
        .await;
    let alices = page(a, &alice.cookie).await;
    for text in [
        "Your tunnel had another key; it gets its own back.",
        "Your DNS filter failed; it is tried again until it works.",
        "Something about your network was noticed and is seen to.",
        "just now",
    ] {
        assert!(alices.tells_of(text), "{text}");
    }
    for text in ["daemon", "3f9c", "kind>", "docker", NOTHING] {
        assert!(!alices.tells_of(text), "{text}");
    }
    assert!(page(b, &bob.cookie).await.tells_of(NOTHING));
    // Without a script: the page holds no island.
    assert!(!alices.tells_of("<leptos-island"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_reads_all_events_and_they_bring_no_markup() {
    let s = Stack::new().await;
    let (alice, operator) = (s.sign_up("alice").await, s.operator().await);
    let admin = "admin.localhost:8085";
    let home = s.get(admin, "/", Some(&operator)).await;
    assert!(home.tells_of(NOTHING));
    let raw = "alice's <b>tunnel</b> does not work.";
    s.happened(Some(&alice), "part.tunnel.failed", raw).await;
    s.happened(None, "node.disk_unavailable.failed", "The disk is full.")
        .await;
    let home = s.get(admin, "/", Some(&operator)).await;
    assert!(home.tells_of("&lt;b&gt;tunnel&lt;/b&gt; does not work."));
    assert!(home.tells_of("The disk is full.") && !home.tells_of(NOTHING));
    // It is no page of the operator's host.
    let page = s.get(admin, "/events", Some(&operator)).await;
    assert_eq!(page.status, axum::http::StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_events_is_bounded_whatever_the_address_asks_for() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    for _ in 0..150 {
        s.happened(Some(&alice), "part.dns.back", "").await;
    }
    for path in [
        "/events",
        "/events?limit=100000",
        "/events?tenant=2&limit=-1",
    ] {
        let page = s.get("alice.localhost:8085", path, Some(&alice.cookie));
        let told = page.await.count("Your DNS filter works again.");
        assert_eq!(told, 100, "{path}");
    }
}
