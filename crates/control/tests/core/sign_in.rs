//! Sign-in with a password.

use crate::rig::{FROM, PASSWORD, Rig, code};
use domain::{ErrorCode, Secret};
use std::net::IpAddr;

#[tokio::test]
async fn a_sixth_wrong_password_has_to_wait() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let (right, wrong) = (Secret::new(PASSWORD), Secret::new("wrong password"));
    let sign_in = async |name: &str, password: &Secret, from: IpAddr| {
        rig.control.auth().sign_in(name, password, from).await
    };
    for _ in 0..5 {
        let refused = sign_in("lina", &wrong, FROM).await;
        assert_eq!(code(refused), ErrorCode::SignInRefused);
    }
    // The right password has to wait as well.
    let refused = sign_in("lina", &right, FROM).await;
    assert_eq!(code(refused), ErrorCode::TooManyTries);
    // The address waits whatever name it tries; the account has others that may try.
    let refused = sign_in("nobody", &wrong, FROM).await;
    assert_eq!(code(refused), ErrorCode::TooManyTries);
    let other: IpAddr = "192.0.2.7".parse().unwrap();
    assert!(sign_in("lina", &right, other).await.is_ok());
    rig.clock.advance(61_000);
    assert!(sign_in("lina", &right, FROM).await.is_ok());
    assert_eq!(
        code(sign_in("nobody", &wrong, other).await),
        ErrorCode::SignInRefused,
        "as for a wrong password"
    );
}

#[tokio::test]
async fn an_unavailable_database_is_no_wrong_password() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    rig.store.close().await;
    let (control, password) = (&rig.control, Secret::new(PASSWORD));
    for _ in 0..12 {
        let tenant = control.auth().sign_in("lina", &password, FROM).await;
        assert_eq!(code(tenant), ErrorCode::DatabaseUnavailable);
        let operator = control
            .auth()
            .operator_sign_in("admin", &password, FROM)
            .await;
        assert_eq!(code(operator), ErrorCode::DatabaseUnavailable);
    }
}
