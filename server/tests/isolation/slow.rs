//! An AdGuard Home that does not answer: requests to it do not pile up.

use crate::stack::Stack;
use axum::http::StatusCode;
use domain::{AddressPlan, Slot};
use futures_util::future::join_all;
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// Addresses of this machine in place of containers'.
fn on_loopback() -> AddressPlan {
    let second = 20 + std::process::id() % 200;
    AddressPlan {
        containers: format!("127.{second}.0.0/21").parse().unwrap(),
        ..AddressPlan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_filter_that_hangs_are_bounded_for_each_tenant() {
    let plan = on_loopback();
    let s = Stack::with(plan, None).await;
    let alice = s.sign_up("alice").await;
    let mallory = s.sign_up("mallory").await;
    s.ready(&mallory).await;
    s.ready(&alice).await;
    // Mallory's takes every connection and answers none; it is in slot 2.
    let address = SocketAddr::from((plan.container(Slot::new(2).unwrap()), 3000));
    let _hung = TcpListener::bind(address).await.unwrap();
    let host = "mallory-dns.localhost:8085";
    let ask = || s.get(host, "/control/status", Some(&mallory.dns_cookie));
    let many = join_all((0..32).map(|_| ask()));
    let one_more = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let refused = ask().await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
        // Nobody listens for Alice's, which is told at once.
        let own = s.get("alice-dns.localhost:8085", "/", Some(&alice.dns_cookie));
        assert_eq!(own.await.status, StatusCode::SERVICE_UNAVAILABLE);
    };
    tokio::select! {
        _ = many => panic!("it answers"),
        () = one_more => {}
    }
    // Whoever gave up has made room.
    let again = tokio::time::timeout(Duration::from_secs(1), ask());
    assert!(again.await.is_err(), "it is asked again");
}
