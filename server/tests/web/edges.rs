//! Requests that none of our pages sends: unknown hosts, requests without a path,
//! wrong methods and malformed forms. Each is answered with a page.

use crate::{
    client::Answer,
    stack::{BASE, Stack},
    table::{Reach, table},
};
use axum::http::{Method, StatusCode};

fn is_page(answer: &Answer) -> bool {
    answer.contains("<!DOCTYPE html>") && answer.contains("MalikNode")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_tenant_is_not_served() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    for host in ["nobody.localhost:8085", "nobody-dns.localhost:8085"] {
        for cookie in [None, Some(alice.cookie.as_str())] {
            for path in ["/", "/sign-in", "/arrive", "/control/status"] {
                let answer = s.get(host, path, cookie).await;
                assert_eq!(
                    answer.status,
                    StatusCode::MISDIRECTED_REQUEST,
                    "{host}{path}"
                );
                assert!(is_page(&answer), "{answer:?}");
            }
        }
    }
    let existing = s.get("alice.localhost:8085", "/sign-in", None).await;
    assert_eq!(existing.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_or_no_path_gets_a_page() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let host = "alice.localhost:8085";
    for (method, uri) in [
        (Method::CONNECT, host),
        (Method::CONNECT, "alice-dns.localhost:8085"),
        (Method::OPTIONS, "*"),
        (Method::PUT, "/sign-out"),
        (Method::GET, "/operator/sign-in"),
        (Method::GET, "/do/delete_account"),
        (Method::POST, "/live/overview"),
    ] {
        let named_host = uri.split('/').next().filter(|h| h.contains(':'));
        let host = named_host.unwrap_or(host);
        let origin = format!("http://{host}");
        let cookie = Some(alice.cookie.as_str());
        let answer = s
            .send_from(method.clone(), host, uri, cookie, Some(&origin))
            .await;
        assert_eq!(
            answer.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {uri}"
        );
        assert!(is_page(&answer), "{method} {uri} {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_request_gets_a_page() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let cookie = Some(alice.cookie.as_str());
    let twice = s
        .get("alice.localhost:8085", "/arrive?ticket=a&ticket=b", cookie)
        .await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    let path = s
        .get("alice.localhost:8085", "/devices/%ff/config", cookie)
        .await;
    assert_eq!(path.status, StatusCode::NOT_FOUND);
    let form = s
        .send_from(
            Method::POST,
            "admin.localhost:8085",
            "/operator/sign-in",
            None,
            Some("http://admin.localhost:8085"),
        )
        .await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for answer in [twice, path, form] {
        assert!(is_page(&answer), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permitted_client_can_delete_a_tenant() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    for path in ["/do/delete_account", "/do/operator_delete_tenant"] {
        let alice = s.sign_up("alice").await;
        let rows = table("1", "alice", &s.tenant_id(&alice).await);
        let route = rows.into_iter().find(|r| r.path == path).unwrap();
        assert!(route.ends_the_session());
        let (host, cookie) = match route.reach {
            Reach::Owner => ("admin.localhost:8085", &operator),
            _ => ("alice.localhost:8085", &alice.cookie),
        };
        let answer = s.request(&route, host, Some(cookie)).await;
        let succeeded = answer.status.is_success() || answer.status.is_redirection();
        assert!(succeeded, "{route:?} {answer:?}");
        let gone = s
            .get("alice.localhost:8085", "/", Some(&alice.cookie))
            .await;
        assert_eq!(gone.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    assert_eq!(s.get(BASE, "/", None).await.status, StatusCode::OK);
}
