//! The limits of the installation: how often passwords are tried, tenants are
//! created and tenants change things.

use super::{
    account_limits::AccountLimits,
    limiter::{Limiter, address_key, site_key},
    shared_limiter::{Attempt, SharedLimiter},
    too_many::too_many,
};
use crate::parts::ControlSettings;
use domain::{Failure, TenantId, Timestamp};
use std::net::IpAddr;
use store::Store;

/// Changes a tenant may make in a minute: the largest plan's fifty devices can
/// be created and deleted at once, by a script too. More is a runaway loop.
const CHANGES_PER_MINUTE: u32 = 120;
/// Wrong passwords in a minute, for an account and for an address.
const WRONG_PASSWORDS_PER_MINUTE: u32 = 5;
/// Questions of one address in a minute whether a name is free. A person who types asks some
/// twenty times; a whole list of names must not be read out.
const NAME_CHECKS_PER_MINUTE: u32 = 60;
/// Questions of one address in a minute for a passkey's challenge, each of which is a row.
const CHALLENGES_PER_MINUTE: u32 = 30;
/// Requests with a key in a minute: twice the changes, because some are refused.
const CLAIMS_PER_MINUTE: u32 = 2 * CHANGES_PER_MINUTE;
const MINUTE_MILLIS: u32 = 60_000;
/// Invitations in a minute that do not exist, for an address. More than wrong passwords: a code
/// has 192 random bits, and what is being looked up counts, so that a class that signs up at
/// the same time behind one address is not held up.
const WRONG_INVITATIONS_PER_MINUTE: u32 = 20;
/// Forgotten passwords in a quarter of an hour, for an address.
const FORGOTTEN_PER_QUARTER: u32 = 5;
/// Links to a new password that an account's mail address gets in an hour.
const RESET_MAILS_PER_HOUR: u32 = 3;
/// Links that an account may have sent in an hour to addresses that may be others'.
const MAIL_LINKS_PER_HOUR: u32 = 5;
/// How many times as many sign-ups a /48 may have as a /64.
const SITE_FACTOR: u32 = 5;

pub(crate) struct Limits {
    /// Wrong passwords and codes, by address.
    pub(crate) sign_ins: SharedLimiter,
    pub(super) accounts: AccountLimits,
    /// Invitations that do not exist, by who sent them.
    pub(crate) invitation_guesses: SharedLimiter,
    sign_ups: SharedLimiter,
    /// Of all addresses of a /48, which one customer may have.
    site_sign_ups: SharedLimiter,
    all_sign_ups: SharedLimiter,
    /// Changes of a tenant, whatever they change. Each control plane counts its own: it
    /// guards against loops, and a change costs more than a count.
    changes: Limiter,
    /// Keys of requests that may be repeated, each of which is rows; by who sent them.
    claims: Limiter,
    /// Whether a name is free, by address. Each control plane counts its own, as a question costs
    /// less than a count in the database.
    name_checks: Limiter,
    /// Requests for a link to a new password, by address.
    pub(crate) forgotten: SharedLimiter,
    /// Links to a new password that were sent by mail, by account.
    pub(crate) reset_mails: SharedLimiter,
    /// Links that verify a mail address, by account.
    pub(crate) mail_links: SharedLimiter,
    /// Challenges for a passkey that visitors ask for, by address. Each control plane counts its
    /// own: it bounds rows that last five minutes.
    challenges: Limiter,
    /// Lock-outs that were written to the audit log.
    pub(crate) logged_lock_outs: SharedLimiter,
}

impl Limits {
    pub(crate) fn new(store: &Store, settings: &ControlSettings) -> Self {
        const HOUR_MILLIS: u32 = 60 * MINUTE_MILLIS;
        let per_hour = settings.sign_ups_per_hour;
        let limiter = |name, max, window| SharedLimiter::new(name, max, window, store);
        Self {
            accounts: AccountLimits::new(store),
            sign_ins: limiter("sign-in", WRONG_PASSWORDS_PER_MINUTE, MINUTE_MILLIS),
            invitation_guesses: limiter("invitation", WRONG_INVITATIONS_PER_MINUTE, MINUTE_MILLIS),
            sign_ups: limiter("sign-up", per_hour, HOUR_MILLIS),
            site_sign_ups: limiter(
                "sign-up of a site",
                per_hour.saturating_mul(SITE_FACTOR),
                HOUR_MILLIS,
            ),
            all_sign_ups: limiter(
                "sign-up in all",
                settings.sign_ups_per_hour_total,
                HOUR_MILLIS,
            ),
            changes: Limiter::new(CHANGES_PER_MINUTE, MINUTE_MILLIS),
            claims: Limiter::new(CLAIMS_PER_MINUTE, MINUTE_MILLIS),
            challenges: Limiter::new(CHALLENGES_PER_MINUTE, MINUTE_MILLIS),
            // Where sign-ups have no limit, neither have they.
            name_checks: Limiter::new(
                NAME_CHECKS_PER_MINUTE * u32::from(per_hour > 0),
                MINUTE_MILLIS,
            ),
            forgotten: limiter("forgotten", FORGOTTEN_PER_QUARTER, 15 * MINUTE_MILLIS),
            reset_mails: limiter("reset mail", RESET_MAILS_PER_HOUR, HOUR_MILLIS),
            mail_links: limiter("mail link", MAIL_LINKS_PER_HOUR, HOUR_MILLIS),
            logged_lock_outs: limiter("lock-out", 1, 10 * MINUTE_MILLIS),
        }
    }

    /// Counts a sign-up: by the address (of IPv6 the /64), by the /48, and in all.
    ///
    /// # Errors
    /// `TooManyTries`; nothing is counted then.
    pub(crate) async fn begin_sign_up(
        &self,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<SignUpAttempt, Failure> {
        let by_address = self.sign_ups.begin(vec![address_key(from)], now).await?;
        let mut attempt = SignUpAttempt {
            by_address: Some(by_address),
            ..SignUpAttempt::default()
        };
        if let Some(site) = site_key(from) {
            match self.site_sign_ups.begin(vec![site], now).await {
                Ok(by_site) => attempt.by_site = Some(by_site),
                Err(f) => {
                    self.refund_sign_up(attempt).await;
                    return Err(f);
                }
            }
        }
        match self.all_sign_ups.begin(vec!["all".to_owned()], now).await {
            Ok(in_all) => attempt.in_all = Some(in_all),
            Err(f) => {
                self.refund_sign_up(attempt).await;
                return Err(f);
            }
        }
        Ok(attempt)
    }

    /// Takes the count in all back: the sign-up was refused. Its sender's stays, because it
    /// cost processor time; one sender must not use up what others may do.
    pub(crate) async fn refund_refused_sign_up(&self, attempt: SignUpAttempt) {
        if let Some(in_all) = attempt.in_all {
            self.all_sign_ups.refund(in_all).await;
        }
    }

    /// Takes every count of a sign-up back: it cost nothing.
    pub(crate) async fn refund_sign_up(&self, attempt: SignUpAttempt) {
        if let Some(by_address) = attempt.by_address {
            self.sign_ups.refund(by_address).await;
        }
        if let Some(by_site) = attempt.by_site {
            self.site_sign_ups.refund(by_site).await;
        }
        if let Some(in_all) = attempt.in_all {
            self.all_sign_ups.refund(in_all).await;
        }
    }

    /// Counts a change of a tenant: every change is rows, and work for the node.
    pub(crate) fn count_change(&self, tenant: TenantId, now: Timestamp) -> Result<(), Failure> {
        let counted = self.changes.begin(vec![change_key(tenant)], now);
        counted.map(drop).map_err(too_many)
    }

    /// Counts a question whether a name is free.
    pub(crate) fn count_name_check(&self, from: IpAddr, now: Timestamp) -> Result<(), Failure> {
        let counted = self.name_checks.begin(vec![address_key(from)], now);
        counted.map(drop).map_err(too_many)
    }

    /// Counts a visitor's question for a passkey's challenge.
    pub(super) fn count_challenge(&self, from: IpAddr, now: Timestamp) -> Result<(), Failure> {
        let counted = self.challenges.begin(vec![address_key(from)], now);
        counted.map(drop).map_err(too_many)
    }

    /// Counts a request with a key.
    pub(crate) fn count_claim(&self, sender: &str, now: Timestamp) -> Result<(), Failure> {
        let counted = self.claims.begin(vec![sender.to_owned()], now);
        counted.map(drop).map_err(too_many)
    }

    /// Returns how many changes a tenant may still make.
    pub(super) fn changes_left(&self, tenant: TenantId, now: Timestamp) -> ChangeBudget {
        let (left, millis) = self.changes.left(&change_key(tenant), now);
        ChangeBudget {
            allowed: CHANGES_PER_MINUTE,
            window_secs: MINUTE_MILLIS / 1_000,
            left,
            reset_secs: u32::try_from((millis + 999) / 1_000).unwrap_or(0),
        }
    }
}

/// The counts of a sign-up.
#[derive(Default)]
#[must_use]
pub(crate) struct SignUpAttempt {
    by_address: Option<Attempt>,
    by_site: Option<Attempt>,
    in_all: Option<Attempt>,
}

fn change_key(tenant: TenantId) -> String {
    format!("tenant {tenant}")
}

/// How many changes a tenant may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeBudget {
    /// In any window.
    pub allowed: u32,
    /// The length of a window in seconds.
    pub window_secs: u32,
    /// How many are left now.
    pub left: u32,
    /// The seconds until there is one more.
    pub reset_secs: u32,
}
