//! The operator's account, and what the operator may do to a tenant.

use crate::rig::{FROM, Rig, code};
use domain::{ErrorCode, Secret, Slot};

#[tokio::test]
async fn the_operator_suspends_and_deletes_a_tenant() {
    let rig = Rig::new().await;
    let control = &rig.control;
    let (name, password) = control.ensure_operator().await.unwrap().unwrap();
    assert!(control.ensure_operator().await.unwrap().is_none());
    let wrong = Secret::new("wrong");
    let refused = control.operator_sign_in(&name, &wrong, FROM).await;
    assert_eq!(code(refused), ErrorCode::SignInRefused);
    let session = control.operator_sign_in(&name, &password, FROM).await;
    let session = session.unwrap();
    let (operator, proof) = (session.scope, session.proof);
    let is_valid = async || {
        let valid = control.is_operator_session_valid(&name, &proof).await;
        valid.unwrap()
    };
    assert!(is_valid().await);
    let lina = rig.tenant("lina").await;
    let scope = control
        .operator_tenant(&operator, lina.tenant())
        .await
        .unwrap();
    assert!(control.set_suspended(&scope, true).await.unwrap());
    assert!(
        !rig.machine.state().interfaces.contains_key(&Slot::FIRST),
        "the tunnel is removed before the answer"
    );
    let audit = control.operator_view(&operator).await.unwrap().audit;
    assert!(
        audit
            .iter()
            .any(|a| a.action == "tenant.suspend" && a.actor == "operator:admin")
    );
    control.delete_tenant(&scope).await.unwrap();
    let exists = control.tenant_exists(lina.tenant(), lina.name()).await;
    assert!(!exists.unwrap());
    let new_password = control.reset_operator(&name).await.unwrap();
    assert!(!is_valid().await, "a session of the old password has ended");
    let refused = control.operator_sign_in(&name, &password, FROM).await;
    assert_eq!(code(refused), ErrorCode::SignInRefused);
    let session = control.operator_sign_in(&name, &new_password, FROM).await;
    assert!(session.is_ok());
}
