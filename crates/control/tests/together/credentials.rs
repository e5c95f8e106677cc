//! What one control plane knows of credentials while another one changes them.

use super::{FROM, PASSWORD, form, rig::ControlPlane, rig::Rig};
use control::{ApiGrant, ApiPermission, Grant};
use domain::{Access, Clock, ErrorCode, Failure, OwnerScope, Secret, SystemClock};
use std::time::Duration;

/// How long a change elsewhere may not be noticed by a request that changes nothing, and more.
const NOTICED: Duration = Duration::from_millis(21);

async fn sign_in(plane: &ControlPlane) -> Secret {
    let request = ApiGrant {
        grant: Grant::Tenant {
            name: "lina".to_owned(),
            password: Secret::new(PASSWORD),
        },
        access: Access::Write,
        client: FROM.into(),
    };
    let tokens = plane.control.auth().grant(request).await.unwrap();
    tokens.done().unwrap().access_token
}

async fn reads(plane: &ControlPlane, token: &Secret) -> Result<ApiPermission, Failure> {
    plane.control.auth().bearer_to_read(token).await
}

async fn refused(plane: &ControlPlane, token: &Secret) -> ErrorCode {
    reads(plane, token).await.unwrap_err().code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_at_one_is_refused_at_the_other() {
    let rig = Rig::new().await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    a.control
        .tenants()
        .sign_up(form("lina"), FROM)
        .await
        .unwrap();
    let (kept, ended) = (sign_in(&b).await, sign_in(&b).await);
    let ended_at_a = a.control.auth().bearer(&ended).await.unwrap();
    for token in [&kept, &ended, &kept, &ended] {
        reads(&b, token).await.unwrap();
    }
    a.control.auth().end_api_session(&ended_at_a).await.unwrap();
    assert_eq!(refused(&a, &ended).await, ErrorCode::TokenInvalid);
    let change = b.control.auth().bearer(&ended).await.unwrap_err();
    assert_eq!(change.code, ErrorCode::TokenInvalid, "a change, at once");
    tokio::time::sleep(NOTICED).await;
    assert_eq!(refused(&b, &ended).await, ErrorCode::TokenInvalid);

    // Another credential's reads go on, by which the state of the database is known.
    let ended = sign_in(&b).await;
    let ended_at_a = a.control.auth().bearer(&ended).await.unwrap();
    let go_on = async || {
        let until = tokio::time::Instant::now() + NOTICED;
        while tokio::time::Instant::now() < until {
            reads(&b, &kept).await.unwrap();
        }
    };
    reads(&b, &ended).await.unwrap();
    go_on().await;
    a.control.auth().end_api_session(&ended_at_a).await.unwrap();
    go_on().await;
    assert_eq!(refused(&b, &ended).await, ErrorCode::TokenInvalid);

    let permission = reads(&b, &kept).await.unwrap();
    let scope = permission.tenant(Access::Write).unwrap();
    let operator = OwnerScope::issue("admin");
    let suspend = async |suspended| {
        let tenants = a.control.tenants();
        tenants.set_suspended(&operator, scope, suspended).await
    };
    suspend(true).await.unwrap();
    assert_eq!(refused(&a, &kept).await, ErrorCode::Suspended);
    tokio::time::sleep(NOTICED).await;
    assert_eq!(refused(&b, &kept).await, ErrorCode::Suspended);
    suspend(false).await.unwrap();
    tokio::time::sleep(NOTICED).await;
    reads(&b, &kept).await.unwrap();
    let deleted = rig.store.delete_tenant(scope, SystemClock.now()).await;
    deleted.unwrap();
    tokio::time::sleep(NOTICED).await;
    for plane in [&a, &b] {
        assert_eq!(refused(plane, &kept).await, ErrorCode::TokenInvalid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_read_again_when_something_has_changed() {
    const REQUESTS: u64 = 2_000;
    let rig = Rig::new().await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    a.control
        .tenants()
        .sign_up(form("lina"), FROM)
        .await
        .unwrap();
    let token = sign_in(&b).await;
    let list = async || {
        let permission = reads(&b, &token).await.unwrap();
        let scope = permission.tenant(Access::Read).unwrap();
        let devices = b.control.devices();
        devices
            .peers_at(scope, permission.revision())
            .await
            .unwrap()
    };
    let before = rig.commits().await;
    for _ in 0..REQUESTS {
        assert_eq!(list().await.peers().len(), 0);
    }
    let statements = rig.commits().await - before;
    assert!(
        statements < REQUESTS / 4,
        "{statements} statements of {REQUESTS} requests"
    );
    let permission = reads(&b, &token).await.unwrap();
    rig.add_device(permission.tenant(Access::Write).unwrap(), 1)
        .await;
    tokio::time::sleep(NOTICED).await;
    assert_eq!(list().await.peers().len(), 1);
}
