//! Sends what waits in the outbox. Every control plane that has mail set up does so; each mail is
//! claimed by one of them ([`store::Store::claim_mail`]). The sender sleeps until a change of this
//! process has queued mail, the next one is due, or [`CHECK_INTERVAL`] has passed, in which another
//! control plane may have died with mail of its own.

use super::{DeliveryError, MailSetup, OutgoingMail};
use crate::inner::Inner;
use domain::{ErrorCode, MailContent, MailLink, Message, Secret, Timestamp};
use protocol::EventKind;
use std::time::Duration;
use store::{ClaimedMail, LOCAL_NODE, MailTry, NewEvent, StoreError};

/// How long a mail may take to be sent; the transport ends before.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a mail is this control plane's to send. Longer than sending and noting it take.
const LEASE: Duration = Duration::from_secs(150);
/// How long the sender sleeps at most.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// How many times a mail is tried: for about a day.
const MAX_TRIES: u32 = 14;
/// How long after the first try the second one is.
const FIRST_DELAY_MILLIS: i64 = 30_000;
/// How long the sender waits between two tries at most.
const MAX_DELAY_MILLIS: i64 = 4 * 3_600_000;
/// The longest answer of a server that is stored, in bytes.
const MAX_ANSWER_BYTES: usize = 300;

/// Sends mail until the future is dropped; nothing where none is set up.
pub(crate) async fn run_mail(inner: &Inner) {
    let Some(setup) = &inner.mail else { return };
    loop {
        let pause = match send_due(inner, setup).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(?error, "mail that waits could not be read or noted");
                CHECK_INTERVAL
            }
        };
        let _ = tokio::time::timeout(pause, inner.store.mail_queued()).await;
    }
}

/// Sends what is due. Returns how long to sleep.
async fn send_due(inner: &Inner, setup: &MailSetup) -> Result<Duration, StoreError> {
    let store = &inner.store;
    let expired = store.expire_mail(inner.clock.now()).await?;
    if expired > 0 {
        tracing::warn!(expired, "mails were given up: they waited for too long");
    }
    loop {
        let now = inner.clock.now();
        if store.mail_sent_in_hour(now).await? >= u64::from(setup.per_hour) {
            tracing::warn!(
                per_hour = setup.per_hour,
                "mail waits: the hour's number is sent"
            );
            return Ok(CHECK_INTERVAL);
        }
        let Some(claimed) = store.claim_mail(now, LEASE).await? else {
            let next = store.next_mail().await?;
            return Ok(pause_until(next, inner.clock.now()));
        };
        send(inner, setup, claimed).await?;
    }
}

fn pause_until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    let millis = next.map(|at| at.0.saturating_sub(now.0).max(0).unsigned_abs());
    // A mail that was just passed over is not asked for in a loop.
    millis.map_or(CHECK_INTERVAL, |millis| {
        Duration::from_millis(millis.max(1_000)).min(CHECK_INTERVAL)
    })
}

async fn send(inner: &Inner, setup: &MailSetup, claimed: ClaimedMail) -> Result<(), StoreError> {
    let (id, tries, kind) = (claimed.id, claimed.tries, claimed.content.kind());
    let mail = outgoing(&inner.settings.base_url, claimed);
    let sending = tokio::time::timeout(SEND_TIMEOUT, setup.transport.send(&mail)).await;
    let sent = sending.unwrap_or_else(|_| {
        let answer = "it did not answer within a minute".to_owned();
        Err(DeliveryError::Temporary(answer))
    });
    let now = inner.clock.now();
    let (ended, answer) = match &sent {
        Ok(answer) => (MailTry::Sent, answer.as_str()),
        Err(DeliveryError::Temporary(answer)) if tries < MAX_TRIES => (
            MailTry::Deferred(now.plus_millis(delay(tries))),
            answer.as_str(),
        ),
        Err(error) => (MailTry::Failed, error.answer()),
    };
    let answer = cut(answer);
    inner.counters.mail.count(ended);
    match ended {
        MailTry::Sent => tracing::info!(mail = id, kind, "a mail was sent"),
        MailTry::Deferred(_) => {
            tracing::warn!(
                mail = id,
                kind,
                tries,
                answer,
                "a mail was not taken; it is tried again"
            );
        }
        MailTry::Failed => tracing::warn!(mail = id, kind, tries, answer, "a mail was given up"),
    }
    // What was sent and is not noted is sent again: the database is asked for a while.
    let mut noted = Ok(false);
    for _ in 0..NOTE_TRIES {
        noted = inner
            .store
            .end_mail_try(id, tries, ended, &answer, now)
            .await;
        if noted.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    if noted? && ended == MailTry::Failed {
        report(inner, kind, tries, answer, now).await?;
    }
    Ok(())
}

/// How often the end of a try is written while the database does not answer.
const NOTE_TRIES: u32 = 5;

/// Writes into the event log that a mail was given up.
async fn report(
    inner: &Inner,
    kind: &str,
    tries: u32,
    answer: String,
    at: Timestamp,
) -> Result<(), StoreError> {
    let event = EventKind::NodeFailed {
        code: ErrorCode::MailUnavailable,
        problem: Message::MailGivenUp {
            kind: kind.to_owned(),
            tries: tries.into(),
            answer,
        },
    };
    let event = NewEvent {
        at,
        tenant: None,
        kind: event.code(),
        detail: event.detail(),
    };
    inner.store.record_events(LOCAL_NODE, &[event]).await
}

/// Returns how long to wait after a try, in milliseconds: twice as long each time.
fn delay(tries: u32) -> i64 {
    let doubled = 1_i64
        .checked_shl(tries.saturating_sub(1))
        .unwrap_or(i64::MAX);
    doubled
        .saturating_mul(FIRST_DELAY_MILLIS)
        .min(MAX_DELAY_MILLIS)
}

/// Returns an answer as it is stored: in one line, and not long.
pub(super) fn cut(answer: &str) -> String {
    let line: String = answer
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let line = line.trim();
    line[..line.floor_char_boundary(MAX_ANSWER_BYTES)].to_owned()
}

/// Returns a mail with what it needs of the installation.
fn outgoing(base_url: &str, claimed: ClaimedMail) -> OutgoingMail {
    let host = host_of(base_url);
    let (name, is_operator) = claimed.account.unwrap_or_default();
    let link = claimed.content.link().zip(claimed.token);
    let link = link.map(|(link, token)| {
        let page = match link {
            MailLink::Verify => "verify-mail",
            MailLink::Reset => "reset",
        };
        let account = match is_operator {
            true => OPERATORS,
            false => name.as_str(),
        };
        let scheme = base_url
            .split_once("://")
            .map_or("http", |(scheme, _)| scheme);
        let token = token.expose();
        Secret::new(format!("{scheme}://{account}.{host}/{page}?token={token}"))
    });
    OutgoingMail {
        message_id: message_id(claimed.id, claimed.created_at, host),
        recipient: claimed.recipient,
        content: claimed.content,
        name,
        link,
        host: host.to_owned(),
    }
}

/// The label of the operators' host.
const OPERATORS: &str = "admin";

fn host_of(base_url: &str) -> &str {
    base_url
        .split_once("://")
        .map_or(base_url, |(_, host)| host)
}

fn message_id(id: i64, created_at: Timestamp, host: &str) -> String {
    let domain = host.split(':').next().unwrap_or(host);
    format!("{id}.{}@{domain}", created_at.0)
}

/// Returns a mail that shows that mail works, for an address. It is not one of the outbox.
pub(super) fn test_mail(
    base_url: &str,
    recipient: domain::MailAddress,
    now: Timestamp,
) -> OutgoingMail {
    let host = host_of(base_url);
    OutgoingMail {
        message_id: message_id(0, now, host),
        recipient,
        content: MailContent::Test,
        name: String::new(),
        link: None,
        host: host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::MailAddress;

    fn claimed(content: MailContent, is_operator: bool) -> ClaimedMail {
        ClaimedMail {
            id: 17,
            content,
            token: Some(Secret::new("t0ken")),
            recipient: MailAddress::parse("a@example.org").unwrap(),
            account: Some(("lina".to_owned(), is_operator)),
            created_at: Timestamp(5),
            tries: 1,
        }
    }

    #[test]
    fn a_link_is_on_the_account_s_own_host() {
        let base = "https://vpn.example.org:8443";
        let link = |content, is_operator| {
            let mail = outgoing(base, claimed(content, is_operator));
            mail.link.map(|l| l.expose().to_owned())
        };
        assert_eq!(
            link(MailContent::Reset, false).unwrap(),
            "https://lina.vpn.example.org:8443/reset?token=t0ken"
        );
        assert_eq!(
            link(MailContent::Verify, true).unwrap(),
            "https://admin.vpn.example.org:8443/verify-mail?token=t0ken"
        );
        assert_eq!(link(MailContent::QuotaReached, false), None);
        let id = outgoing(base, claimed(MailContent::Reset, false)).message_id;
        assert_eq!(id, "17.5@vpn.example.org", "the same at every try");
    }

    #[test]
    fn tries_are_spread_over_a_day() {
        assert_eq!((delay(1), delay(2), delay(3)), (30_000, 60_000, 120_000));
        let all: i64 = (1..MAX_TRIES).map(delay).sum();
        assert!((86_400_000 / 2..2 * 86_400_000).contains(&all), "{all} ms");
        assert_eq!(delay(1_000), MAX_DELAY_MILLIS);
    }

    #[test]
    fn an_answer_is_one_short_line() {
        assert_eq!(cut("550\r\nno\u{7}"), "550  no");
        assert!(cut(&"ü".repeat(500)).len() <= MAX_ANSWER_BYTES);
    }

    #[test]
    fn the_sender_sleeps_until_the_next_mail_is_due() {
        let pause = |at| pause_until(at, Timestamp(0)).as_millis();
        assert_eq!(pause(None), 60_000);
        assert_eq!(pause(Some(Timestamp(5_000))), 5_000);
        assert_eq!(pause(Some(Timestamp(-5))), 1_000);
        assert_eq!(pause(Some(Timestamp(i64::MAX))), 60_000);
    }
}
