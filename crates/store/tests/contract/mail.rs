//! Mail: the outbox, and the addresses of accounts.

use crate::test_database::{NOW, TestDatabase, new_tenant, operator, sign_up};
use domain::{
    AddressPlan, MailAddress, MailContent, MailState, OperatorRole, Secret, mail::AccountChange,
};
use std::{collections::BTreeSet, time::Duration};
use store::{
    AuditEntry, ClientKind, FirstMailAddress, MailTry, NewMail, NewMailAddress, NewResetLink,
    NewTenant, Store, StoreError, TicketHolder, TokenHash,
};

const LEASE: Duration = Duration::from_secs(120);

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "abcd".to_owned(),
        action: action.to_owned(),
        object: "abcd".to_owned(),
        origin: "192.0.2.1".to_owned(),
        ..AuditEntry::default()
    }
}

fn address(text: &str) -> MailAddress {
    MailAddress::parse(text).unwrap()
}

/// Opens the database, with mail, and with the tenant "abcd".
async fn store_with_tenant(db: &TestDatabase) -> (Store, TicketHolder) {
    let store = db.store().await;
    store.enable_mail();
    let tenant = sign_up(&store, "abcd").await;
    (store, TicketHolder::Tenant(tenant.id))
}

async fn queue(store: &Store, recipient: &str) -> bool {
    let recipient = address(recipient);
    let new = NewMail {
        holder: None,
        recipient: &recipient,
        content: &MailContent::Test,
        token: None,
        now: NOW,
        expires: NOW.plus_millis(86_400_000),
    };
    store.queue_mail(new, entry("mail.test")).await.unwrap()
}

/// Gives an account a verified address.
async fn verify(store: &Store, holder: TicketHolder, to: &str, token: &str) {
    assert!(ask(store, holder, to, token).await);
    let hash = TokenHash::of(&Secret::new(token));
    let verified = store.verify_mail_address(&hash, NOW, entry("mail.verify"));
    assert!(verified.await.unwrap());
}

async fn ask(store: &Store, holder: TicketHolder, to: &str, token: &str) -> bool {
    let (to, token) = (address(to), Secret::new(token));
    let new = NewMailAddress {
        holder,
        address: &to,
        token: &token,
        expires: NOW.plus_millis(86_400_000),
        now: NOW,
    };
    let asked = store.ask_mail_address(new, entry("mail.address"));
    asked.await.unwrap()
}

/// Returns kind and recipient of all mails, the oldest first.
async fn mails(store: &Store) -> Vec<(String, String)> {
    let mut mails = store.mails(i64::MAX, 100).await.unwrap();
    mails.reverse();
    mails.into_iter().map(|m| (m.kind, m.recipient)).collect()
}

fn mail(kind: &str, recipient: &str) -> (String, String) {
    (kind.to_owned(), recipient.to_owned())
}

pub async fn a_mail_is_claimed_by_one_and_sent_once(db: &TestDatabase) {
    let store = db.store().await;
    store.enable_mail();
    for n in 0..10 {
        assert!(queue(&store, &format!("a{n}@example.org")).await);
    }
    let other = db.store().await;
    let claim_all = async |store: &Store| {
        let mut ids = Vec::new();
        while let Some(mail) = store.claim_mail(NOW, LEASE).await.unwrap() {
            let sent = store.end_mail_try(mail.id, mail.tries, MailTry::Sent, "250 ok", NOW);
            assert!(sent.await.unwrap());
            ids.push(mail.id);
        }
        ids
    };
    let (mut ids, more) = tokio::join!(claim_all(&store), claim_all(&other));
    ids.extend(more);
    // SKIP LOCKED may pass over a row that the other one is about to leave.
    ids.extend(claim_all(&store).await);
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!((count, ids.len()), (10, 10));
    assert_eq!(store.mail_sent_in_hour(NOW).await.unwrap(), 10);
    assert_eq!(store.next_mail().await.unwrap(), None);
}

/// Returns a sign-up of that name whose mail address is asked for.
fn with_address(tenant: &str, to: &str) -> NewTenant {
    NewTenant {
        mail: Some(FirstMailAddress {
            address: address(to),
            token: Secret::new("first"),
            expires: NOW.plus_millis(86_400_000),
        }),
        ..new_tenant(tenant)
    }
}

pub async fn the_address_of_a_sign_up_is_stored_with_it(db: &TestDatabase) {
    let store = db.store().await;
    store.enable_mail();
    let (plan, none) = (AddressPlan::default(), BTreeSet::new());
    // Nothing is called after it: what was committed is all that a crash leaves.
    let new = with_address("abcd", "lina@example.org");
    let created = store.create_tenant(new, &plan, &none).await.unwrap().value;
    let holder = TicketHolder::Tenant(created.id);
    let settings = store.mail_settings(holder).await.unwrap();
    assert_eq!(settings.pending.as_deref(), Some("lina@example.org"));
    assert_eq!(mails(&store).await, [mail("verify", "lina@example.org")]);
    let claimed = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    assert_eq!(claimed.token.unwrap().expose(), "first");
    let hash = TokenHash::of(&Secret::new("first"));
    let verified = store.verify_mail_address(&hash, NOW, entry("mail.verify"));
    assert!(verified.await.unwrap());

    let again = with_address("abcd", "omar@example.org");
    let refused = store.create_tenant(again, &plan, &none).await.unwrap_err();
    assert!(matches!(refused, StoreError::NameTaken));
    assert_eq!(
        mails(&store).await.len(),
        1,
        "a refused sign-up queues none"
    );
}

pub async fn a_sign_up_whose_link_is_not_queued_keeps_its_address(db: &TestDatabase) {
    let store = db.store().await;
    let new = with_address("abcd", "lina@example.org");
    let (plan, none) = (AddressPlan::default(), BTreeSet::new());
    let created = store.create_tenant(new, &plan, &none).await.unwrap().value;
    let holder = TicketHolder::Tenant(created.id);
    let settings = store.mail_settings(holder).await.unwrap();
    assert_eq!(settings.pending.as_deref(), Some("lina@example.org"));
    assert!(mails(&store).await.is_empty(), "this process sends no mail");
}

pub async fn a_discarded_mail_is_never_sent(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    ask(&store, holder, "lina@example.org", "one").await;
    queue(&store, "a@example.org").await;
    let sent = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    let ended = store.end_mail_try(sent.id, sent.tries, MailTry::Sent, "250", NOW);
    assert!(ended.await.unwrap());
    let unsent = store.unsent_mails(i64::MAX, 10).await.unwrap();
    assert_eq!(unsent.len(), 1, "the one that was sent is not among them");
    let waits = unsent[0].id;
    assert!(store.unsent_mails(waits, 10).await.unwrap().is_empty());
    let discard = async |id| store.discard_mail(id, entry("mail.discard")).await;
    let refused = discard(sent.id).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound), "it was sent");
    discard(waits).await.unwrap();
    let refused = discard(waits).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound), "it is gone");
    assert!(store.claim_mail(NOW, LEASE).await.unwrap().is_none());
    let entries = store.audit_recent(10).await.unwrap();
    let entries: Vec<_> = entries
        .iter()
        .filter(|e| e.action == "mail.discard")
        .collect();
    assert_eq!(entries.len(), 1, "a refused discard is none");
    assert!(entries[0].before.contains(" to "), "{:?}", entries[0]);
    assert!(!entries[0].before.contains("one"), "no token is written");
}

pub async fn a_mail_whose_sender_died_is_claimed_again(db: &TestDatabase) {
    let store = db.store().await;
    store.enable_mail();
    queue(&store, "a@example.org").await;
    let first = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    assert_eq!((first.tries, &first.account), (1, &None));
    assert!(store.claim_mail(NOW, LEASE).await.unwrap().is_none());
    let later = NOW.plus_millis(120_000);
    assert_eq!(store.next_mail().await.unwrap(), Some(later));
    let again = store.claim_mail(later, LEASE).await.unwrap().unwrap();
    assert_eq!((again.id, again.tries), (first.id, 2), "the same mail");
    let late = store.end_mail_try(first.id, first.tries, MailTry::Failed, "", later);
    assert!(!late.await.unwrap(), "the try is another one's by now");
    let sent = store.end_mail_try(again.id, again.tries, MailTry::Sent, "", later);
    assert!(sent.await.unwrap());
}

pub async fn a_mail_is_deferred_and_given_up(db: &TestDatabase) {
    let store = db.store().await;
    store.enable_mail();
    queue(&store, "a@example.org").await;
    let mail = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    let next = NOW.plus_millis(60_000);
    let ended = store.end_mail_try(
        mail.id,
        mail.tries,
        MailTry::Deferred(next),
        "450 later",
        NOW,
    );
    assert!(ended.await.unwrap());
    assert!(store.claim_mail(NOW, LEASE).await.unwrap().is_none());
    let listed = store.mails(i64::MAX, 1).await.unwrap().remove(0);
    assert_eq!(listed.next_try, Some(next));
    assert_eq!(
        (listed.answer.as_str(), listed.state),
        ("450 later", MailState::Waiting)
    );
    assert_eq!(store.expire_mail(next).await.unwrap(), 0);
    let end = NOW.plus_millis(86_400_000);
    assert_eq!(store.expire_mail(end).await.unwrap(), 1);
    let counts = store.mail_counts(end).await.unwrap();
    assert_eq!((counts.waiting, counts.failed), (0, 1));
}

pub async fn an_address_is_verified_by_its_link_once(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    let settings = store.mail_settings(holder).await.unwrap();
    assert_eq!((settings.address, settings.quota_warnings), (None, true));
    assert!(ask(&store, holder, "lina@example.org", "one").await);
    assert!(ask(&store, holder, "lina@example.net", "two").await);
    let hash = |token: &str| TokenHash::of(&Secret::new(token));
    let former = store.pending_mail_address(&hash("one"), NOW).await;
    assert_eq!(former.unwrap(), None, "a newer one was sent");
    let found = store.pending_mail_address(&hash("two"), NOW).await;
    let found = found.unwrap().unwrap();
    assert_eq!(
        (found.holder, found.address.as_str()),
        (holder, "lina@example.net")
    );
    let late = NOW.plus_millis(86_400_000);
    let verify = async |at| {
        let hash = hash("two");
        let verified = store.verify_mail_address(&hash, at, entry("mail.verify"));
        verified.await.unwrap()
    };
    assert!(!verify(late).await, "a day is over");
    assert!(verify(NOW).await);
    assert!(!verify(NOW).await, "once");
    let settings = store.mail_settings(holder).await.unwrap();
    assert_eq!(settings.address.as_deref(), Some("lina@example.net"));
    assert_eq!((settings.verified_at, settings.pending), (Some(NOW), None));
    let waiting = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    assert_eq!(waiting.token, Some(Secret::new("one")));
    assert_eq!(waiting.account, Some(("abcd".to_owned(), false)));
    store
        .set_quota_warnings(holder, false, entry("mail.warnings"))
        .await
        .unwrap();
    assert!(!store.mail_settings(holder).await.unwrap().quota_warnings);
}

pub async fn a_link_that_waits_is_sealed(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    assert!(ask(&store, holder, "lina@example.org", "t0ken").await);
    for sql in [
        "SELECT secret FROM mail_outbox",
        "SELECT token_hash FROM mail_outbox",
        "SELECT arguments FROM mail_outbox",
        "SELECT token_hash FROM mail_addresses",
    ] {
        let stored = db.texts(sql).await;
        assert!(!stored[0].is_empty() && !stored[0].contains("t0ken"));
    }
    let mail = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    assert_eq!(mail.token, Some(Secret::new("t0ken")));
    let sent = store.end_mail_try(mail.id, mail.tries, MailTry::Sent, "", NOW);
    sent.await.unwrap();
    let secret = db.texts("SELECT secret FROM mail_outbox").await;
    assert_eq!(secret, [""], "it is removed with the sending");
}

pub async fn a_changed_address_is_told_to_the_former(db: &TestDatabase) {
    let (store, _) = store_with_tenant(db).await;
    let ada = operator(&store, "ada", OperatorRole::Owner).await;
    let holder = TicketHolder::Operator(ada.id);
    verify(&store, holder, "old@example.org", "one").await;
    ask(&store, holder, "new@example.org", "two").await;
    let expected = [
        mail("verify", "old@example.org"),
        mail("verify", "new@example.org"),
        mail("address-change", "old@example.org"),
    ];
    assert_eq!(mails(&store).await, expected);
    let settings = store.mail_settings(holder).await.unwrap();
    assert_eq!(
        settings.address.as_deref(),
        Some("old@example.org"),
        "it holds until then"
    );
    let removed = store.remove_mail_address(holder, NOW, entry("mail.remove"));
    removed.await.unwrap();
    let expected = [mail("address-change", "old@example.org")];
    assert_eq!(mails(&store).await, expected, "what waited is gone");
    assert_eq!(store.mail_settings(holder).await.unwrap().address, None);
}

async fn reset(store: &Store, holder: TicketHolder, token: &str) -> bool {
    let token = Secret::new(token);
    let new = NewResetLink {
        holder,
        token: &TokenHash::of(&token),
        proof: "proof",
        without_factors: false,
        expires: NOW.plus_millis(3_600_000),
        mailed: Some(&token),
        entry: entry("password.reset-mail"),
    };
    store.create_reset_link(new).await.unwrap()
}

pub async fn a_reset_by_mail_needs_a_verified_address(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    assert!(!reset(&store, holder, "r1").await);
    ask(&store, holder, "lina@example.org", "one").await;
    assert!(!reset(&store, holder, "r1").await, "not verified");
    let is_there = async || {
        let hash = TokenHash::of(&Secret::new("r1"));
        store.reset_link(&hash, NOW).await.unwrap().is_some()
    };
    assert!(!is_there().await);
    verify(&store, holder, "lina@example.org", "two").await;
    assert!(reset(&store, holder, "r1").await);
    assert!(is_there().await);
    let last = mails(&store).await.pop().unwrap();
    assert_eq!(last, mail("reset", "lina@example.org"));
}

pub async fn mails_to_an_address_are_bounded(db: &TestDatabase) {
    let store = db.store().await;
    store.enable_mail();
    let mut queued = 0;
    for _ in 0..40 {
        queued += u32::from(queue(&store, "a@example.org").await);
    }
    assert_eq!(queued, 20);
    assert!(queue(&store, "b@example.org").await);
}

pub async fn without_mail_nothing_is_queued(db: &TestDatabase) {
    let store = db.store().await;
    let holder = TicketHolder::Tenant(sign_up(&store, "abcd").await.id);
    assert!(!queue(&store, "a@example.org").await);
    assert!(!ask(&store, holder, "a@example.org", "one").await);
    assert!(!reset(&store, holder, "r1").await);
    assert!(mails(&store).await.is_empty());
    assert_eq!(store.mail_settings(holder).await.unwrap().pending, None);
}

pub async fn changes_of_an_account_are_told(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    let TicketHolder::Tenant(tenant) = holder else {
        unreachable!()
    };
    let change = async || {
        let entry = AuditEntry {
            tenant: Some(tenant),
            ..entry("recovery.replace")
        };
        store
            .replace_recovery_codes(holder, &[], entry)
            .await
            .unwrap();
    };
    change().await;
    assert!(mails(&store).await.is_empty(), "no address");
    verify(&store, holder, "lina@example.org", "one").await;
    while let Some(mail) = store.claim_mail(NOW, LEASE).await.unwrap() {
        let sent = store.end_mail_try(mail.id, mail.tries, MailTry::Sent, "", NOW);
        sent.await.unwrap();
    }
    change().await;
    let told = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    let expected = MailContent::Change {
        change: AccountChange::RecoveryCodes,
        origin: "192.0.2.1".to_owned(),
    };
    assert_eq!(told.content, expected);
    assert_eq!(told.recipient, address("lina@example.org"));
}

pub async fn a_new_browser_is_told_beside_a_known_one(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    verify(&store, holder, "lina@example.org", "one").await;
    let content = MailContent::SignIn {
        client: "Firefox on Linux".to_owned(),
        origin: "192.0.2.1".to_owned(),
    };
    let sign_in = async |browser: &str| {
        let key = TokenHash::of(&Secret::new(browser));
        let kind = ClientKind::Browser;
        let remembered = store.remember_client(holder, kind, &key, Some(&content), NOW);
        remembered.await.unwrap();
        let told = mails(&store).await;
        told.iter().filter(|(kind, _)| kind == "sign-in").count()
    };
    assert_eq!(sign_in("a").await, 0, "the first one");
    assert_eq!(sign_in("a").await, 0);
    assert_eq!(sign_in("b").await, 1);
    assert_eq!(sign_in("b").await, 1);
}

pub async fn a_sent_mail_is_pruned_and_a_failed_one_retried(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    queue(&store, "a@example.org").await;
    let mail = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    let failed = store.end_mail_try(mail.id, mail.tries, MailTry::Failed, "550 no", NOW);
    failed.await.unwrap();
    let end = NOW.plus_millis(86_400_000);
    let retry = async |id, at| store.retry_mail(id, at, end, entry("mail.retry")).await;
    retry(mail.id, NOW).await.unwrap();
    let again = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    assert_eq!((again.id, again.tries), (mail.id, 1));
    let sent = store.end_mail_try(again.id, again.tries, MailTry::Sent, "250", NOW);
    sent.await.unwrap();
    let refused = retry(mail.id, NOW).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound), "it was sent");
    ask(&store, holder, "lina@example.org", "one").await;
    let link = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    let failed = store.end_mail_try(link.id, link.tries, MailTry::Failed, "", NOW);
    failed.await.unwrap();
    let refused = retry(link.id, end).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound), "its link is over");
    retry(link.id, NOW).await.unwrap();
    assert_eq!(store.prune_mail(NOW).await.unwrap(), 0);
    assert_eq!(store.prune_mail(NOW.plus_millis(1)).await.unwrap(), 1);
}

pub async fn what_was_sent_is_not_sent_again_at_once(db: &TestDatabase) {
    let (store, _) = store_with_tenant(db).await;
    queue(&store, "a@example.org").await;
    let mail = store.claim_mail(NOW, LEASE).await.unwrap().unwrap();
    // It is asked for again while the server takes it.
    let end = NOW.plus_millis(86_400_000);
    let retry = store.retry_mail(mail.id, NOW, end, entry("mail.retry"));
    retry.await.unwrap();
    let sent = store.end_mail_try(mail.id, mail.tries, MailTry::Sent, "250", NOW);
    assert!(sent.await.unwrap());
    assert!(store.claim_mail(NOW, LEASE).await.unwrap().is_none());
}

pub async fn a_former_address_has_no_link_to_a_new_password(db: &TestDatabase) {
    let (store, holder) = store_with_tenant(db).await;
    let is_there = async |token: &str| {
        let hash = TokenHash::of(&Secret::new(token));
        store.reset_link(&hash, NOW).await.unwrap().is_some()
    };
    verify(&store, holder, "old@example.org", "one").await;
    assert!(reset(&store, holder, "r1").await && is_there("r1").await);
    verify(&store, holder, "new@example.org", "two").await;
    assert!(!is_there("r1").await, "the address was replaced");
    assert!(reset(&store, holder, "r2").await && is_there("r2").await);
    // A mail that was given up could be tried again.
    while let Some(mail) = store.claim_mail(NOW, LEASE).await.unwrap() {
        let failed = store.end_mail_try(mail.id, mail.tries, MailTry::Failed, "", NOW);
        failed.await.unwrap();
    }
    let removed = store.remove_mail_address(holder, NOW, entry("mail.remove"));
    removed.await.unwrap();
    assert!(!is_there("r2").await, "the address was removed");
    let left = [mail("address-change", "new@example.org")];
    assert_eq!(mails(&store).await, left);
}
