//! A worker's link: whether its control planes answer and know it, how long its
//! certificate is valid, and whether the clocks of both machines agree.

use super::report::{Check, run};
use crate::{
    config::Config,
    start_error::StartError,
    worker::{Membership, listed_control_planes, stored_identity},
};
use domain::{Clock, Message, SystemClock, Timestamp, time::DAY_MILLIS};
use link::worker::{Identity, LinkError, RENEWAL_MILLIS, probe};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// The longest wait for a control plane.
const TIMEOUT: Duration = Duration::from_secs(15);
/// A difference of clocks above which the operator should know: graphs and the log have
/// other times than the control plane's.
const MAX_DIFFERENCE_SECS: u64 = 30;

/// Runs the checks of a worker.
pub(super) async fn check(config: &Config, membership: &Membership) -> Vec<Check> {
    const NAME: Message = Message::CheckLink;
    let identity = match stored_identity(config) {
        Ok(identity) => identity,
        Err(e) => return vec![unusable(&e)],
    };
    let mut checks = vec![certificate(&identity, membership, SystemClock.now())];
    let (first, others) = match membership.control_planes(config) {
        Ok(all) => all,
        Err(e) => {
            checks.push(unusable(&e));
            return checks;
        }
    };
    let (mut answers, mut failures, mut difference) = (Vec::new(), Vec::new(), None);
    let named: Vec<_> = std::iter::once(first).chain(others).collect();
    let listed = listed_control_planes(config).into_iter();
    let listed: Vec<_> = listed.filter(|to| !named.contains(to)).collect();
    for to in named.into_iter().chain(listed) {
        let address = to.to_string();
        let asked = tokio::time::timeout(TIMEOUT, probe(&to, &identity)).await;
        match asked.unwrap_or(Err(LinkError::Silent {
            address: address.clone(),
        })) {
            Ok(date) => {
                answers.push(address);
                let theirs = date.as_deref().and_then(parse_date);
                difference = difference.or(theirs.map(|theirs| {
                    let ours = SystemClock.now();
                    ours.0.abs_diff(theirs.0) / 1000
                }));
            }
            Err(e) => failures.push((address, e.message())),
        }
    }
    let answering = answers.join(", ");
    checks.push(match failures.into_iter().next() {
        None => Check::ok(
            NAME,
            Message::LinkWorks {
                addresses: answering,
            },
        ),
        Some((_, reason)) if answers.is_empty() => Check::bad(NAME, reason, Message::FixLink),
        Some((addresses, reason)) => Check::warn(
            NAME,
            Message::LinkPartly {
                addresses,
                reason: Box::new(reason),
            },
            Message::FixLink,
        ),
    });
    checks.extend(difference.map(clocks));
    checks
}

pub(super) fn unusable(e: &StartError) -> Check {
    let text = e.to_string();
    Check::bad(
        Message::CheckLink,
        Message::Verbatim { text },
        Message::FixCertificate,
    )
}

fn certificate(identity: &Identity, membership: &Membership, now: Timestamp) -> Check {
    const NAME: Message = Message::CheckCertificate;
    let peer = match identity.check(now) {
        Ok(peer) => peer,
        Err(e) => return Check::bad(NAME, e.message(), Message::FixCertificate),
    };
    let node = membership.node.0.unsigned_abs();
    let remaining = peer.not_after.0.saturating_sub(now.0);
    let days = remaining.unsigned_abs() / DAY_MILLIS.unsigned_abs();
    // A worker that runs renews it within an hour; one that does not is no fault yet.
    let late = RENEWAL_MILLIS - 2 * DAY_MILLIS;
    match remaining {
        ..0 => Check::bad(
            NAME,
            Message::CertificateExpired { node, days },
            Message::FixCertificate,
        ),
        _ if remaining < late => Check::warn(
            NAME,
            Message::CertificateDue { node, days },
            Message::FixCertificate,
        ),
        _ => Check::ok(NAME, Message::CertificateValid { node, days }),
    }
}

fn clocks(seconds: u64) -> Check {
    const NAME: Message = Message::CheckClocks;
    if seconds > MAX_DIFFERENCE_SECS {
        let fix = run("timedatectl set-ntp true");
        return Check::warn(NAME, Message::ClocksDiffer { seconds }, fix);
    }
    Check::ok(NAME, Message::ClocksAgree { seconds })
}

/// Parses a date of HTTP (RFC 9110, 5.6.7): that of RFC 2822 with GMT as its zone.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = format!("{}+0000", text.strip_suffix("GMT")?);
    let date = OffsetDateTime::parse(&text, &Rfc2822).ok()?;
    Some(Timestamp::from_secs(date.unix_timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn a_date_of_http_is_parsed() {
        let parsed = parse_date("Tue, 24 Nov 2026 00:00:00 GMT");
        assert_eq!(parsed, Some(Timestamp::from_secs(1_795_478_400)));
        for text in ["", "GMT", "Tue, 24 Nov 2026 00:00:00", "yesterday GMT"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_that_differ_by_more_than_half_a_minute_are_reported() {
        assert_eq!(clocks(30).state, State::Ok);
        assert_eq!(clocks(31).state, State::Warn);
    }
}
