//! How the own account is protected: second factors, recovery codes, links, presence, sessions.

use crate::rig::{FROM, PASSWORD, Rig, code, device};
use control::{
    AccountScope, Audience, FactorScope, PendingSignIn, PresentedTicket, SignInClient, SignInStep,
    SignInTicket,
};
use domain::{
    Clock, ErrorCode, Failure, Field, OperatorAdmission, OperatorRole, OwnerScope, Secret,
    TenantHolderScope, view::SessionKind,
};
use std::{collections::HashMap, net::IpAddr};
use store::{SessionDetails, SessionKey, Sessions};
use tower_sessions::{
    SessionStore,
    cookie::time::{Duration, OffsetDateTime},
    session::{Id, Record},
};

const MINUTE: i64 = 60_000;
const NEW_PASSWORD: &str = "an entirely different passphrase";

/// A client that is signed in.
pub struct SignedIn {
    pub scope: TenantHolderScope,
    pub account: AccountScope,
    pub key: SessionKey,
}

/// Stores the session of a ticket, as the server does.
pub async fn arrive(rig: &Rig, ticket: SignInTicket) -> SignedIn {
    let auth = rig.control.auth();
    let presented = PresentedTicket::Cookie(ticket.ticket.expose());
    let redeemed = auth.redeem(Audience::Dashboard, &ticket.name, presented, FROM);
    let redeemed = redeemed.await.unwrap();
    let key = store_session(rig, &redeemed.session).await;
    SignedIn {
        account: auth.tenant_account(&redeemed.scope, key.clone()),
        scope: redeemed.scope,
        key,
    }
}

pub async fn store_session(rig: &Rig, details: &SessionDetails) -> SessionKey {
    let value = serde_json::to_value(details).unwrap();
    let mut record = Record {
        id: Id::default(),
        data: HashMap::from([(SessionDetails::KEY.to_owned(), value)]),
        expiry_date: OffsetDateTime::now_utc() + Duration::days(1),
    };
    let sessions = Sessions::new(rig.store.clone());
    sessions.create(&mut record).await.unwrap();
    SessionKey::of(&record.id)
}

async fn password(rig: &Rig, password: &str) -> Result<SignInStep, Failure> {
    let password = Secret::new(password);
    rig.control.auth().sign_in("lina", &password, FROM).await
}

pub async fn sign_in(rig: &Rig) -> SignedIn {
    let step = password(rig, PASSWORD).await.unwrap();
    arrive(rig, step.done().unwrap()).await
}

pub async fn pending(rig: &Rig) -> PendingSignIn {
    match password(rig, PASSWORD).await.unwrap() {
        SignInStep::SecondFactor(pending) => pending,
        SignInStep::Done(_) => panic!("a second factor is asked for"),
    }
}

/// Returns the client of a sign-in that waits.
pub fn browser(pending: &PendingSignIn) -> SignInClient {
    SignInClient {
        browser: Some(pending.browser.clone()),
        ..FROM.into()
    }
}

async fn second_step(
    rig: &Rig,
    pending: &PendingSignIn,
    code: &str,
) -> Result<SignInTicket, Failure> {
    let auth = rig.control.auth();
    let done = auth.second_factor(&pending.token, code, browser(pending));
    done.await
}

/// Returns the code of a secret in base32 at the rig's time, so many steps away.
fn totp(rig: &Rig, secret: &Secret, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret.expose()).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let secs = rig.clock.now().secs() + 30 * steps;
    totp.generate(secs.try_into().unwrap()).to_string()
}

/// Switches the second factor on. Returns its secret.
pub async fn with_totp(rig: &Rig, account: &FactorScope) -> Secret {
    let handle = rig.control.account();
    let begun = handle.begin_totp(account).await.unwrap();
    let code = totp(rig, &begun.secret, 0);
    handle.confirm_totp(account, &code, FROM).await.unwrap();
    rig.clock.advance(MINUTE);
    begun.secret
}

pub async fn actions(rig: &Rig) -> Vec<String> {
    let audit = rig.store.audit_recent(200).await.unwrap();
    audit.into_iter().map(|row| row.action).collect()
}

#[tokio::test]
async fn a_second_factor_holds_once_it_is_confirmed() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let account = rig.control.account();
    let none = account.confirm_totp(&lina.account, "123456", FROM).await;
    assert_eq!(code(none), ErrorCode::NotFound);
    let begun = account.begin_totp(&lina.account).await.unwrap();
    let again = account.begin_totp(&lina.account).await.unwrap();
    assert_eq!(
        begun.secret.expose(),
        again.secret.expose(),
        "the same until it is confirmed"
    );
    assert!(begun.uri.expose().contains(begun.secret.expose()));
    assert!(
        password(&rig, PASSWORD).await.unwrap().done().is_some(),
        "it does not hold yet"
    );
    let wrong = account.confirm_totp(&lina.account, "000000", FROM).await;
    let wrong = wrong.unwrap_err();
    assert_eq!(
        (wrong.code, wrong.field),
        (ErrorCode::CodeInvalid, Some(Field::Code))
    );
    let right = totp(&rig, &begun.secret, 0);
    account
        .confirm_totp(&lina.account, &right, FROM)
        .await
        .unwrap();
    let twice = account.begin_totp(&lina.account).await;
    assert_eq!(twice.map(drop).unwrap_err().code, ErrorCode::FactorExists);

    let waiting = pending(&rig).await;
    let used = second_step(&rig, &waiting, &right).await;
    assert_eq!(
        used.map(drop).unwrap_err().code,
        ErrorCode::CodeInvalid,
        "it was used to confirm"
    );
    rig.clock.advance(MINUTE);
    let early = second_step(&rig, &waiting, &totp(&rig, &begun.secret, -2)).await;
    assert_eq!(
        early.map(drop).unwrap_err().code,
        ErrorCode::CodeInvalid,
        "the step before last"
    );
    let right = totp(&rig, &begun.secret, -1);
    let ticket = second_step(&rig, &waiting, &right).await.unwrap();
    arrive(&rig, ticket).await;
    let over = second_step(&rig, &waiting, &totp(&rig, &begun.secret, 0)).await;
    assert_eq!(
        over.map(drop).unwrap_err().code,
        ErrorCode::SignInExpired,
        "it is used up"
    );
    let second = pending(&rig).await;
    let replayed = second_step(&rig, &second, &right).await;
    assert_eq!(
        replayed.map(drop).unwrap_err().code,
        ErrorCode::CodeInvalid,
        "a code works once"
    );

    account.remove_totp(&lina.account).await.unwrap();
    assert!(password(&rig, PASSWORD).await.unwrap().done().is_some());
    let actions = actions(&rig).await;
    for action in [
        "factor.add",
        "factor.remove",
        "session.password",
        "session.refused",
    ] {
        assert!(actions.iter().any(|a| a == action), "{action}");
    }
}

#[tokio::test]
async fn a_password_alone_signs_nobody_in() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    rig.tenant("omar").await;
    let lina = sign_in(&rig).await;
    let secret = with_totp(&rig, &lina.account).await;
    let waiting = pending(&rig).await;
    // The token is no ticket, and belongs to the browser that gave the password.
    let name = lina.scope.name();
    let presented = PresentedTicket::Cookie(waiting.token.expose());
    let auth = rig.control.auth();
    let redeemed = auth
        .redeem(Audience::Dashboard, name, presented, FROM)
        .await;
    assert_eq!(
        redeemed.map(drop).unwrap_err().code,
        ErrorCode::TicketInvalid
    );
    let stolen = auth
        .second_factor(&waiting.token, &totp(&rig, &secret, 0), FROM)
        .await;
    assert_eq!(stolen.map(drop).unwrap_err().code, ErrorCode::SignInExpired);
    let operator = auth
        .operator_second_factor(&waiting.token, "123456", browser(&waiting))
        .await;
    assert_eq!(
        operator.map(drop).unwrap_err().code,
        ErrorCode::SignInExpired
    );
    // Five codes, then it is to be begun again; a sixth is not looked at.
    for _ in 0..4 {
        let wrong = second_step(&rig, &waiting, "000000").await;
        assert_eq!(wrong.map(drop).unwrap_err().code, ErrorCode::CodeInvalid);
    }
    rig.clock.advance(2 * MINUTE);
    let fifth = second_step(&rig, &waiting, "000000").await;
    assert_eq!(fifth.map(drop).unwrap_err().code, ErrorCode::CodeInvalid);
    let sixth = second_step(&rig, &waiting, &totp(&rig, &secret, 0)).await;
    assert_eq!(sixth.map(drop).unwrap_err().code, ErrorCode::SignInExpired);
    let late = pending(&rig).await;
    rig.clock.advance(5 * MINUTE);
    let late = second_step(&rig, &late, &totp(&rig, &secret, 0)).await;
    assert_eq!(late.map(drop).unwrap_err().code, ErrorCode::SignInExpired);
    // A code of another account is none here.
    let waiting = pending(&rig).await;
    let step = auth
        .sign_in("omar", &Secret::new(PASSWORD), FROM)
        .await
        .unwrap();
    let omar = arrive(&rig, step.done().unwrap()).await;
    let of_omar = with_totp(&rig, &omar.account).await;
    let other = second_step(&rig, &waiting, &totp(&rig, &of_omar, 0)).await;
    assert_eq!(other.map(drop).unwrap_err().code, ErrorCode::CodeInvalid);
    // A changed password ends what waits.
    let account = rig.control.account();
    let (old, new) = (Secret::new(PASSWORD), Secret::new(NEW_PASSWORD));
    account
        .change_password(&lina.account, &old, &new, FROM)
        .await
        .unwrap();
    let over = second_step(&rig, &waiting, &totp(&rig, &secret, 0)).await;
    assert_eq!(over.map(drop).unwrap_err().code, ErrorCode::SignInExpired);
}

#[tokio::test]
async fn a_recovery_code_stands_once_for_what_is_lost() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let account = rig.control.account();
    let codes = account.new_recovery_codes(&lina.account).await.unwrap().0;
    assert_eq!(codes.len(), 10);
    with_totp(&rig, &lina.account).await;
    let waiting = pending(&rig).await;
    // As it is typed: with capital letters and other gaps.
    let typed = codes[0].expose().to_uppercase().replace('-', " ");
    second_step(&rig, &waiting, &typed).await.unwrap();
    let waiting = pending(&rig).await;
    let twice = second_step(&rig, &waiting, codes[0].expose()).await;
    assert_eq!(twice.map(drop).unwrap_err().code, ErrorCode::CodeInvalid);
    let view = account.security(&lina.account).await.unwrap();
    assert_eq!(view.recovery_codes_left, 9);

    // Password, phone and laptop are lost: two codes give all back.
    let new = Secret::new(NEW_PASSWORD);
    let recover = async |name: &str, code: &str, new: &Secret| {
        account.recover(false, name, code, new, FROM).await
    };
    let weak = recover("lina", codes[1].expose(), &Secret::new("short"))
        .await
        .unwrap_err();
    assert_eq!(
        (weak.code, weak.field),
        (ErrorCode::PasswordWeak, Some(Field::NewPassword))
    );
    recover("lina", codes[1].expose(), &new).await.unwrap();
    assert_eq!(
        code(recover("lina", codes[1].expose(), &new).await),
        ErrorCode::CodeInvalid
    );
    assert_eq!(
        code(recover("nobody", codes[2].expose(), &new).await),
        ErrorCode::CodeInvalid
    );
    let sessions = Sessions::new(rig.store.clone());
    assert!(
        !sessions.is_active(&lina.key).await.unwrap(),
        "what was begun is over"
    );
    let SignInStep::SecondFactor(waiting) = password(&rig, NEW_PASSWORD).await.unwrap() else {
        panic!("the second factor stays")
    };
    let ticket = second_step(&rig, &waiting, codes[2].expose())
        .await
        .unwrap();
    let back = arrive(&rig, ticket).await;
    let replaced = account.new_recovery_codes(&back.account).await.unwrap().0;
    assert_eq!(
        code(recover("lina", codes[3].expose(), &new).await),
        ErrorCode::CodeInvalid
    );
    recover("lina", replaced[0].expose(), &new).await.unwrap();
}

#[tokio::test]
async fn a_reset_link_works_once_and_not_after_a_change() {
    let rig = Rig::new().await;
    let scope = rig.tenant("lina").await;
    let owner = OwnerScope::issue("admin");
    let account = rig.control.account();
    let link = async |without_factors| {
        let made = account
            .tenant_reset_link(&owner, &scope, without_factors)
            .await;
        made.unwrap().token
    };
    let new = Secret::new(NEW_PASSWORD);
    let reset = async |token: &Secret, new: &Secret| {
        account
            .reset_password(token, new, FROM)
            .await
            .map(|t| t.name)
    };
    let first = link(false).await;
    for _ in 0..3 {
        let target = account.reset_target(&first, FROM).await.unwrap();
        assert_eq!((target.name.as_str(), target.is_operator), ("lina", false));
    }
    let second = link(false).await;
    assert_eq!(
        code(reset(&first, &new).await),
        ErrorCode::ResetInvalid,
        "a newer one was made"
    );
    assert_eq!(
        code(reset(&second, &Secret::new("short")).await),
        ErrorCode::PasswordWeak
    );
    let lina = sign_in(&rig).await;
    assert_eq!(reset(&second, &new).await.unwrap(), "lina");
    assert_eq!(
        code(reset(&second, &new).await),
        ErrorCode::ResetInvalid,
        "twice"
    );
    let sessions = Sessions::new(rig.store.clone());
    assert!(!sessions.is_active(&lina.key).await.unwrap());
    assert!(password(&rig, PASSWORD).await.is_err());

    let step = password(&rig, NEW_PASSWORD).await.unwrap();
    let lina = arrive(&rig, step.done().unwrap()).await;
    with_totp(&rig, &lina.account).await;
    let late = link(true).await;
    let (old, newer) = (new.clone(), Secret::new("yet another good passphrase"));
    account
        .change_password(&lina.account, &old, &newer, FROM)
        .await
        .unwrap();
    let changed = account.reset_target(&late, FROM).await;
    assert_eq!(
        code(changed),
        ErrorCode::ResetInvalid,
        "the password was changed"
    );
    let expired = link(true).await;
    rig.clock.advance(60 * MINUTE);
    assert_eq!(
        code(reset(&expired, &new).await),
        ErrorCode::ResetInvalid,
        "an hour"
    );
    // The operator may take the second factor away with it.
    reset(&link(true).await, &new).await.unwrap();
    assert!(password(&rig, NEW_PASSWORD).await.unwrap().done().is_some());
}

#[tokio::test]
async fn another_password_ends_all_other_sessions() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let (own, other) = (sign_in(&rig).await, sign_in(&rig).await);
    let account = rig.control.account();
    let change = async |old: &str, new: &str| {
        let (old, new) = (Secret::new(old), Secret::new(new));
        account
            .change_password(&own.account, &old, &new, FROM)
            .await
    };
    let wrong = change("wrong", NEW_PASSWORD).await.unwrap_err();
    assert_eq!(
        (wrong.code, wrong.field),
        (ErrorCode::SignInRefused, Some(Field::Password))
    );
    let weak = change(PASSWORD, "lina").await.unwrap_err();
    assert_eq!(
        (weak.code, weak.field),
        (ErrorCode::PasswordWeak, Some(Field::NewPassword))
    );
    change(PASSWORD, NEW_PASSWORD).await.unwrap();
    let listed = account.sessions(&own.account).await.unwrap();
    assert_eq!((listed.len(), listed[0].is_current), (1, true));
    let sessions = Sessions::new(rig.store.clone());
    assert!(!sessions.is_active(&other.key).await.unwrap());
    assert!(password(&rig, PASSWORD).await.is_err());
    assert!(password(&rig, NEW_PASSWORD).await.is_ok());
    assert!(actions(&rig).await.iter().any(|a| a == "password.change"));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_holder() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    rig.tenant("omar").await;
    let (own, other) = (sign_in(&rig).await, sign_in(&rig).await);
    let auth = rig.control.auth();
    let step = auth
        .sign_in("omar", &Secret::new(PASSWORD), FROM)
        .await
        .unwrap();
    let omar = arrive(&rig, step.done().unwrap()).await;
    let account = rig.control.account();
    let listed = account.sessions(&own.account).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|s| s.kind == SessionKind::Dashboard && s.address == "127.0.0.1")
    );
    let id = listed.iter().find(|s| !s.is_current).unwrap().id.clone();
    let foreign = account.end_session(&omar.account, &id).await;
    assert_eq!(code(foreign), ErrorCode::NotFound, "another's");
    for unknown in ["", "b-", "a-00", "x"] {
        let none = account.end_session(&own.account, unknown).await;
        assert_eq!(code(none), ErrorCode::NotFound, "{unknown}");
    }
    account.end_session(&own.account, &id).await.unwrap();
    let sessions = Sessions::new(rig.store.clone());
    assert!(!sessions.is_active(&other.key).await.unwrap());
    sign_in(&rig).await;
    sign_in(&rig).await;
    assert_eq!(account.end_other_sessions(&own.account).await.unwrap(), 2);
    let left = account.sessions(&own.account).await.unwrap();
    assert_eq!((left.len(), left[0].is_current), (1, true));
    assert_eq!(account.sessions(&omar.account).await.unwrap().len(), 1);
    let activity = account.activity(&own.account).await.unwrap();
    let ended = activity
        .iter()
        .filter(|row| row.action.starts_with("session.end"));
    assert_eq!(ended.count(), 2);
    assert!(activity.iter().all(|row| !row.object.contains("omar")));
}

#[tokio::test]
async fn what_protects_an_account_needs_its_holder_present() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let account = rig.control.account();
    let phone = rig
        .control
        .devices()
        .add(&lina.scope, device("Phone"))
        .await
        .unwrap();
    rig.clock.advance(10 * MINUTE);
    let needed = ErrorCode::PresenceNeeded;
    let begun = account.begin_totp(&lina.account).await;
    assert_eq!(begun.map(drop).unwrap_err().code, needed);
    let codes = account.new_recovery_codes(&lina.account).await;
    assert_eq!(codes.map(drop).unwrap_err().code, needed);
    assert_eq!(code(account.remove_totp(&lina.account).await), needed);
    assert_eq!(code(account.delete_tenant(&lina.account).await), needed);
    let config = async || {
        let presence = account.presence_if_any(&lina.account).await.unwrap();
        let devices = rig.control.devices();
        devices
            .config(&lina.scope, phone.id, presence)
            .await
            .map(drop)
    };
    assert_eq!(code(config().await), needed);
    let view = account.security(&lina.account).await.unwrap();
    assert_eq!(view.present_until, None);

    let prove = async |password: &str, code: Option<&str>| {
        let password = Secret::new(password);
        account
            .prove_presence(&lina.account, &password, code, FROM)
            .await
    };
    let wrong = prove("wrong", None).await.unwrap_err();
    assert_eq!(
        (wrong.code, wrong.field),
        (ErrorCode::SignInRefused, Some(Field::Password))
    );
    let until = prove(PASSWORD, None).await.unwrap();
    assert_eq!(until, rig.clock.now().plus_millis(10 * MINUTE));
    config().await.unwrap();
    let secret = with_totp(&rig, &lina.account).await;
    rig.clock.advance(10 * MINUTE);
    assert_eq!(code(config().await), needed);
    let alone = prove(PASSWORD, None).await.unwrap_err();
    assert_eq!(
        (alone.code, alone.field),
        (ErrorCode::CodeInvalid, Some(Field::Code))
    );
    prove(PASSWORD, Some(&totp(&rig, &secret, 0)))
        .await
        .unwrap();
    config().await.unwrap();
    // Presence is a session's own.
    let codes = account.new_recovery_codes(&lina.account).await.unwrap().0;
    rig.clock.advance(10 * MINUTE);
    let waiting = pending(&rig).await;
    let ticket = second_step(&rig, &waiting, codes[0].expose())
        .await
        .unwrap();
    let other = arrive(&rig, ticket).await;
    assert!(
        account.presence(&other.account).await.is_ok(),
        "a sign-in is a proof"
    );
    assert_eq!(code(account.presence(&lina.account).await), needed);
    assert!(account.delete_tenant(&other.account).await.unwrap());
}

#[tokio::test]
async fn an_operator_has_the_same_protection() {
    let rig = Rig::new().await;
    let (name, password) = rig.first_operator().await;
    let auth = rig.control.auth();
    let step = auth.operator_sign_in(&name, &password, FROM).await.unwrap();
    let session = step.done().unwrap();
    let OperatorAdmission::FactorNeeded(owner) = session.admission else {
        panic!("an owner needs a second factor first")
    };
    let key = store_session(&rig, &session.session).await;
    let own = auth.owner_enrolment(&owner, key.clone());
    let account = rig.control.account();
    let secret = with_totp(&rig, &own).await;
    let found = auth.operator_session(&name, &session.session.proof, rig.clock.now());
    let admitted = found.await.unwrap().expect("the session lasts");
    let permission = admitted.permission().expect("it has a factor now");
    assert_eq!(permission.role(), OperatorRole::Owner);
    let own = auth.operator_account(permission, key);
    let codes = account.new_recovery_codes(&own).await.unwrap().0;
    let step = auth.operator_sign_in(&name, &password, FROM).await.unwrap();
    let control::OperatorStep::SecondFactor(waiting) = step else {
        panic!("a second factor is asked for")
    };
    let tenant = auth
        .second_factor(&waiting.token, "123456", browser(&waiting))
        .await;
    assert_eq!(tenant.map(drop).unwrap_err().code, ErrorCode::SignInExpired);
    let right = totp(&rig, &secret, 0);
    let done = auth
        .operator_second_factor(&waiting.token, &right, browser(&waiting))
        .await;
    let proof = done.unwrap().session.proof;
    assert_eq!(account.sessions(&own).await.unwrap().len(), 1);
    let new = Secret::new(NEW_PASSWORD);
    account
        .recover(true, &name, codes[0].expose(), &new, FROM)
        .await
        .unwrap();
    let ended = auth.operator_session(&name, &proof, rig.clock.now()).await;
    assert_eq!(ended.unwrap(), None);
    let owner = auth.command_line_operator();
    let link = account
        .operator_reset_link(&owner, &name, true)
        .await
        .unwrap();
    let target = account
        .reset_password(&link.token, &password, FROM)
        .await
        .unwrap();
    assert!(target.is_operator);
    let step = auth.operator_sign_in(&name, &password, FROM).await.unwrap();
    let again = step.done().expect("the second factor is gone");
    assert!(matches!(
        again.admission,
        OperatorAdmission::FactorNeeded(_)
    ));
}

/// Ten thousand addresses of an attacker try the account; nothing else is held up.
#[tokio::test]
async fn strangers_slow_an_account_and_shut_nobody_out() {
    let rig = Rig::new().await;
    rig.tenant("lina").await;
    let lina = sign_in(&rig).await;
    let account = rig.control.account();
    let codes = account.new_recovery_codes(&lina.account).await.unwrap().0;
    let auth = rig.control.auth();
    let (right, wrong) = (Secret::new(PASSWORD), Secret::new("a wrong password"));
    let own_browser = auth.sign_in("lina", &right, FROM).await.unwrap();
    let cookie = own_browser.done().unwrap().browser;
    let address = |n: u32| IpAddr::from([198, 18 + (n >> 16) as u8, (n >> 8) as u8, n as u8]);
    let (mut tried, mut refused, mut longest) = (0, 0, String::new());
    let started = rig.clock.now();
    for n in 0..10_000_u32 {
        // Another network each, and a try every 360 ms: an hour in all.
        let from = IpAddr::from([(1 + n / 50_000) as u8, (n >> 8) as u8, n as u8, 7]);
        match auth.sign_in("lina", &wrong, from).await.unwrap_err() {
            f if f.code == ErrorCode::SignInRefused => tried += 1,
            f => {
                assert_eq!(f.code, ErrorCode::TooManyTries);
                refused += 1;
                longest = longest.max(format!("{:?}", f.message));
            }
        }
        rig.clock.advance(360);
        if n % 2_000 == 1_999 {
            // The owner on a known browser, from anywhere, and on a new one at home.
            let known = SignInClient {
                browser: Some(cookie.clone()),
                ..address(n).into()
            };
            let at_once = std::time::Instant::now();
            assert!(auth.sign_in("lina", &right, known).await.is_ok(), "{n}");
            assert!(auth.sign_in("lina", &right, FROM).await.is_ok(), "{n}");
            assert!(at_once.elapsed() < std::time::Duration::from_secs(5));
        }
    }
    assert!(rig.clock.now().millis_since(started) >= 3_600_000);
    assert!((40..=60).contains(&tried), "{tried} tries in an hour");
    assert_eq!(tried + refused, 10_000);
    assert!(!longest.contains("Minutes { minutes: 3"), "{longest}");
    // On a new browser elsewhere, a recovery code gives a new password at once, while the
    // attack goes on; and the next try of a stranger is never further off than 80 s.
    let abroad: IpAddr = "203.0.113.99".parse().unwrap();
    let new = Secret::new(NEW_PASSWORD);
    account
        .recover(false, "lina", codes[0].expose(), &new, abroad)
        .await
        .unwrap();
    rig.clock.advance(80_000);
    assert!(auth.sign_in("lina", &new, abroad).await.is_ok());
}
