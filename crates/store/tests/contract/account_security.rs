//! Second factors, recovery codes, links to a new password, sign-ins that wait, sessions, and
//! the clients that an account knows.

use crate::test_database::{NOW, TestDatabase, operator, sign_up};
use domain::{Access, OperatorRole, Secret, view::SessionKind};
use std::time::Duration;
use store::{
    AuditEntry, ChallengePurpose, ClientDescription, ClientKind, CredentialKind, FactorKind,
    KnownClients, NewChallenge, NewCredential, NewFactor, NewPasskey, NewPendingSignIn,
    NewResetLink, PasswordChange, PasswordProof, SessionDetails, SessionKey, SessionRef, Sessions,
    Store, StoreError, TicketHolder, TokenHash,
};
use time::OffsetDateTime;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
};

fn hash(text: &str) -> TokenHash {
    TokenHash::of(&Secret::new(text))
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "abcd".to_owned(),
        action: action.to_owned(),
        ..AuditEntry::default()
    }
}

/// Returns a tenant and an operator.
async fn holders(store: &Store) -> [TicketHolder; 2] {
    let tenant = sign_up(store, "abcd").await;
    let ada = operator(store, "ada", OperatorRole::Owner).await;
    [
        TicketHolder::Tenant(tenant.id),
        TicketHolder::Operator(ada.id),
    ]
}

pub async fn a_step_is_accepted_once(db: &TestDatabase) {
    let store = db.store().await;
    for (holder, id) in holders(&store).await.into_iter().zip(["f1", "f2"]) {
        let new = NewFactor {
            id,
            kind: FactorKind::Totp,
            holder,
            name: "",
            now: NOW,
        };
        store.begin_factor(new, b"the secret").await.unwrap();
        assert!(
            !store.accept_step(id, 5, NOW).await.unwrap(),
            "not confirmed"
        );
        let confirm = async |step| {
            let entry = entry("factor.add");
            store.confirm_factor(holder, id, step, entry).await.unwrap()
        };
        assert!(confirm(5).await);
        assert!(!confirm(9).await, "it is confirmed");
        for (step, is_new) in [(5, false), (4, false), (6, true), (6, false), (8, true)] {
            assert_eq!(
                store.accept_step(id, step, NOW).await.unwrap(),
                is_new,
                "{step}"
            );
        }
        let factors = store.factors(holder).await.unwrap();
        assert_eq!((factors.len(), factors[0].last_step), (1, 8));
        assert_eq!(factors[0].secret.as_slice(), b"the secret");
        let sealed = db.texts("SELECT secret FROM factors").await;
        assert!(sealed.iter().all(|s| !s.contains("secret")), "{sealed:?}");
        let remove = async || {
            let entry = entry("factor.remove");
            store.remove_factors(holder, FactorKind::Totp, entry).await
        };
        if matches!(holder, TicketHolder::Operator(_)) {
            // An owner keeps one.
            assert!(matches!(remove().await, Err(StoreError::LastFactor)));
            let passkey = NewPasskey {
                id: "p1",
                holder,
                name: "key",
                credential: &hash("credential"),
                counter: 0,
                most: 1,
                entry: entry("factor.add"),
            };
            store.add_passkey(passkey, b"the secret").await.unwrap();
        }
        remove().await.unwrap();
        let left = store.factors(holder).await.unwrap().len();
        assert_eq!(
            left,
            usize::from(matches!(holder, TicketHolder::Operator(_)))
        );
        let again = remove().await;
        assert!(matches!(again, Err(StoreError::NotFound)), "{again:?}");
    }
}

pub async fn a_passkey_is_found_by_its_credential_and_counts_up(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, ada] = holders(&store).await;
    let credentials = [hash("one"), hash("two"), hash("three")];
    let new = |id, holder, credential| NewPasskey {
        id,
        holder,
        name: "laptop",
        credential,
        counter: 0,
        most: 2,
        entry: entry("factor.add"),
    };
    let [one, two, three] = &credentials;
    let add = async |passkey| store.add_passkey(passkey, b"the key").await;
    add(new("p1", tenant, one)).await.unwrap();
    let taken = add(new("p2", ada, one)).await;
    assert!(matches!(taken, Err(StoreError::PasskeyTaken)), "{taken:?}");
    add(new("p2", tenant, two)).await.unwrap();
    let full = add(new("p3", tenant, three)).await;
    assert!(matches!(full, Err(StoreError::PasskeyLimit { allowed: 2 })));
    add(new("p3", ada, three)).await.unwrap();

    let (holder, found) = store.passkey(three).await.unwrap().unwrap();
    assert_eq!((holder, found.id.as_str()), (ada, "p3"));
    assert_eq!(found.secret.as_slice(), b"the key");
    assert!(store.passkey(&hash("four")).await.unwrap().is_none());
    // One that does not count stays at zero.
    for (counter, is_right) in [
        (0, true),
        (0, true),
        (5, true),
        (5, false),
        (4, false),
        (0, false),
    ] {
        let accepted = store.accept_counter("p1", counter, NOW).await.unwrap();
        assert_eq!(accepted, is_right, "{counter}");
    }
    let rename = async |holder, id| {
        let entry = entry("factor.rename");
        store.rename_passkey(holder, id, "phone", entry).await
    };
    rename(tenant, "p1").await.unwrap();
    assert!(matches!(rename(ada, "p1").await, Err(StoreError::NotFound)));
    let remove = async |holder, id| {
        let entry = entry("factor.remove");
        store.remove_passkey(holder, id, entry).await
    };
    assert!(matches!(remove(ada, "p1").await, Err(StoreError::NotFound)));
    remove(tenant, "p1").await.unwrap();
    remove(tenant, "p2").await.unwrap();
    assert!(matches!(
        remove(ada, "p3").await,
        Err(StoreError::LastFactor)
    ));
    assert_eq!(store.factors(ada).await.unwrap().len(), 1);
}

pub async fn a_challenge_is_taken_once(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, _] = holders(&store).await;
    let create = async |challenge: &TokenHash, holder| {
        let new = NewChallenge {
            challenge,
            purpose: ChallengePurpose::Presence,
            holder,
            host: "abcd.example",
            binding: "session",
            now: NOW,
            expires: NOW.plus_millis(10),
        };
        store.create_challenge(new).await.unwrap();
    };
    let take = async |text, millis| {
        let now = NOW.plus_millis(millis);
        store.take_challenge(&hash(text), now).await.unwrap()
    };
    create(&hash("one"), Some(tenant)).await;
    let taken = take("one", 9).await.unwrap();
    assert_eq!(taken.holder, Some(tenant));
    assert_eq!(taken.purpose, ChallengePurpose::Presence);
    assert_eq!(
        (taken.host.as_str(), taken.binding.as_str()),
        ("abcd.example", "session")
    );
    assert_eq!(take("one", 9).await, None);
    create(&hash("two"), None).await;
    assert_eq!(take("two", 10).await, None, "it has expired");
    for n in 0..20 {
        create(&hash(&n.to_string()), Some(tenant)).await;
    }
    create(&hash("other"), None).await;
    assert_eq!(
        store.prune_challenges(NOW.plus_millis(10)).await.unwrap(),
        11
    );
}

pub async fn a_recovery_code_is_its_holders_and_works_once(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, ada] = holders(&store).await;
    let codes = [hash("one"), hash("two")];
    let replaced = entry("recovery.replace");
    store
        .replace_recovery_codes(tenant, &codes, replaced)
        .await
        .unwrap();
    let take = async |holder, code: &str| {
        let entry = entry("recovery.use");
        store
            .use_recovery_code(holder, &hash(code), entry)
            .await
            .unwrap()
    };
    assert!(!take(ada, "one").await, "another account's");
    assert!(take(tenant, "one").await);
    assert!(!take(tenant, "one").await, "twice");
    assert_eq!(store.recovery_codes(tenant).await.unwrap(), (1, Some(NOW)));
    assert_eq!(store.recovery_codes(ada).await.unwrap(), (0, None));
    let used = store.audit_recent(9).await.unwrap();
    let used = used.iter().filter(|row| row.action == "recovery.use");
    assert_eq!(used.count(), 1);
    let again = entry("recovery.replace");
    store
        .replace_recovery_codes(tenant, &[hash("three")], again)
        .await
        .unwrap();
    assert!(!take(tenant, "two").await, "replaced");
}

pub async fn a_pending_sign_in_has_few_tries(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, _] = holders(&store).await;
    let begin = async |token: &str| {
        let token = hash(token);
        let new = NewPendingSignIn {
            token: &token,
            holder: tenant,
            proof: "proof",
            browser: "browser",
            stays: true,
            access: Some(Access::Read),
            now: NOW,
            expires: NOW.plus_millis(1_000),
            entry: entry("session.password"),
        };
        store.create_pending_sign_in(new).await.unwrap();
    };
    begin("t").await;
    let token = hash("t");
    let attempt = async || store.try_pending_sign_in(&token, 5, NOW).await.unwrap();
    for _ in 0..5 {
        let found = attempt().await.unwrap();
        assert_eq!((found.holder, found.stays), (tenant, true));
        assert_eq!(found.access, Some(Access::Read));
    }
    assert_eq!(attempt().await, None, "the sixth");
    begin("u").await;
    let (late, at) = (hash("u"), NOW.plus_millis(1_000));
    let late = store.try_pending_sign_in(&late, 5, at).await;
    assert_eq!(late.unwrap(), None);
    assert!(store.end_pending_sign_in(&hash("u")).await.unwrap());
    assert!(
        !store.end_pending_sign_in(&hash("u")).await.unwrap(),
        "once"
    );
    for n in 0..30 {
        begin(&format!("more {n}")).await;
    }
    let count = db.texts("SELECT token_hash FROM pending_sign_ins").await;
    assert_eq!(count.len(), 10, "the newest");
}

pub async fn the_newest_reset_link_replaces_the_former(db: &TestDatabase) {
    let store = db.store().await;
    for (n, holder) in holders(&store).await.into_iter().enumerate() {
        let hash = |token: &str| hash(&format!("{token} {n}"));
        let make = async |token: &str| {
            let token = hash(token);
            let new = NewResetLink {
                holder,
                token: &token,
                proof: "proof",
                without_factors: false,
                expires: NOW.plus_millis(1_000),
                mailed: None,
                entry: entry("password.reset-link"),
            };
            store.create_reset_link(new).await.unwrap();
        };
        let find = async |token: &str, at| store.reset_link(&hash(token), at).await.unwrap();
        make("one").await;
        assert!(find("one", NOW).await.is_some());
        assert!(find("one", NOW).await.is_some(), "finding uses nothing up");
        make("two").await;
        assert_eq!(find("one", NOW).await, None);
        assert_eq!(find("two", NOW).await.unwrap().holder, holder);
        assert_eq!(find("two", NOW.plus_millis(1_000)).await, None, "too late");
    }
}

/// Stores a session. Returns its key.
async fn begin_session(
    store: &Store,
    holder: TicketHolder,
    id: i128,
    parent: Option<&SessionKey>,
) -> SessionKey {
    let details = SessionDetails {
        holder,
        name: "abcd".to_owned(),
        audience: if parent.is_some() { "dns" } else { "dashboard" }.to_owned(),
        parent: parent.cloned(),
        proof: "old".to_owned(),
        stays: false,
        client: ClientDescription::default(),
        begun: NOW,
    };
    let value = serde_json::to_value(&details).unwrap();
    let mut record = Record {
        id: Id(id),
        data: [(SessionDetails::KEY.to_owned(), value)].into(),
        expiry_date: OffsetDateTime::now_utc() + Duration::from_secs(600),
    };
    let sessions = Sessions::new(store.clone());
    sessions.create(&mut record).await.unwrap();
    SessionKey::of(&record.id)
}

async fn begin_api_session(store: &Store, holder: TicketHolder, id: &str) {
    let (secret, client) = (hash(id), ClientDescription::default());
    let new = NewCredential {
        id,
        kind: CredentialKind::Session,
        holder,
        name: "",
        secret: &secret,
        access: Access::Write,
        proof: "old",
        client: &client,
        is_present: true,
        now: NOW,
        expires: NOW.plus_millis(60_000),
        entry: entry("session.begin"),
    };
    store.create_credential(new).await.unwrap();
}

pub async fn another_password_ends_everything_but_one_session(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, ada] = holders(&store).await;
    let account = store.account(tenant).await.unwrap().unwrap();
    let own = begin_session(&store, tenant, 1, None).await;
    let inside = begin_session(&store, tenant, 2, Some(&own)).await;
    let other = begin_session(&store, tenant, 3, None).await;
    let of_ada = begin_session(&store, ada, 4, None).await;
    begin_api_session(&store, tenant, "api").await;
    let codes = [hash("code")];
    let made = entry("recovery.replace");
    store
        .replace_recovery_codes(tenant, &codes, made)
        .await
        .unwrap();
    let (new_hash, own_ref) = (Secret::new("new hash"), SessionRef::Browser(own.clone()));
    let change = |old_hash, by, going_on| PasswordChange {
        holder: tenant,
        old_hash,
        new_hash: &new_hash,
        new_proof: "new",
        going_on,
        by,
        without_factors: false,
        entry: entry("password.change"),
    };
    let wrong = Secret::new("another hash");
    let by = PasswordProof::Password;
    let refused = store
        .change_password(change(&wrong, by, Some(&own_ref)))
        .await;
    assert!(!refused.unwrap(), "the former password is another one");
    let unknown = hash("unknown");
    for by in [
        PasswordProof::RecoveryCode(&unknown),
        PasswordProof::ResetLink(&unknown),
    ] {
        let refused = store
            .change_password(change(&account.password_hash, by, None))
            .await;
        assert!(!refused.unwrap(), "nothing is used up");
    }
    let sessions = Sessions::new(store.clone());
    assert!(
        sessions.is_active(&other).await.unwrap(),
        "nothing has changed"
    );
    let old = &account.password_hash;
    let changed = store.change_password(change(old, by, Some(&own_ref))).await;
    assert!(changed.unwrap());
    for (key, is_active) in [
        (&own, true),
        (&inside, true),
        (&other, false),
        (&of_ada, true),
    ] {
        assert_eq!(sessions.is_active(key).await.unwrap(), is_active);
    }
    let left = db
        .texts("SELECT proof FROM sessions WHERE user_id IS NOT NULL")
        .await;
    assert_eq!(left, ["new", "new"]);
    assert_eq!(store.credential("api", NOW).await.unwrap(), None);

    let code = hash("code");
    let by = PasswordProof::RecoveryCode(&code);
    let recovered = store.change_password(change(&new_hash, by, None)).await;
    assert!(recovered.unwrap());
    assert!(!sessions.is_active(&own).await.unwrap());
    assert!(sessions.is_active(&of_ada).await.unwrap());
    assert_eq!(store.recovery_codes(tenant).await.unwrap().0, 0);
}

pub async fn sessions_are_their_holders(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, ada] = holders(&store).await;
    let own = begin_session(&store, tenant, 1, None).await;
    begin_session(&store, tenant, 2, Some(&own)).await;
    begin_api_session(&store, tenant, "api").await;
    let listed = store.sessions_of(tenant, NOW).await.unwrap();
    let mut kinds: Vec<_> = listed.iter().map(|s| format!("{:?}", s.kind)).collect();
    kinds.sort();
    assert_eq!(kinds, ["Api", "Dashboard", "Dns"]);
    assert_eq!(store.sessions_of(ada, NOW).await.unwrap(), []);
    let end = async |holder, session: &SessionRef| {
        store
            .end_session(holder, session, entry("session.end"))
            .await
    };
    let all = [
        SessionRef::Browser(own.clone()),
        SessionRef::Api("api".to_owned()),
    ];
    for session in &all {
        let refused = end(ada, session).await;
        assert!(matches!(refused, Err(StoreError::NotFound)));
        assert_eq!(store.present_at(ada, session).await.unwrap(), None);
        assert_eq!(store.present_at(tenant, session).await.unwrap(), Some(NOW));
        let forged = store.note_presence(ada, session, entry("presence.prove"));
        assert!(matches!(forged.await, Err(StoreError::NotFound)));
    }
    end(tenant, &all[1]).await.unwrap();
    end(tenant, &all[0]).await.unwrap();
    assert_eq!(
        store.sessions_of(tenant, NOW).await.unwrap(),
        [],
        "with what came of it"
    );
    for id in 10..14 {
        begin_session(&store, tenant, id, None).await;
    }
    let stays = SessionRef::Browser(SessionKey::of(&Id(12)));
    let ended = store.end_other_sessions(tenant, &stays, entry("session.end-others"));
    assert_eq!(ended.await.unwrap(), 3);
    let left = store.sessions_of(tenant, NOW).await.unwrap();
    assert_eq!((left.len(), left[0].kind), (1, SessionKind::Dashboard));
    assert_eq!(left[0].session, stays);
}

pub async fn known_clients_are_bounded(db: &TestDatabase) {
    let store = db.store().await;
    let [tenant, ada] = holders(&store).await;
    for n in 0..40 {
        let (key, at) = (hash(&format!("b{n}")), NOW.plus_millis(n));
        let kind = ClientKind::Browser;
        let remembered = store.remember_client(tenant, kind, &key, None, at);
        remembered.await.unwrap();
    }
    let network = hash("network");
    let kind = ClientKind::Network;
    store
        .remember_client(tenant, kind, &network, None, NOW)
        .await
        .unwrap();
    let known = async |holder, browser: &str| {
        let browser = hash(browser);
        store
            .known_clients(holder, Some(&browser), &network)
            .await
            .unwrap()
    };
    let both = KnownClients {
        browser: true,
        network: true,
    };
    assert_eq!(known(tenant, "b39").await, both);
    assert_eq!(known(tenant, "b20").await, both);
    assert!(!known(tenant, "b19").await.browser, "the twenty seen last");
    assert_eq!(known(ada, "b39").await, KnownClients::default());
    let until = NOW.plus_millis(30);
    assert_eq!(store.prune_known_clients(until).await.unwrap(), 11);
}
