//! An AdGuard Home that does not answer: the number of requests to it is limited.

use crate::stack::Stack;
use axum::http::StatusCode;
use domain::{AddressPlan, Slot};
use futures_util::future::join_all;
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// Returns an address plan whose containers have addresses of this machine.
fn on_loopback() -> AddressPlan {
    let second = 20 + std::process::id() % 200;
    AddressPlan {
        containers: format!("127.{second}.0.0/21").parse().unwrap(),
        ..AddressPlan::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_hanging_filter_are_limited() {
    let plan = on_loopback();
    let s = Stack::with(plan, None).await;
    let alice = s.sign_up("alice").await;
    let mallory = s.sign_up("mallory").await;
    s.ready(&mallory).await;
    s.ready(&alice).await;
    // Mallory's filter, in slot 2, accepts every connection and answers none.
    let address = SocketAddr::from((plan.container(Slot::new(2).unwrap()), 3000));
    let _hung = TcpListener::bind(address).await.unwrap();
    let host = "mallory-dns.localhost:8085";
    let request = || s.get(host, "/control/status", Some(&mallory.dns_cookie));
    let many = join_all((0..32).map(|_| request()));
    let one_more = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let refused = request().await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
        // Nothing listens at the address of Alice's filter, so the answer is immediate.
        let own = s.get("alice-dns.localhost:8085", "/", Some(&alice.dns_cookie));
        assert_eq!(own.await.status, StatusCode::SERVICE_UNAVAILABLE);
    };
    tokio::select! {
        _ = many => panic!("the filter answered"),
        () = one_more => {}
    }
    // The cancelled requests have freed their permits.
    let again = tokio::time::timeout(Duration::from_secs(1), request());
    assert!(again.await.is_err(), "the request is forwarded again");
}
