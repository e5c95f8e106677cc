//! How often passwords and codes of an account may be wrong, by who tries them.
//!
//! A limit of an account alone would let strangers lock its owner out. So tries are counted with
//! the prefix of the address, and an account has three allowances an hour, which together are
//! [`PER_HOUR`] wrong tries: for browsers that have signed in before, for networks that have, and
//! for strangers. A client that runs out of one falls back to the next. Strangers are slowed instead of
//! shut out: ten are free, then each waits for twice as long, up to [`STRANGERS_DELAY`]. An owner on
//! a new browser in a new network shares that with an attacker, and has a way that needs no
//! password: a recovery code, which is not guessed and therefore not slowed by others.
//!
//! The memory is bounded: accounts that do not exist share [`UNKNOWN_ACCOUNTS`] keys, so that
//! made-up names push no account's count out.

use super::{
    client::SignInClient,
    limiter::address_key,
    shared_limiter::{Attempt, SharedLimiter},
};
use domain::{Failure, Timestamp};
use sha2::{Digest, Sha256};
use std::{net::IpAddr, time::Duration};
use store::{AttemptDelay, AttemptLimit, KnownClients, Store, TicketHolder, TokenHash};

/// Wrong passwords and codes of an account in an hour, at most.
pub(crate) const PER_HOUR: u32 = 100;
/// Of these, from browsers that have signed in before.
const OF_BROWSERS: u32 = 20;
/// Of these, from networks that have signed in before.
const OF_NETWORKS: u32 = 20;
/// Of these, from all others.
const OF_STRANGERS: u32 = PER_HOUR - OF_BROWSERS - OF_NETWORKS;
/// How many of strangers' are not slowed.
const STRANGERS_FREE: u32 = 10;
/// How long strangers wait between two tries at most: with it the hour's allowance suffices.
const STRANGERS_DELAY: Duration = Duration::from_secs(80);
/// Wrong ones in a minute of an account and a network, or of an account and a browser.
const PER_MINUTE: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// The number of keys that accounts which do not exist share.
const UNKNOWN_ACCOUNTS: u16 = 1_024;

/// The account that is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TriedAccount {
    /// `None` if it does not exist.
    pub holder: Option<TicketHolder>,
    key: String,
}

impl TriedAccount {
    /// Returns the account of that holder; without one, of a name that has none.
    pub fn of(holder: Option<TicketHolder>, kind: &str, name: &str) -> Self {
        let key = match holder {
            Some(holder) => holder_key(holder),
            None => {
                let digest = Sha256::digest(format!("{kind} {name}"));
                let number = u16::from_be_bytes([digest[0], digest[1]]) % UNKNOWN_ACCOUNTS;
                format!("unknown {number}")
            }
        };
        Self { holder, key }
    }
}

/// Returns a text that is the holder's alone.
pub(super) fn holder_key(holder: TicketHolder) -> String {
    match holder {
        TicketHolder::Tenant(id) => format!("tenant {id}"),
        TicketHolder::Operator(id) => format!("operator {}", id.0),
    }
}

/// Returns the hash by which an account recognises a browser.
pub(super) fn browser_key(holder: TicketHolder, client: &SignInClient) -> Option<TokenHash> {
    let cookie = client.browser.as_ref()?;
    let text = format!("{} browser {}", holder_key(holder), cookie.expose());
    Some(TokenHash::of(&domain::Secret::new(text)))
}

/// Returns the hash by which an account recognises a network.
pub(super) fn network_key(holder: TicketHolder, client: &SignInClient) -> TokenHash {
    let text = format!("{} {}", holder_key(holder), network(client.address));
    TokenHash::of(&domain::Secret::new(text))
}

/// Returns the network of an address: its /24, or its /56, which one customer has.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(a) => {
            let [a, b, c, _] = a.octets();
            format!("network {a}.{b}.{c}")
        }
        IpAddr::V6(a) => format!("network {:x}", u128::from(a) >> 72),
    }
}

pub(super) struct AccountLimits {
    /// Of an account and a network, or an account and a browser.
    pairs: SharedLimiter,
    browsers: SharedLimiter,
    networks: SharedLimiter,
    strangers: SharedLimiter,
}

/// The counts of a try.
#[must_use]
pub(super) struct CountedTry<'a> {
    counts: Vec<(&'a SharedLimiter, Attempt)>,
    /// Keys for which this was the last try allowed.
    pub exhausted: Vec<String>,
}

impl<'a> CountedTry<'a> {
    fn add(&mut self, limiter: &'a SharedLimiter, mut attempt: Attempt) {
        self.exhausted.append(&mut attempt.exhausted);
        self.counts.push((limiter, attempt));
    }

    /// Takes the counts back: the try was not wrong.
    pub async fn refund(self) {
        for (limiter, attempt) in self.counts {
            limiter.refund(attempt).await;
        }
    }
}

impl AccountLimits {
    pub fn new(store: &Store) -> Self {
        let limit = |name, max, window, delay| {
            SharedLimiter::with(name, AttemptLimit { max, window, delay }, store)
        };
        let delay = AttemptDelay {
            free: STRANGERS_FREE,
            longest: STRANGERS_DELAY,
        };
        Self {
            pairs: limit("sign-in pair", PER_MINUTE, MINUTE, None),
            browsers: limit("sign-in browser", OF_BROWSERS, HOUR, None),
            networks: limit("sign-in network", OF_NETWORKS, HOUR, None),
            strangers: limit("sign-in stranger", OF_STRANGERS, HOUR, Some(delay)),
        }
    }

    /// Counts a try before its outcome is known: by the address, by the account with the
    /// network or browser, and in the account's first allowance that has room.
    ///
    /// # Errors
    /// `TooManyTries` with the time until the next one is allowed, `DatabaseUnavailable`;
    /// nothing is counted then.
    pub async fn begin<'a>(
        &'a self,
        by_address: &'a SharedLimiter,
        account: &TriedAccount,
        client: &SignInClient,
        known: KnownClients,
        now: Timestamp,
    ) -> Result<CountedTry<'a>, Failure> {
        let mut counted = CountedTry {
            counts: Vec::new(),
            exhausted: Vec::new(),
        };
        let begun = self
            .count(&mut counted, by_address, account, client, known, now)
            .await;
        match begun {
            Ok(()) => Ok(counted),
            Err(failure) => {
                counted.refund().await;
                Err(failure)
            }
        }
    }

    /// Counts a try with a recovery code: by the address, and by the account with the network.
    ///
    /// # Errors
    /// `TooManyTries`, `DatabaseUnavailable`.
    pub async fn begin_code<'a>(
        &'a self,
        by_address: &'a SharedLimiter,
        account: &TriedAccount,
        client: &SignInClient,
        now: Timestamp,
    ) -> Result<CountedTry<'a>, Failure> {
        let mut counted = CountedTry {
            counts: Vec::new(),
            exhausted: Vec::new(),
        };
        let address = vec![address_key(client.address)];
        let address_count = by_address.begin(address, now).await?;
        counted.add(by_address, address_count);
        let pair = format!("{} code {}", account.key, network(client.address));
        match self.pairs.begin(vec![pair], now).await {
            Ok(pair_count) => {
                counted.add(&self.pairs, pair_count);
                Ok(counted)
            }
            Err(failure) => {
                counted.refund().await;
                Err(failure)
            }
        }
    }

    async fn count<'a>(
        &'a self,
        counted: &mut CountedTry<'a>,
        by_address: &'a SharedLimiter,
        account: &TriedAccount,
        client: &SignInClient,
        known: KnownClients,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let key = &account.key;
        let in_network = format!("{key} {}", network(client.address));
        let browser = account.holder.filter(|_| known.browser);
        let browser = browser.and_then(|holder| browser_key(holder, client));
        if let Some(browser) = browser {
            // Neither its address's nor its network's other clients hold it up.
            let pair = format!("{key} browser {}", browser.as_str());
            let pair_count = self.pairs.begin(vec![pair], now).await?;
            counted.add(&self.pairs, pair_count);
            if let Ok(count) = self.browsers.begin(vec![key.clone()], now).await {
                counted.add(&self.browsers, count);
                return Ok(());
            }
        } else {
            let address = address_key(client.address);
            let address_count = by_address.begin(vec![address], now).await?;
            counted.add(by_address, address_count);
            let pair_count = self.pairs.begin(vec![in_network], now).await?;
            counted.add(&self.pairs, pair_count);
        }
        if known.network
            && let Ok(count) = self.networks.begin(vec![key.clone()], now).await
        {
            counted.add(&self.networks, count);
            return Ok(());
        }
        let count = self.strangers.begin(vec![key.clone()], now).await?;
        counted.add(&self.strangers, count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_hourly_allowance_suffices_for_the_longest_delay() {
        let limit = AttemptLimit {
            max: OF_STRANGERS,
            window: HOUR,
            delay: Some(AttemptDelay {
                free: STRANGERS_FREE,
                longest: STRANGERS_DELAY,
            }),
        };
        let (mut times, mut now, mut longest) = (Vec::<i64>::new(), 0, 0);
        while now < 4 * 3_600_000 {
            times.retain(|t| *t > now - 3_600_000);
            let wait = limit.wait_millis(&times, now);
            longest = longest.max(wait);
            now += wait;
            times.retain(|t| *t > now - 3_600_000);
            assert!(times.len() < OF_STRANGERS as usize);
            times.push(now);
        }
        assert!(longest <= 80_000, "{longest} ms: slower, never shut");
    }

    #[test]
    fn made_up_names_share_keys() {
        let key = |n: u32| TriedAccount::of(None, "tenant", &n.to_string()).key;
        let keys: std::collections::HashSet<_> = (0..10_000).map(key).collect();
        assert!(keys.len() <= UNKNOWN_ACCOUNTS.into());
        let address = |a: &str| network(a.parse().unwrap());
        assert_eq!(address("192.0.2.1"), address("192.0.2.200"));
        assert_ne!(address("192.0.2.1"), address("192.0.3.1"));
        assert_eq!(address("2001:db8:1:2ff::1"), address("2001:db8:1:200::2"));
        assert_ne!(address("2001:db8:1:200::1"), address("2001:db8:1:300::1"));
    }
}
