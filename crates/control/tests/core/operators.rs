//! The operator's account, and what the operator may do to a tenant.

use crate::{
    account::{store_session, with_totp},
    rig::{FROM, Rig, code, device},
};
use control::{AuditFormat, AuditQuery, DeviceChange, TenantSession};
use domain::{Clock, ErrorCode, OperatorAdmission, OperatorRole, Secret, Slot};
use futures_util::TryStreamExt;

#[tokio::test]
async fn the_operator_suspends_and_deletes_a_tenant() {
    let rig = Rig::new().await;
    let control = &rig.control;
    let (name, password) = rig.first_operator().await;
    assert!(control.operators().first_link().await.unwrap().is_none());
    let wrong = Secret::new("wrong");
    let refused = control.auth().operator_sign_in(&name, &wrong, FROM).await;
    assert_eq!(code(refused), ErrorCode::SignInRefused);
    let session = control
        .auth()
        .operator_sign_in(&name, &password, FROM)
        .await;
    let session = session.unwrap();
    let session = session.done().unwrap();
    let OperatorAdmission::FactorNeeded(owner) = &session.admission else {
        panic!("an owner needs a second factor first")
    };
    let key = store_session(&rig, &session.session).await;
    let own = control.auth().owner_enrolment(owner, key);
    let begun = rig.clock.now();
    with_totp(&rig, &own).await;
    let proof = &session.session.proof;
    let scope = async || {
        let session = control.auth().operator_session(&name, proof, begun);
        session.await.unwrap()
    };
    let admitted = scope().await.unwrap();
    let operator = admitted.permission().unwrap();
    let lina = rig.tenant("lina").await;
    let as_operator = control
        .auth()
        .operator_tenant(operator.support().unwrap(), lina.tenant())
        .await
        .unwrap();
    assert!(
        control
            .tenants()
            .set_suspended(operator.support().unwrap(), &as_operator, true)
            .await
            .unwrap()
    );
    assert!(
        !rig.machine.state().interfaces.contains_key(&Slot::FIRST),
        "the tunnel is removed before the answer"
    );
    let audit = control.operators().overview(operator).await.unwrap().audit;
    assert!(
        audit
            .iter()
            .any(|a| a.action == "tenant.suspend" && a.actor == "operator:admin")
    );
    let tenants = control.tenants();
    let deleted = tenants.operator_delete(operator.owner().unwrap(), &as_operator);
    deleted.await.unwrap();
    let session = TenantSession {
        tenant: lina.tenant(),
        name: lina.name(),
        begun,
        proof: "any",
        stays: true,
    };
    let ended = control.auth().dashboard_session(lina.name(), session).await;
    assert_eq!(ended.unwrap(), None);
    let owner = control.auth().command_line_operator();
    let link = control.operators().reset_link(&owner, &name, false).await;
    let new_password = Secret::new("an entirely different passphrase");
    let (account, token) = (control.account(), link.unwrap().token);
    let reset = account.reset_password(&token, &new_password, FROM).await;
    reset.unwrap();
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

#[tokio::test]
async fn an_invited_operator_has_its_role_until_it_is_changed() {
    let rig = Rig::new().await;
    let (operators, auth) = (rig.control.operators(), rig.control.auth());
    rig.first_operator().await;
    let owner = auth.command_line_operator();
    for bad in ["", "a b", "operator:x", "cli", "CLI", &"x".repeat(65)] {
        let refused = operators.invite(&owner, bad, OperatorRole::Support).await;
        assert_eq!(code(refused), ErrorCode::OperatorMalformed, "{bad}");
    }
    let taken = operators.invite(&owner, "admin", OperatorRole::Owner).await;
    assert_eq!(code(taken), ErrorCode::NameTaken);
    let link = operators
        .invite(&owner, " sam ", OperatorRole::Support)
        .await;
    let (link, password) = (
        link.unwrap(),
        Secret::new("an entirely different passphrase"),
    );
    let found = operators.welcome(&link.token, FROM).await.unwrap();
    assert_eq!(
        (found.name.as_deref(), found.role),
        (Some("sam"), OperatorRole::Support)
    );
    let accept =
        async |password: &Secret| operators.accept(&link.token, "eve", password, FROM).await;
    let weak = accept(&Secret::new("password")).await;
    assert_eq!(code(weak), ErrorCode::PasswordWeak, "nothing is used up");
    assert_eq!(accept(&password).await.unwrap(), "sam");
    assert_eq!(
        code(accept(&password).await),
        ErrorCode::OperatorLinkInvalid
    );

    let session = auth.operator_sign_in("sam", &password, FROM).await;
    let session = session.unwrap().done().unwrap();
    let begun = rig.clock.now();
    let permission = async || {
        let proof = &session.session.proof;
        let session = auth.operator_session("sam", proof, begun);
        session.await.unwrap()
    };
    let support = permission().await.unwrap();
    let support = support.permission().unwrap();
    assert!(support.support().is_ok() && support.owner().is_err());
    operators
        .set_role(&owner, "sam", OperatorRole::ReadOnly)
        .await
        .unwrap();
    let lowered = permission().await.unwrap();
    let lowered = lowered.permission().unwrap();
    assert_eq!(code(lowered.support().map(drop)), ErrorCode::NotPermitted);
    let last = operators
        .set_role(&owner, "admin", OperatorRole::Support)
        .await;
    assert_eq!(code(last), ErrorCode::LastOwner);
    let last = operators.remove(&owner, "admin").await;
    assert_eq!(code(last), ErrorCode::LastOwner);
    operators.remove(&owner, "sam").await.unwrap();
    assert_eq!(permission().await, None, "its session ends");
    let unknown = operators.remove(&owner, "sam").await;
    assert_eq!(code(unknown), ErrorCode::NotFound);

    let late = operators
        .invite(&owner, "tim", OperatorRole::ReadOnly)
        .await
        .unwrap();
    rig.clock.advance(86_400_000);
    let expired = operators.welcome(&late.token, FROM).await;
    assert_eq!(code(expired), ErrorCode::OperatorLinkInvalid);
}

#[tokio::test]
async fn the_audit_log_says_from_where_and_what_it_was() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await.with_origin("192.0.2.7");
    let device = rig
        .control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    let change = DeviceChange {
        label: Some("Tablet".to_owned()),
        ..DeviceChange::default()
    };
    let changed = rig.control.devices().change(&lina, device.id, change);
    changed.await.unwrap();
    let dns = rig.control.dns();
    let path = "/control/filtering/set_rules";
    dns.record_change(&lina, "POST", path).await;
    let owner = rig.control.auth().command_line_operator();
    let entries = async |query: AuditQuery| {
        let operators = rig.control.operators();
        operators.audit(&owner, &query, i64::MAX, 9).await
    };
    let found = entries(AuditQuery {
        tenant: "lina".to_owned(),
        action: "device.change".to_owned(),
        ..AuditQuery::default()
    });
    let found = found.await.unwrap();
    let row = &found[0].row;
    assert_eq!((found.len(), row.origin.as_str()), (1, "192.0.2.7"));
    assert_eq!(
        (row.before.as_str(), row.after.as_str()),
        ("label Phone", "label Tablet")
    );
    let found = entries(AuditQuery {
        action: "dns.change".to_owned(),
        ..AuditQuery::default()
    });
    assert_eq!(
        found.await.unwrap()[0].row.detail,
        "POST filtering/set_rules"
    );
    for (query, expected) in [
        (("since", "yesterday"), ErrorCode::BadRequest),
        (("tenant", "nobody"), ErrorCode::NotFound),
    ] {
        let mut bad = AuditQuery::default();
        match query.0 {
            "since" => bad.since = query.1.to_owned(),
            _ => bad.tenant = query.1.to_owned(),
        }
        assert_eq!(code(entries(bad).await), expected);
    }
    let (operators, all) = (rig.control.operators(), AuditQuery::default());
    let export = operators.export_audit(&owner, &all, AuditFormat::Csv);
    let export = export.await.unwrap();
    let parts = export.clone().parts().await.unwrap();
    let parts: Vec<String> = parts.try_collect().await.unwrap();
    let text = parts.concat();
    assert!(text.starts_with("at,actor,action,object,origin,before,after,detail\r\n"));
    assert!(
        text.contains("\"device.change\",\"lina/Phone\",\"192.0.2.7\",\"label Phone\""),
        "{text}"
    );
    // A database that is away is told before an answer begins.
    rig.store.close().await;
    let away = export.parts().await.map(drop);
    assert_eq!(code(away), ErrorCode::DatabaseUnavailable);
}
