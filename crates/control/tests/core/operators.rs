//! The operator's account, and what the operator may do to a tenant.

use crate::rig::{FROM, Rig, code};
use control::TenantSession;
use domain::{Clock, ErrorCode, Secret, Slot};

#[tokio::test]
async fn the_operator_suspends_and_deletes_a_tenant() {
    let rig = Rig::new().await;
    let control = &rig.control;
    let (name, password) = control.operators().ensure_first().await.unwrap().unwrap();
    assert!(control.operators().ensure_first().await.unwrap().is_none());
    let wrong = Secret::new("wrong");
    let refused = control.auth().operator_sign_in(&name, &wrong, FROM).await;
    assert_eq!(code(refused), ErrorCode::SignInRefused);
    let session = control
        .auth()
        .operator_sign_in(&name, &password, FROM)
        .await;
    let session = session.unwrap();
    let (operator, proof) = (session.scope, session.proof);
    let begun = rig.clock.now();
    let scope = async || {
        let session = control.auth().operator_session(&name, &proof, begun);
        session.await.unwrap()
    };
    assert_eq!(scope().await.as_ref(), Some(&operator));
    let lina = rig.tenant("lina").await;
    let as_operator = control
        .auth()
        .operator_tenant(&operator, lina.tenant())
        .await
        .unwrap();
    assert!(
        control
            .tenants()
            .set_suspended(&as_operator, true)
            .await
            .unwrap()
    );
    assert!(
        !rig.machine.state().interfaces.contains_key(&Slot::FIRST),
        "the tunnel is removed before the answer"
    );
    let audit = control.operators().overview(&operator).await.unwrap().audit;
    assert!(
        audit
            .iter()
            .any(|a| a.action == "tenant.suspend" && a.actor == "operator:admin")
    );
    control.tenants().delete(&as_operator).await.unwrap();
    let session = TenantSession {
        tenant: lina.tenant(),
        name: lina.name(),
        begun,
    };
    let ended = control.auth().dashboard_session(lina.name(), session).await;
    assert_eq!(ended.unwrap(), None);
    let new_password = control.operators().reset(&name).await.unwrap();
    assert_eq!(
        scope().await,
        None,
        "a session of the old password has ended"
    );
    let refused = control
        .auth()
        .operator_sign_in(&name, &password, FROM)
        .await;
    assert_eq!(code(refused), ErrorCode::SignInRefused);
    let session = control
        .auth()
        .operator_sign_in(&name, &new_password, FROM)
        .await;
    assert!(session.is_ok());
}
