//! What a person reads: rendered at the edge, and for a tenant by codes alone.

use crate::stack::{BASE, Stack};
use axum::http::StatusCode;
use domain::{Message, Slot, TenantName};
use protocol::{EventKind, EventTenant, PartKind};
use std::time::Duration;

const HOST: &str = "alice.localhost:8085";
const ADMIN: &str = "admin.localhost:8085";
const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_reads_of_a_problem_by_its_code_alone() {
    let s = Stack::new().await;
    s.machine.fail("containers.start", true);
    let alice = s.sign_up("alice").await;
    let for_tenant = "Something went wrong on the server. It is tried again.";
    let precise = "containers.start fails on demand";
    let mut stream = s.open(HOST, "/live/network", &alice.cookie).await;
    let events = stream.wait_for(for_tenant, TIMEOUT).await;
    assert!(!events.contains(precise), "{events}");
    assert!(events.contains("\"code\":\"internal\""), "{events}");
    for path in ["/", "/devices", "/mesh", "/progress", "/events"] {
        let page = s.get(HOST, path, Some(&alice.cookie)).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.contains(for_tenant), "{path}");
        assert!(!page.contains(precise), "{path}");
    }
    let dns = "alice-dns.localhost:8085";
    let page = s.get(dns, "/", Some(&alice.dns_cookie)).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(page.contains(for_tenant) && !page.contains(precise));
    let operator = s.operator().await;
    let home = s.get(ADMIN, "/", Some(&operator)).await;
    assert!(home.contains(precise), "{home:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_one_message_for_each_reader() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let event = EventKind::PartFailed {
        tenant: EventTenant {
            slot: Slot::FIRST,
            name: TenantName::parse("alice").unwrap(),
        },
        part: PartKind::Dns,
        reason: Message::ContainerNotStarted {
            name: "adguard_user_alice".to_owned(),
        },
    };
    s.record_event(Some(&alice), &event.code(), &event.detail())
        .await;
    let page = s.get(HOST, "/events", Some(&alice.cookie)).await;
    assert!(page.contains("Your DNS filter failed; it is tried again until it works."));
    assert!(!page.contains("docker logs") && !page.contains("adguard_user"));
    let operator = s.operator().await;
    let home = s.get(ADMIN, "/", Some(&operator)).await;
    let text = "alice's DNS filter does not work. Docker does not start adguard_user_alice: \
                docker logs adguard_user_alice";
    assert!(home.contains(text), "{home:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_receives_code_field_and_message() {
    let s = Stack::new().await;
    let body = "name=ab&password=correct+horse+battery+staple&plan=home";
    let refused = s.call(BASE, "/do/sign_up", body, None).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        refused.is(
            r#"{"code":"name_malformed","field":"name","message":"That name is too short: 3 characters at least."}"#
        ),
        "{refused:?}"
    );
    let checked = s.get(BASE, "/do/check_name?name=admin", None).await;
    let reserved = r#"{"refused":{"code":"name_reserved","field":"name","message":"“admin” is reserved. Choose another name."}}"#;
    assert!(checked.is(reserved), "{checked:?}");
}
