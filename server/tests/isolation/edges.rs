//! What no page of ours sends: hosts of nobody, requests without a path,
//! methods and forms that do not fit. Each is answered by a page.

use crate::{
    stack::{Answer, BASE, Stack},
    table::{Reach, table},
};
use axum::http::{Method, StatusCode};

fn is_page(answer: &Answer) -> bool {
    answer.tells_of("<!DOCTYPE html>") && answer.tells_of("MalikNode")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_nobody_is_not_served() {
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
    let there = s.get("alice.localhost:8085", "/sign-in", None).await;
    assert_eq!(there.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_path_or_another_method_gets_a_page() {
    let s = Stack::new().await;
    let alice = s.sign_up("alice").await;
    let host = "alice.localhost:8085";
    for (method, uri) in [
        (Method::CONNECT, host),
        (Method::CONNECT, "alice-dns.localhost:8085"),
        (Method::OPTIONS, "*"),
        (Method::PUT, "/sign-out"),
        (Method::GET, "/operator/sign-in"),
        (Method::GET, "/api/delete_account"),
        (Method::POST, "/live"),
    ] {
        let asked = uri.split('/').next().filter(|h| h.contains(':'));
        let asked = asked.unwrap_or(host);
        let origin = format!("http://{asked}");
        let cookie = Some(alice.cookie.as_str());
        let answer = s
            .send_from(method.clone(), asked, uri, cookie, Some(&origin))
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
async fn what_cannot_be_read_gets_a_page() {
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
async fn what_ends_a_tenant_works_for_who_may() {
    let s = Stack::new().await;
    let operator = s.operator().await;
    for path in ["/api/delete_account", "/api/operator_delete_tenant"] {
        let alice = s.sign_up("alice").await;
        let rows = table("1", "alice", &s.tenant_id(&alice).await);
        let route = rows.into_iter().find(|r| r.path == path).unwrap();
        assert!(route.is_the_end());
        let (host, cookie) = match route.reach {
            Reach::Operator => ("admin.localhost:8085", &operator),
            _ => ("alice.localhost:8085", &alice.cookie),
        };
        let answer = s.ask(&route, host, Some(cookie)).await;
        let fine = answer.status.is_success() || answer.status.is_redirection();
        assert!(fine, "{route:?} {answer:?}");
        let gone = s
            .get("alice.localhost:8085", "/", Some(&alice.cookie))
            .await;
        assert_eq!(gone.status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    assert_eq!(s.get(BASE, "/", None).await.status, StatusCode::OK);
}
