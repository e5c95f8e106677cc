//! A device's key is shown for ten minutes, then to a holder who proves to be present.

use crate::stack::{PASSWORD, Stack};
use axum::http::StatusCode;
use domain::{Clock, SystemClock};
use std::sync::Arc;
use store::Store;
use testkit::fakes::FakeClock;

const HOST: &str = "alice.localhost:8085";

#[tokio::test(flavor = "multi_thread")]
async fn an_old_key_needs_a_proof_of_presence() {
    let clock = Arc::new(FakeClock::at(SystemClock.now()));
    let s = Stack::on(Store::memory().await.unwrap(), clock.clone()).await;
    let alice = s.sign_up("alice").await;
    let cookie = Some(alice.cookie.as_str());
    let id = s.add_device(&alice, "phone").await;
    let (page, file) = (format!("/devices/{id}"), format!("/devices/{id}/config"));
    let shows_key = async || s.get(HOST, &page, cookie).await.contains("PrivateKey");
    assert!(shows_key().await);
    assert!(s.get(HOST, &file, cookie).await.contains("PrivateKey"));

    clock.advance(601_000);
    assert!(!shows_key().await);
    let refused = s.get(HOST, &file, cookie).await;
    assert_eq!(refused.location.as_deref(), Some(page.as_str()));
    let wrong = format!("password=wrong&to={page}");
    let answer = s.call(HOST, "/do/prove_presence", &wrong, cookie).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert!(!shows_key().await);
    let right = format!("password={}&to={page}", PASSWORD.replace(' ', "+"));
    let answer = s.post(HOST, "/do/prove_presence", &right, cookie).await;
    assert_eq!(answer.location.as_deref(), Some(page.as_str()));
    assert!(shows_key().await);

    // A new key is shown without a proof, because it is in no device yet.
    clock.advance(601_000);
    assert!(!shows_key().await);
    let body = format!("id={id}");
    let made = s.post(HOST, "/do/new_device_key", &body, cookie).await;
    assert!(made.status.is_redirection(), "{made:?}");
    assert!(shows_key().await);

    // An act goes on with the proof.
    clock.advance(601_000);
    let asked = s.post(HOST, "/do/make_recovery_codes", "", cookie).await;
    let to = asked.location.unwrap_or_default();
    assert!(to.starts_with("/account/confirm?"), "{to}");
    let act = format!(
        "password={}&act=new_recovery_codes",
        PASSWORD.replace(' ', "+")
    );
    let done = s.post(HOST, "/do/prove_presence", &act, cookie).await;
    assert_eq!(done.location.as_deref(), Some("/account/recovery-codes"));
    let codes = done.set_cookie("mn_recovery").expect("the codes, once");
    let both = format!("{}; {codes}", alice.cookie);
    let shown = s.get(HOST, "/account/recovery-codes", Some(&both)).await;
    assert_eq!(shown.count("<li>"), 10, "{shown:?}");
}
