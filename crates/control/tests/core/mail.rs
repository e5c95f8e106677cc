//! Mail, over a transport that takes or refuses on demand.

use super::account::{arrive, sign_in};
use crate::rig::{FROM, Options, PASSWORD, Rig, form};
use async_trait::async_trait;
use control::{DeliveryError, MailSetup, MailTransport, OutgoingMail, SignUp};
use domain::{ErrorCode, Field, MailContent, OwnerScope, Secret};
use std::{
    collections::{BTreeSet, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::Duration,
};
use store::Store;

const NEW_PASSWORD: &str = "an entirely different passphrase";

/// Takes all mail, unless it is to fail.
#[derive(Default)]
struct FakeServer {
    taken: Mutex<Vec<OutgoingMail>>,
    failures: Mutex<VecDeque<DeliveryError>>,
}

#[async_trait]
impl MailTransport for FakeServer {
    async fn send(&self, mail: &OutgoingMail) -> Result<String, DeliveryError> {
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        self.taken.lock().unwrap().push(mail.clone());
        Ok("250 taken".to_owned())
    }
}

impl FakeServer {
    /// Returns the mails of a kind, once there are so many.
    async fn taken(&self, kind: &str, count: usize) -> Vec<OutgoingMail> {
        for _ in 0..500 {
            let taken = self.taken.lock().unwrap().clone();
            let taken: Vec<_> = taken
                .into_iter()
                .filter(|mail| mail.content.kind() == kind)
                .collect();
            if taken.len() >= count {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no {count} mails of the kind {kind}");
    }
}

async fn rig(server: &Arc<FakeServer>, store: Option<Store>) -> Rig {
    Rig::with(Options {
        store,
        mail: Some(MailSetup {
            transport: server.clone(),
            per_hour: 500,
        }),
        runs_jobs: true,
        ..Options::default()
    })
    .await
}

/// Returns the token of a mail's link.
fn token(mail: &OutgoingMail) -> Secret {
    let link = mail.link.as_ref().unwrap().expose();
    Secret::new(link.split_once("token=").unwrap().1)
}

/// Signs lina up with an address, and verifies it.
async fn lina(rig: &Rig, server: &FakeServer) -> super::account::SignedIn {
    let form = SignUp {
        mail: "lina@example.org".to_owned(),
        ..form("lina")
    };
    let ticket = rig.control.tenants().sign_up(form, FROM).await.unwrap();
    let signed_in = arrive(rig, ticket).await;
    let asked = server.taken("verify", 1).await.remove(0);
    assert_eq!(asked.recipient.as_str(), "lina@example.org");
    let link = asked.link.as_ref().unwrap().expose();
    assert!(
        link.starts_with("https://lina.vpn.example.org/verify-mail?token="),
        "{link}"
    );
    let mail = rig.control.mail();
    let target = mail.link_target(&token(&asked), FROM).await.unwrap();
    assert_eq!(target.0, "lina", "looking uses nothing up");
    mail.verify(&token(&asked), FROM).await.unwrap();
    let again = mail.verify(&token(&asked), FROM).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::MailLinkInvalid);
    signed_in
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_mailed_link() {
    let server = Arc::<FakeServer>::default();
    let rig = rig(&server, None).await;
    let before = lina(&rig, &server).await;
    let mail = rig.control.mail();
    mail.forgot_password(false, "lina", FROM).await.unwrap();
    let sent = server.taken("reset", 1).await.remove(0);
    assert_eq!(
        (sent.name.as_str(), &sent.content),
        ("lina", &MailContent::Reset)
    );
    let account = rig.control.account();
    let new = Secret::new(NEW_PASSWORD);
    account
        .reset_password(&token(&sent), &new, FROM)
        .await
        .unwrap();
    let used = account.reset_password(&token(&sent), &new, FROM).await;
    assert_eq!(used.unwrap_err().code, ErrorCode::ResetInvalid, "once");
    let sessions = account.sessions(&before.account).await.unwrap();
    assert!(sessions.is_empty(), "the session of before is over");
    let auth = rig.control.auth();
    let old = auth.sign_in("lina", &Secret::new(PASSWORD), FROM).await;
    assert_eq!(old.unwrap_err().code, ErrorCode::SignInRefused);
    auth.sign_in("lina", &new, FROM).await.unwrap();
    let told = server.taken("change", 1).await.remove(0);
    assert_eq!(told.recipient.as_str(), "lina@example.org");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_forgotten_passwords_are_three_mails() {
    let server = Arc::<FakeServer>::default();
    let rig = rig(&server, None).await;
    lina(&rig, &server).await;
    let mail = rig.control.mail();
    for name in ["nadia", "lina@example.org", "li\r\nna", ""] {
        let other = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 9, 9, 0, 0, 0, 1));
        mail.forgot_password(false, name, other).await.unwrap();
    }
    for n in 0..6 {
        let asked = mail.forgot_password(false, "nadia", FROM).await;
        assert_eq!(asked.is_ok(), n < 5, "five of one address");
    }
    for hundred in 0..20_u16 {
        let ask = |n: u16| {
            let from = Ipv6Addr::new(0x2001, 0xdb8, hundred, n, 0, 0, 0, 1);
            mail.forgot_password(false, "lina", from.into())
        };
        let asked = futures_util::future::join_all((0..500).map(ask)).await;
        assert!(asked.iter().all(Result::is_ok), "all have the same answer");
    }
    assert_eq!(server.taken("reset", 3).await.len(), 3);
    let links = rig.store.mails(i64::MAX, 100).await.unwrap();
    assert_eq!(links.iter().filter(|m| m.kind == "reset").count(), 3);
}

#[tokio::test]
async fn a_mail_is_tried_again_and_one_that_is_refused_is_an_event() {
    let server = Arc::<FakeServer>::default();
    let busy = DeliveryError::Temporary("451 later".to_owned());
    server.failures.lock().unwrap().push_back(busy);
    let rig = rig(&server, None).await;
    let sign_up = async |name: &str| {
        let form = SignUp {
            mail: format!("{name}@example.org"),
            ..form(name)
        };
        rig.control.tenants().sign_up(form, FROM).await.unwrap();
    };
    sign_up("lina").await;
    let operator = OwnerScope::issue("admin");
    let mail = rig.control.mail();
    let first = async || mail.outbox(&operator, i64::MAX, 1).await.unwrap().remove(0);
    let until = async |answer: &str| {
        for _ in 0..500 {
            if first().await.answer.contains(answer) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the server never said {answer}");
    };
    until("451").await;
    rig.clock.advance(60_000);
    mail.retry(&operator, first().await.id).await.unwrap();
    server.taken("verify", 1).await;
    until("250").await;
    let refused = DeliveryError::Permanent("550 no such mailbox".to_owned());
    server.failures.lock().unwrap().push_back(refused);
    sign_up("zoe1").await;
    until("550").await;
    for _ in 0..500 {
        let events = rig.store.events_recent(10).await.unwrap();
        if events
            .iter()
            .any(|e| e.kind == "node.mail_unavailable.failed")
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there is no event");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_control_planes_send_each_mail_once() {
    let server = Arc::<FakeServer>::default();
    let store = Store::memory().await.unwrap();
    let a = rig(&server, Some(store.clone())).await;
    let b = rig(&server, Some(store)).await;
    for n in 0..20 {
        let control = if n % 2 == 0 { &a.control } else { &b.control };
        let form = SignUp {
            mail: format!("a{n}@example.org"),
            ..form(&format!("tenant{n}"))
        };
        control.tenants().sign_up(form, FROM).await.unwrap();
    }
    let taken = server.taken("verify", 20).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.taken("verify", 20).await.len(), 20);
    let ids: BTreeSet<_> = taken.iter().map(|m| &m.message_id).collect();
    assert_eq!(ids.len(), 20);
}

#[tokio::test]
async fn an_address_is_changed_by_who_is_present() {
    let server = Arc::<FakeServer>::default();
    let rig = rig(&server, None).await;
    lina(&rig, &server).await;
    let signed_in = sign_in(&rig).await;
    let mail = rig.control.mail();
    let set = async |to: &str| mail.set_address(&signed_in.account, to, FROM).await;
    for wrong in [
        "lina@bücher.example",
        "a@b\r\nBcc: c@d.e",
        "lina@example.org",
    ] {
        let refused = set(wrong).await.unwrap_err();
        assert_eq!(refused.field, Some(Field::Mail), "{wrong}");
    }
    set("new@example.org").await.unwrap();
    let told = server.taken("address-change", 1).await.remove(0);
    assert_eq!(told.recipient.as_str(), "lina@example.org");
    let view = mail.address(&signed_in.account).await.unwrap().unwrap();
    assert_eq!(view.address.as_deref(), Some("lina@example.org"));
    assert_eq!(view.pending.as_deref(), Some("new@example.org"));
    rig.clock.advance(11 * 60_000);
    let refused = set("other@example.org").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PresenceNeeded);
}

#[tokio::test]
async fn without_a_setup_there_is_no_mail() {
    let rig = Rig::new().await;
    let form = SignUp {
        mail: "not an address".to_owned(),
        ..form("lina")
    };
    let ticket = rig.control.tenants().sign_up(form, FROM).await.unwrap();
    let signed_in = arrive(&rig, ticket).await;
    let mail = rig.control.mail();
    assert!(!mail.is_set_up());
    assert_eq!(mail.address(&signed_in.account).await.unwrap(), None);
    let refused = mail.forgot_password(false, "lina", FROM).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::MailUnavailable);
    let set = mail
        .set_address(&signed_in.account, "a@example.org", FROM)
        .await;
    assert_eq!(set.unwrap_err().code, ErrorCode::MailUnavailable);
    assert!(rig.store.mails(i64::MAX, 10).await.unwrap().is_empty());
}
