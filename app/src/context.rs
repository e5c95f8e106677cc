//! The context of a request: its host and the signed-in account. The server's
//! middleware builds it once and stores it in the request's extensions; pages and
//! server functions read it from there.

use control::{AccountScope, Control, FactorScope, LookingIn, SignInClient};
use domain::{
    ErrorCode, Failure, Message, OperatorAdmission, OperatorPermission, TenantName,
    TenantPermission, TenantReadScope, TenantScope,
};
use leptos::prelude::{use_context, with_context};
use std::net::IpAddr;
use texts::Texts;

/// The kind of host a request is for. Requests for `<name>-dns` and `api` hosts do
/// not reach the pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// `<base>`: landing, plans, sign-up.
    Base,
    /// `<name>.<base>`: a tenant's dashboard.
    Tenant(TenantName),
    /// `admin.<base>`: the operator's pages.
    Operator,
}

/// The context of one request.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The host the request is for.
    pub host: HostKind,
    /// The base domain with its port as in a browser, e.g. `localhost:8085`.
    pub base: String,
    /// The browser's scheme, `http` or `https`.
    pub scheme: &'static str,
    /// The permission for the tenant whose session this is, or at whom an operator looks, if
    /// there is one on this host.
    pub tenant: Option<TenantPermission>,
    /// The look, if an operator looks in.
    pub look: Option<LookingIn>,
    /// What the operator has whose session this is, on the operator's host only.
    pub operator: Option<OperatorAdmission>,
    /// The own account of whom the session is, if it may be changed in this session.
    pub account: Option<AccountScope>,
    /// The permission to add a second factor, in place of `account`, for an owner who has none.
    pub enrolment: Option<FactorScope>,
    /// The address of the operator's own privacy notice.
    pub privacy_notice: Option<String>,
    /// The client, as a sign-in names it.
    pub client: SignInClient,
    /// The client's address, also behind a trusted proxy.
    pub from: IpAddr,
}

impl RequestContext {
    /// Returns `<scheme>://<sub>.<base><path>`.
    pub fn url(&self, sub: &str, path: &str) -> String {
        format!("{}://{sub}.{}{path}", self.scheme, self.base)
    }

    /// Returns the context of the current request.
    ///
    /// # Errors
    /// [`domain::ErrorCode::Internal`] outside a request, which is a bug.
    pub fn current() -> Result<Self, Failure> {
        Self::with(Self::clone)
    }

    /// Calls `read` with the context of the current request, without a copy:
    /// `use_context` would clone every header first.
    ///
    /// # Errors
    /// As [`Self::current`].
    pub fn with<T>(read: impl FnOnce(&Self) -> T) -> Result<T, Failure> {
        with_context(|parts: &http::request::Parts| parts.extensions.get::<Self>().map(read))
            .flatten()
            .ok_or_else(|| Failure::new(ErrorCode::Internal, Message::RequestWithoutContext))
    }
}

/// Returns the texts in the language that the current request prefers; English
/// outside a request.
pub fn texts() -> &'static Texts {
    with_context(|parts: &http::request::Parts| {
        let preferred = parts.headers.get(http::header::ACCEPT_LANGUAGE)?;
        preferred.to_str().ok().map(texts::preferred)
    })
    .flatten()
    .unwrap_or_else(texts::english)
}

/// Returns `control` from the server's context.
///
/// # Errors
/// [`domain::ErrorCode::Internal`] if the server did not provide it, which is a
/// bug.
pub fn control() -> Result<Control, Failure> {
    use_context::<Control>()
        .ok_or_else(|| Failure::new(ErrorCode::Internal, Message::ServerStarting))
}

/// Returns the permission to change what the signed-in tenant has.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`] without a session; [`domain::ErrorCode::NotPermitted`] for an
/// operator who looks in and may not change anything.
pub fn tenant() -> Result<TenantScope, Failure> {
    permission()?.change().cloned()
}

/// Returns the permission to read what the signed-in tenant sees, also for an operator who looks
/// in.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`] without a session.
pub fn tenant_view() -> Result<TenantReadScope, Failure> {
    Ok(TenantReadScope::clone(&*permission()?))
}

/// Returns the permission for the signed-in tenant.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`] without a session.
pub fn permission() -> Result<TenantPermission, Failure> {
    RequestContext::with(|c| c.tenant.clone())?.ok_or_else(Failure::signed_out)
}

/// Returns the signed-in operator's permission.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`] without a session;
/// [`domain::ErrorCode::SecondFactorRequired`] for an owner without one.
pub fn operator() -> Result<OperatorPermission, Failure> {
    let admission = RequestContext::with(|c| c.operator.clone())?;
    let admission = admission.ok_or_else(Failure::signed_out)?;
    admission.permission().cloned()
}

/// Returns the permission to add a second factor to the own account.
///
/// # Errors
/// As [`account`]; but an owner without a second factor has it.
pub fn enrolment() -> Result<FactorScope, Failure> {
    match RequestContext::with(|c| c.enrolment.clone())? {
        Some(enrolment) => Ok(enrolment),
        None => account().map(|account| FactorScope::clone(&account)),
    }
}

/// Returns the permission for the own account.
///
/// # Errors
/// [`domain::ErrorCode::SignedOut`] without a session; [`domain::ErrorCode::NotPermitted`] for an
/// operator who looks in; [`domain::ErrorCode::SecondFactorRequired`] for an owner without one.
pub fn account() -> Result<AccountScope, Failure> {
    let (account, tenant) = RequestContext::with(|c| (c.account.clone(), c.tenant.clone()))?;
    if account.is_none() && RequestContext::with(|c| c.enrolment.is_some())? {
        return Err(Failure::second_factor_required());
    }
    match (account, tenant) {
        (Some(account), _) => Ok(account),
        (None, Some(tenant)) => Err(tenant.holder().err().unwrap_or_else(Failure::signed_out)),
        (None, None) => Err(Failure::signed_out()),
    }
}
