//! The browsers and networks that an account has signed in from.

use super::{
    Auth,
    account_limits::{browser_key, network_key},
    client::SignInClient,
};
use crate::failures::store_failure;
use domain::{Failure, MailContent, Secret};
use store::{ClientDescription, ClientKind, KnownClients, TicketHolder};

/// Returns what an account's holder is told of a sign-in from a browser that is new.
fn notice(client: &SignInClient) -> MailContent {
    let ClientDescription {
        browser,
        system,
        address,
    } = client.description();
    let names = [browser, system];
    let known: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    MailContent::SignIn {
        client: known.join(", "),
        origin: address,
    }
}

impl Auth<'_> {
    /// Returns what of a client the account has signed in from before.
    pub(super) async fn known(
        self,
        holder: TicketHolder,
        client: &SignInClient,
    ) -> Result<KnownClients, Failure> {
        let browser = browser_key(holder, client);
        let network = network_key(holder, client);
        let store = &self.0.store;
        let known = store
            .known_clients(holder, browser.as_ref(), &network)
            .await;
        known.map_err(store_failure)
    }

    /// Remembers a client that has signed in. Returns the cookie that the browser is known by
    /// from now on: its own one, or a new one.
    pub(super) async fn remember(
        self,
        holder: TicketHolder,
        client: &SignInClient,
    ) -> Result<Secret, Failure> {
        let cookie = self.browser_cookie(client)?;
        let known = SignInClient {
            browser: Some(cookie.clone()),
            ..client.clone()
        };
        if let Some(key) = browser_key(holder, &known) {
            let (store, now) = (&self.0.store, self.0.clock.now());
            let notice = notice(client);
            let stored =
                store.remember_client(holder, ClientKind::Browser, &key, Some(&notice), now);
            stored.await.map_err(store_failure)?;
        }
        self.remember_network(holder, client).await?;
        Ok(cookie)
    }

    /// Remembers the network of a client that has signed in and has no cookies.
    pub(super) async fn remember_network(
        self,
        holder: TicketHolder,
        client: &SignInClient,
    ) -> Result<(), Failure> {
        let (store, now) = (&self.0.store, self.0.clock.now());
        let key = network_key(holder, client);
        let stored = store.remember_client(holder, ClientKind::Network, &key, None, now);
        stored.await.map_err(store_failure)
    }

    /// Returns the cookie that a browser is known by, or a new one.
    pub(super) fn browser_cookie(self, client: &SignInClient) -> Result<Secret, Failure> {
        match &client.browser {
            Some(cookie) => Ok(cookie.clone()),
            None => self.0.entropy.token(),
        }
    }
}
