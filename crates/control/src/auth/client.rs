//! The client that signs in.

use super::{limiter::address_prefix, user_agent};
use domain::Secret;
use std::net::IpAddr;
use store::ClientDescription;

/// The longest cookie of a browser that is used, in bytes.
const MAX_COOKIE_BYTES: usize = 64;

/// The client that signs in, and for how long it wants to.
#[derive(Clone, Debug)]
pub struct SignInClient {
    pub address: IpAddr,
    /// The value of the cookie by which a browser is recognised, if it sent one.
    pub browser: Option<Secret>,
    /// The header `User-Agent`; empty without one.
    pub agent: String,
    /// Whether it stays signed in beyond a day.
    pub stays: bool,
}

impl From<IpAddr> for SignInClient {
    /// Returns a client of which nothing but the address is known.
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            browser: None,
            agent: String::new(),
            stays: false,
        }
    }
}

impl SignInClient {
    /// Returns the client without a cookie that none of ours can be.
    pub(super) fn checked(mut self) -> Self {
        let is_ours = |cookie: &Secret| {
            let text = cookie.expose();
            !text.is_empty() && text.len() <= MAX_COOKIE_BYTES && text.is_ascii()
        };
        self.browser = self.browser.filter(is_ours);
        self
    }

    /// Returns the name of its system, e.g. `iOS`; empty where it is not known. A client
    /// can claim any.
    pub fn system(&self) -> &'static str {
        user_agent::names(&self.agent).1
    }

    /// Returns the client as a list of sessions shows it.
    pub(super) fn description(&self) -> ClientDescription {
        let (browser, system) = user_agent::names(&self.agent);
        ClientDescription {
            browser: browser.to_owned(),
            system: system.to_owned(),
            address: address_prefix(self.address),
        }
    }
}
