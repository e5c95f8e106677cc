//! Access to the API by the clock: how long tokens and keys are valid, and what ends them.

use crate::rig::{FROM, PASSWORD, Rig, code};
use control::{ApiCaller, ApiGrant, ApiPermission, ApiTokens, Grant, NewApiToken, Repeat};
use domain::{Access, ErrorCode, Failure, Secret};

const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

async fn grant(rig: &Rig, grant: Grant) -> Result<ApiTokens, Failure> {
    let request = ApiGrant {
        grant,
        access: Access::Write,
        client: FROM.into(),
    };
    rig.control.auth().grant(request).await?.done()
}

async fn sign_in(rig: &Rig, name: &str) -> ApiTokens {
    let password = Secret::new(PASSWORD);
    let name = name.to_owned();
    grant(rig, Grant::Tenant { name, password }).await.unwrap()
}

async fn refresh(rig: &Rig, tokens: &ApiTokens) -> Result<ApiTokens, Failure> {
    let (token, _) = tokens.refresh.clone().unwrap();
    grant(rig, Grant::Refresh(token)).await
}

async fn bearer(rig: &Rig, token: &Secret) -> Result<ApiPermission, Failure> {
    rig.control.auth().bearer(token).await
}

#[tokio::test]
async fn an_access_token_is_valid_for_15_minutes() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let tokens = sign_in(&rig, "lina").await;
    let permission = bearer(&rig, &tokens.access_token).await.unwrap();
    let ApiCaller::Tenant(scope) = permission.caller() else {
        panic!("{permission:?}");
    };
    assert_eq!((scope.tenant(), scope.actor()), (lina.tenant(), "lina"));
    rig.clock.advance(15 * MINUTE - 1_000);
    assert!(bearer(&rig, &tokens.access_token).await.is_ok());
    rig.clock.advance(1_000);
    let expired = bearer(&rig, &tokens.access_token).await;
    assert_eq!(code(expired), ErrorCode::TokenExpired);
    let next = refresh(&rig, &tokens).await.unwrap();
    assert!(bearer(&rig, &next.access_token).await.is_ok());
}

#[tokio::test]
async fn a_session_ends_without_use_and_in_any_case() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let unused = sign_in(&rig, "lina").await;
    let mut used = sign_in(&rig, "lina").await;
    rig.clock.advance(7 * DAY);
    assert_eq!(code(refresh(&rig, &unused).await), ErrorCode::TokenInvalid);
    assert_eq!(code(refresh(&rig, &used).await), ErrorCode::TokenInvalid);
    used = sign_in(&rig, "lina").await;
    for _ in 0..5 {
        rig.clock.advance(6 * DAY - MINUTE);
        used = refresh(&rig, &used).await.unwrap();
    }
    rig.clock.advance(5 * MINUTE);
    assert_eq!(
        code(refresh(&rig, &used).await),
        ErrorCode::TokenInvalid,
        "30 days in all"
    );

    let (name, password) = rig.first_operator().await;
    let operator = grant(&rig, Grant::Operator { name, password })
        .await
        .unwrap();
    rig.clock.advance(12 * 60 * MINUTE);
    let late = refresh(&rig, &operator).await;
    assert_eq!(
        code(late),
        ErrorCode::TokenInvalid,
        "an operator's after 12 hours"
    );
}

#[tokio::test]
async fn keys_are_replaced_and_outlive_their_tokens() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let kid = async || rig.store.newest_signing_key().await.unwrap().unwrap().kid;
    let first = sign_in(&rig, "lina").await;
    let first_key = kid().await;
    rig.clock.advance(30 * DAY - MINUTE);
    let last = sign_in(&rig, "lina").await;
    assert_eq!(kid().await, first_key);
    rig.clock.advance(2 * MINUTE);
    let next = sign_in(&rig, "lina").await;
    assert_ne!(kid().await, first_key, "a key signs for 30 days");
    for token in [&last, &next] {
        assert!(bearer(&rig, &token.access_token).await.is_ok());
    }
    assert!(bearer(&rig, &first.access_token).await.is_err());
    // Another control plane on the database knows the keys.
    let other = Rig::with(crate::rig::Options {
        store: Some(rig.store.clone()),
        ..Default::default()
    })
    .await;
    other.clock.advance(30 * DAY + MINUTE);
    for token in [&last, &next] {
        assert!(bearer(&other, &token.access_token).await.is_ok());
    }
}

#[tokio::test]
async fn a_read_token_makes_no_write_token() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let tokens = sign_in(&rig, "lina").await;
    let permission = bearer(&rig, &tokens.access_token).await.unwrap();
    let auth = rig.control.auth();
    let new = |access, name: &str, days| NewApiToken {
        name: name.to_owned(),
        access,
        days,
    };
    let presence = rig.control.account().presence_for_tokens(&permission).await;
    let presence = presence.unwrap();
    let made = auth.create_api_token(&permission, new(Access::Read, "status", 1), presence);
    let made = made.await.unwrap();
    let reading = bearer(&rig, &made.secret).await.unwrap();
    assert_eq!(code(reading.tenant(Access::Write)), ErrorCode::NotPermitted);
    assert_eq!(
        code(reading.operator(Access::Read)),
        ErrorCode::NotPermitted
    );
    let more = auth.create_api_token(&reading, new(Access::Write, "more", 1), presence);
    assert_eq!(code(more.await), ErrorCode::NotPermitted);
    for (name, days) in [("", 1), ("\n", 1), ("x", 0), ("x", 3_651)] {
        let refused = auth.create_api_token(&permission, new(Access::Read, name, days), presence);
        assert_eq!(
            code(refused.await),
            ErrorCode::BadRequest,
            "{name:?} {days}"
        );
    }
    // The use is noted once a minute, and the token ends with its day.
    let used = async || {
        auth.api_tokens(&permission).await.unwrap()[0]
            .used_at
            .unwrap()
    };
    let first = used().await;
    rig.clock.advance(MINUTE - 1);
    bearer(&rig, &made.secret).await.unwrap();
    assert_eq!(used().await, first);
    rig.clock.advance(1);
    bearer(&rig, &made.secret).await.unwrap();
    assert_eq!(used().await, first.plus_millis(MINUTE));
    rig.clock.advance(DAY);
    assert_eq!(
        code(bearer(&rig, &made.secret).await),
        ErrorCode::TokenInvalid
    );
}

#[tokio::test]
async fn a_key_of_a_request_is_claimed_for_a_while() {
    let rig = Rig::new().await;
    let answers = rig.control.answers();
    let claim = async || answers.claim("tenant:1", "one", "request").await;
    assert!(matches!(claim().await, Ok(Repeat::New(_))));
    assert_eq!(code(claim().await), ErrorCode::KeyPending);
    // The control plane that carried it out has ended.
    rig.clock.advance(90_000);
    let Ok(Repeat::New(key)) = claim().await else {
        panic!("still claimed");
    };
    answers.store(key, b"made").await;
    rig.clock.advance(DAY - 1);
    assert!(matches!(claim().await, Ok(Repeat::Answered(a)) if a.as_slice() == b"made"));
    for malformed in ["", "a b", "ä", &"x".repeat(256)] {
        let refused = answers.claim("tenant:1", malformed, "request").await;
        assert_eq!(code(refused), ErrorCode::BadRequest, "{malformed}");
    }
}
