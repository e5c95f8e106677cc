//! Who sent a request.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use control::SignInClient;
use domain::{ErrorCode, Failure, Message};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::Once,
};
use texts::Texts;

/// The client of a request. The server adds it to every request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its address, behind trusted proxies.
    pub address: IpAddr,
    /// The texts in the language that the request prefers.
    pub texts: &'static Texts,
    /// Whether operators are answered at this address.
    pub may_operate: bool,
}

/// A request of the command line of this machine: the kernel has said who sent it, or its sender
/// has opened the database. The server adds this to it; nothing that a request says can.
#[derive(Clone, Debug, Default)]
pub struct CommandLine {
    /// The name of the user, or the number; `None` for root and for the server's own.
    pub user: Option<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            texts: texts::english(),
            may_operate: true,
        }
    }
}

impl Client {
    /// Checks that an operator is answered at this address.
    ///
    /// # Errors
    /// `NotPermitted`.
    pub(crate) fn allow_operator(self) -> Result<(), Failure> {
        match self.may_operate {
            true => Ok(()),
            false => {
                static LOGGED: Once = Once::new();
                LOGGED.call_once(|| {
                    let from = self.address;
                    tracing::info!(%from, "operators are not answered at this address (operator_from); said once");
                });
                let message = Message::OperatorAddress;
                Err(Failure::new(ErrorCode::NotPermitted, message))
            }
        }
    }

    /// Returns the client as a sign-in names it.
    pub(crate) fn sign_in(self, headers: &HeaderMap) -> SignInClient {
        let agent = headers.get(header::USER_AGENT);
        let agent = agent.and_then(|v| v.to_str().ok()).unwrap_or_default();
        SignInClient {
            agent: agent.to_owned(),
            ..self.address.into()
        }
    }

    /// Returns the client of a request.
    pub(crate) fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}
