//! What an operator looks at beside its own pages: a tenant's dashboard, and the checks of the
//! machine.

use crate::{api_client::Call, client::Answer, stack::Stack};
use axum::http::StatusCode;

const ADMIN: &str = "admin.localhost:8085";
const ALICES: &str = "alice.localhost:8085";
const NEW_DEVICE: &str = "label=planted&routing=everything&policy=standard&mesh=on";

/// Returns the path of a redirect to a host.
fn path_at<'a>(answer: &'a Answer, host: &str) -> &'a str {
    let to = answer.location.as_deref().expect("a redirect");
    let path = to.strip_prefix(&format!("http://{host}"));
    path.unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_in_and_changes_only_what_was_allowed() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let body = format!("id={}", s.tenant_id(&alice).await);
    let operator = s.operator().await;
    let begun = s.post(ADMIN, "/do/look_in", &body, Some(&operator)).await;
    let ticket = begun.set_cookie("mn_handoff").expect("a ticket");
    // The ticket is bound to the browser on the way, which has a cookie at each host.
    let asked = s.get(ALICES, path_at(&begun, ALICES), None).await;
    let nonce = asked.set_cookie("mn_arrival").expect("a nonce");
    let both = format!("{operator}; {ticket}");
    let bound = s.get(ADMIN, path_at(&asked, ADMIN), Some(&both)).await;
    let arrived = s.get(ALICES, path_at(&bound, ALICES), Some(&nonce)).await;
    let look = arrived.set_cookie("mn_session").expect("a session");
    let add = || s.post(ALICES, "/do/add_device", NEW_DEVICE, Some(&look));

    let page = s.get(ALICES, "/devices", Some(&look)).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.contains("Operator admin looks in at alice"));
    assert!(page.contains("You only read."));
    add().await;
    let page = s.get(ALICES, "/devices", Some(&alice.cookie)).await;
    assert!(!page.contains("planted") && !page.contains("looks in at"));
    let account = s.get(ALICES, "/account", Some(&look)).await;
    assert_ne!(account.status, StatusCode::OK, "{account:?}");

    let allow = "/do/allow_look_changes";
    let allowed = s.post(ADMIN, allow, &body, Some(&operator)).await;
    assert_eq!(path_at(&allowed, ALICES), "/");
    let page = s.get(ALICES, "/devices", Some(&look)).await;
    assert!(
        page.contains("You may change things for 15 min."),
        "{page:?}"
    );
    add().await;
    let page = s.get(ALICES, "/devices", Some(&alice.cookie)).await;
    assert!(page.contains("planted"));

    s.post(ALICES, "/sign-out", "", Some(&look)).await;
    let page = s.get(ALICES, "/devices", Some(&look)).await;
    assert_ne!(page.status, StatusCode::OK, "{page:?}");
    let page = s.get(ALICES, "/devices", Some(&alice.cookie)).await;
    assert_eq!(page.status, StatusCode::OK, "the tenant stays signed in");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_of_the_machine_are_shown_what_is_to_fix_first() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    let page = s.get(ADMIN, "/checks", Some(&operator)).await;
    let at = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text}: {page:?}"))
    };
    assert!(at("to fix") < at("Forwarding") && at("Forwarding") < at("Database"));
    let session = s.api_operator().await;
    let call = Call::get("/v1/operator/checks").by(&session.access);
    let reply = call.send(&s).await;
    let items = &reply.expect(200)["items"];
    assert_eq!(
        (&items[0]["code"], &items[0]["state"]),
        (&"database".into(), &"ok".into())
    );
    assert!(items[0]["fix"].is_null());
    assert_eq!(
        (&items[1]["code"], &items[1]["state"]),
        (&"forwarding".into(), &"bad".into())
    );
    assert!(items[1]["fix"].is_string());
}
