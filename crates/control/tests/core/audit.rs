//! The audit log.

use crate::rig::{FROM, PASSWORD, Rig, device};
use domain::Secret;

/// Returns the actions and objects in the audit log, oldest first.
async fn log(rig: &Rig) -> Vec<(String, String)> {
    let mut rows = rig.operator_view().await.audit;
    rows.reverse();
    rows.into_iter().map(|r| (r.action, r.object)).collect()
}

#[tokio::test]
async fn sign_ins_and_lock_outs_are_logged() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let phone = rig
        .control
        .devices()
        .add(&lina, device("Phone"))
        .await
        .unwrap();
    rig.control
        .devices()
        .download_config(&lina, phone.id, None)
        .await
        .unwrap();
    let right = Secret::new(PASSWORD);
    rig.control
        .auth()
        .sign_in("lina", &right, FROM)
        .await
        .unwrap();
    for _ in 0..9 {
        let wrong = Secret::new("wrong password");
        rig.control
            .auth()
            .sign_in("lina", &wrong, FROM)
            .await
            .unwrap_err();
    }
    let expected = [
        ("tenant.create", "lina"),
        ("device.add", "lina/Phone"),
        ("device.config", "lina/Phone"),
        ("session.begin", "lina"),
        ("session.refused", "lina"),
        ("session.refused", "lina"),
        ("session.refused", "lina"),
        ("session.refused", "lina"),
        ("session.refused", "lina"),
        ("session.limited", "lina"),
    ];
    let expected = expected.map(|(a, o)| (a.to_owned(), o.to_owned()));
    assert_eq!(log(&rig).await, expected);
}
