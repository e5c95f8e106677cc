//! The event log on the pages: who sees whose events, and in which words.

use crate::stack::Stack;

const NOTHING: &str = "Nothing has happened yet";

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_only_its_events_in_plain_words() {
    let s = Stack::new().await;
    let [alice, bob] = [s.sign_up("alice").await, s.sign_up("bob-b").await];
    let page = async |host: &str, cookie: &str| {
        let page = s.get(host, "/events", Some(cookie)).await;
        assert_eq!(page.status, axum::http::StatusCode::OK);
        page
    };
    let (a, b) = ("alice.localhost:8085", "bob-b.localhost:8085");
    assert!(page(a, &alice.cookie).await.contains(NOTHING));

    let raw = "Error response from daemon: <no> such container: 3f9c";
    s.record_event(Some(&alice), "drift.key_changed", raw).await;
    s.record_event(Some(&alice), "part.dns.failed", raw).await;
    s.record_event(Some(&alice), "<kind>", raw).await;
    s.record_event(None, "node.docker_unavailable.failed", raw)
        .await;
    let alices_page = page(a, &alice.cookie).await;
    for text in [
        "Your tunnel had another key; it gets its own back.",
        "Your DNS filter failed; it is tried again until it works.",
        "Something about your network was noticed and is seen to.",
        "just now",
    ] {
        assert!(alices_page.contains(text), "{text}");
    }
    for text in ["daemon", "3f9c", "kind>", "docker", NOTHING] {
        assert!(!alices_page.contains(text), "{text}");
    }
    assert!(page(b, &bob.cookie).await.contains(NOTHING));
    // The page has no island, so it needs no script.
    assert!(!alices_page.contains("<leptos-island"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_all_events_as_text() {
    let s = Stack::new().await;
    let (alice, operator) = (s.sign_up("alice").await, s.operator().await);
    let admin = "admin.localhost:8085";
    let home = s.get(admin, "/", Some(&operator)).await;
    assert!(home.contains(NOTHING));
    let raw = "alice's <b>tunnel</b> does not work.";
    s.record_event(Some(&alice), "part.tunnel.failed", raw)
        .await;
    s.record_event(None, "node.disk_unavailable.failed", "The disk is full.")
        .await;
    let home = s.get(admin, "/", Some(&operator)).await;
    assert!(home.contains("&lt;b&gt;tunnel&lt;/b&gt; does not work."));
    assert!(home.contains("The disk is full.") && !home.contains(NOTHING));
    // The operator's host has no such page.
    let page = s.get(admin, "/events", Some(&operator)).await;
    assert_eq!(page.status, axum::http::StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_may_see_events_of_one_category_alone() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    s.record_event(Some(&alice), "quota.warned", "").await;
    s.record_event(Some(&alice), "quota.reached", "").await;
    s.record_event(Some(&alice), "quota.reset", "").await;
    // The newest hundred are of another category.
    for _ in 0..120 {
        s.record_event(Some(&alice), "part.dns.failed", "").await;
    }
    let (limit, failed, back) = ("has used 80 %", "Your DNS filter failed", "has data again");
    for (path, shown) in [
        ("/events?show=limit", [true, false, false]),
        ("/events?show=failed", [false, true, false]),
        ("/events?show=recovered", [false, false, true]),
        ("/events?show=%3Cscript%3E", [false, true, false]),
    ] {
        let page = s.get("alice.localhost:8085", path, Some(&alice.cookie));
        let page = page.await;
        assert_eq!(
            [limit, failed, back].map(|t| page.contains(t)),
            shown,
            "{path}"
        );
        let is_filtered = page.contains("aria-current=\"page\">Limit<");
        assert_eq!(is_filtered, path.ends_with("limit"), "{path}");
    }
    let none = s.get(
        "alice.localhost:8085",
        "/events?show=drift",
        Some(&alice.cookie),
    );
    assert!(none.await.contains("Nothing of this kind"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_events_has_a_limit() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    for _ in 0..150 {
        s.record_event(Some(&alice), "part.dns.back", "").await;
    }
    for path in [
        "/events",
        "/events?limit=100000",
        "/events?tenant=2&limit=-1",
    ] {
        let page = s.get("alice.localhost:8085", path, Some(&alice.cookie));
        let shown = page.await.count("Your DNS filter works again.");
        assert_eq!(shown, 100, "{path}");
    }
}
