//! The operators' page of the outbox: what is shown of a mail, and what a role may do with it.

use crate::stack::{Services, Stack};
use async_trait::async_trait;
use axum::http::StatusCode;
use control::{DeliveryError, MailSetup, MailTransport, OutgoingMail};
use domain::{Clock, MailAddress, MailContent, OperatorRole, Secret, SystemClock};
use std::{sync::Arc, time::Duration};
use store::{AuditEntry, MailTry, NewMail, Store};

const ADMIN: &str = "admin.localhost:8085";
const TOKEN: &str = "t0ken-of-a-link";

/// Refuses every mail; a browser test has a real server.
struct Refusing;

#[async_trait]
impl MailTransport for Refusing {
    async fn send(&self, _mail: &OutgoingMail) -> Result<String, DeliveryError> {
        Err(DeliveryError::Permanent("550 no such mailbox".to_owned()))
    }
}

async fn stack(mail: Option<MailSetup>) -> Stack {
    let services = Services {
        mail,
        ..Services::default()
    };
    let store = Store::memory().await.unwrap();
    Stack::with_services(store, Arc::new(SystemClock), services).await
}

/// Queues a link that a server has refused.
async fn give_up(store: &Store, recipient: &str) -> i64 {
    let now = SystemClock.now();
    let (address, token) = (MailAddress::parse(recipient).unwrap(), Secret::new(TOKEN));
    let new = NewMail {
        holder: None,
        recipient: &address,
        content: &MailContent::Reset,
        token: Some(&token),
        now,
        expires: now.plus_millis(86_400_000),
    };
    assert!(store.queue_mail(new, AuditEntry::default()).await.unwrap());
    let lease = Duration::from_secs(60);
    let mail = store.claim_mail(now, lease).await.unwrap().unwrap();
    let answer = "550 <b>no such mailbox</b>";
    let ended = store.end_mail_try(mail.id, mail.tries, MailTry::Failed, answer, now);
    assert!(ended.await.unwrap());
    mail.id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_shows_reasons_and_no_links() {
    let setup = MailSetup {
        transport: Arc::new(Refusing),
        per_hour: 500,
    };
    let s = stack(Some(setup)).await;
    let owner = s.operator().await;
    let empty = s.get(ADMIN, "/mail", Some(&owner)).await;
    assert!(empty.contains("Nothing waits"), "{empty:?}");
    let id = give_up(s.store(), "lina@example.org").await;
    for (role, name, may_retry, may_discard) in [
        (OperatorRole::ReadOnly, "rita", false, false),
        (OperatorRole::Support, "sam", true, false),
        (OperatorRole::Owner, "olga", true, true),
    ] {
        s.add_operator(name, role).await;
        let cookie = s.operator_cookie(name).await;
        let page = s.get(ADMIN, "/mail", Some(&cookie)).await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
        for shown in [
            "lina@example.org",
            "550 &lt;b&gt;no such mailbox",
            "Given up",
        ] {
            assert!(page.contains(shown), "{name} {shown}: {page:?}");
        }
        assert!(!page.contains(TOKEN), "{name} reads no link");
        assert_eq!(page.contains("/do/retry_mail"), may_retry, "{name}");
        assert_eq!(page.contains("/do/discard_mail"), may_discard, "{name}");
    }
    let act = async |form: &str| {
        let body = format!("id={id}");
        let answer = s.post(ADMIN, form, &body, Some(&owner)).await;
        answer.location.unwrap_or_default()
    };
    assert_eq!(act("/do/retry_mail").await, "/mail?saved=retry");
    let again = s.store().unsent_mails(i64::MAX, 1).await.unwrap().remove(0);
    assert!(again.next_try.is_some(), "it waits: {again:?}");
    assert_eq!(act("/do/discard_mail").await, "/mail?saved=discard");
    assert!(s.store().mails(i64::MAX, 1).await.unwrap().is_empty());
    let gone = act("/do/retry_mail").await;
    let page = s.get(ADMIN, &gone, Some(&owner)).await;
    assert!(
        page.contains("sent or removed meanwhile"),
        "{gone} {page:?}"
    );
    let audit = s.store().audit_recent(20).await.unwrap();
    for action in ["mail.retry", "mail.discard"] {
        let entries: Vec<_> = audit.iter().filter(|e| e.action == action).collect();
        assert_eq!(entries.len(), 1, "{action}");
        assert_eq!(entries[0].actor, "operator:admin");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mail_the_outbox_says_the_setting() {
    let s = stack(None).await;
    let owner = s.operator().await;
    let page = s.get(ADMIN, "/mail", Some(&owner)).await;
    assert!(page.contains("mail.server"), "{page:?}");
}
