//! What a request is, before any page looks at it: which host, who is signed
//! in. The server's middleware builds it once and puts it into the request's
//! extensions; pages and server functions read it from there.

use control::Control;
use domain::{Failure, OperatorScope, TenantName, TenantScope};
use leptos::prelude::{use_context, with_context};
use std::net::IpAddr;

/// Which of the installation's hosts was asked. `<name>-dns` and `api` hosts
/// never reach the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// `<base>`: landing, plans, sign-up.
    Base,
    /// `<name>.<base>`: a tenant's dashboard.
    Tenant(TenantName),
    /// `admin.<base>`: the operator.
    Operator,
}

/// A request's circumstances.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The host asked.
    pub host: HostKind,
    /// The base with its port as people type it, e.g. `localhost:8085`.
    pub base: String,
    /// `http` or `https`, as the browser sees it.
    pub scheme: &'static str,
    /// Set where a session on this very host belongs to this tenant.
    pub tenant: Option<TenantScope>,
    /// Set where a session on the operator's host is an operator's.
    pub operator: Option<OperatorScope>,
    /// Where the request came from (behind a trusted proxy: the client).
    pub from: IpAddr,
}

impl RequestContext {
    /// `http://<sub>.<base><path>`.
    pub fn url(&self, sub: &str, path: &str) -> String {
        format!("{}://{sub}.{}{path}", self.scheme, self.base)
    }

    /// The request being answered.
    ///
    /// # Errors
    /// Outside a request (which is a fault of ours): an internal failure.
    pub fn current() -> Result<Self, Failure> {
        Self::with(Self::clone)
    }

    /// Reads the request being answered where it lies: `use_context` would copy
    /// every header first.
    ///
    /// # Errors
    /// As [`Self::current`].
    pub fn with<T>(read: impl FnOnce(&Self) -> T) -> Result<T, Failure> {
        with_context(|parts: &http::request::Parts| parts.extensions.get::<Self>().map(read))
            .flatten()
            .ok_or_else(|| Failure::new(domain::ErrorCode::Internal, "The request has no context."))
    }
}

/// The core, from the server's context.
///
/// # Errors
/// Where the server did not provide it (a fault of ours): an internal failure.
pub fn control() -> Result<Control, Failure> {
    use_context::<Control>()
        .ok_or_else(|| Failure::new(domain::ErrorCode::Internal, "The server is still starting."))
}

/// The signed-in tenant's permission.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`].
pub fn tenant() -> Result<TenantScope, Failure> {
    RequestContext::with(|c| c.tenant.clone())?.ok_or_else(Failure::signed_out)
}

/// The signed-in operator's permission.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`].
pub fn operator() -> Result<OperatorScope, Failure> {
    RequestContext::with(|c| c.operator.clone())?.ok_or_else(Failure::signed_out)
}
