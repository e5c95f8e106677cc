//! The one place where a session becomes a permission.
//!
//! Invariant: nothing else in this program issues a [`TenantScope`] or an
//! [`OperatorScope`] for a request. A session is good on the host it was made
//! on and nowhere else: audience, tenant's id and name must all fit, the tenant
//! must be there, and what the session came from must still hold: the
//! dashboard's session for AdGuard Home's, the password for an operator's.

use crate::web::{
    WebState, errors,
    host::{self, Asked, Asking},
    session,
};
use app::context::{HostKind, RequestContext};
use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use domain::{Failure, OperatorScope, TenantScope};
use session::Holder;
use tower_sessions::Session;

/// What a request may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// What anybody may.
    Nothing,
    /// Act for a tenant, on the dashboard's host.
    Dashboard(TenantScope),
    /// Use a tenant's AdGuard Home, on its host. Opens no page of ours.
    Dns(TenantScope),
    /// Run the installation.
    Operator(OperatorScope),
}

impl Granted {
    /// The tenant of a dashboard.
    ///
    /// # Errors
    /// [`domain::ErrorCode::SignedOut`].
    pub fn dashboard(&self) -> Result<&TenantScope, Failure> {
        match self {
            Self::Dashboard(scope) => Ok(scope),
            _ => Err(Failure::signed_out()),
        }
    }
}

/// What this session may do on this host.
///
/// # Errors
/// Where the database does not answer: then nobody is signed out for it.
pub async fn granted(
    asking: &Asking,
    session: &Session,
    state: &WebState,
) -> Result<Granted, Failure> {
    let control = &state.control;
    let Some(holder) = session::holder(session).await? else {
        return Ok(Granted::Nothing);
    };
    match (&asking.asked, holder) {
        (Asked::Tenant(host), Holder::Dashboard { id, name })
            if *host == name && control.tenant_exists(id, host).await? =>
        {
            Ok(Granted::Dashboard(TenantScope::issue(
                id,
                name,
                host.as_str(),
            )))
        }
        (Asked::Dns(host), Holder::Dns { id, name, parent })
            if *host == name
                && session::is_kept(&state.sessions, &parent).await?
                && control.tenant_exists(id, host).await? =>
        {
            Ok(Granted::Dns(TenantScope::issue(id, name, host.as_str())))
        }
        (Asked::Operator, Holder::Operator { name, proof })
            if control.operator_holds(&name, &proof).await? =>
        {
            Ok(Granted::Operator(OperatorScope::issue(name)))
        }
        _ => Ok(Granted::Nothing),
    }
}

/// Finds the permission out and hands it on; to the pages as their context.
pub async fn grant(
    State(state): State<WebState>,
    Extension(asking): Extension<Asking>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    let granted = match granted(&asking, &session, &state).await {
        Ok(granted) => granted,
        Err(f) => return errors::failure(&f),
    };
    // Only where nobody is signed in, so that it costs no page a query more.
    if granted == Granted::Nothing
        && let Asked::Tenant(name) | Asked::Dns(name) = &asking.asked
    {
        match state.control.is_name_taken(name).await {
            Ok(true) => {}
            Ok(false) => return host::unknown(&state.site),
            Err(f) => return errors::failure(&f),
        }
    }
    let host = match &asking.asked {
        Asked::Base => Some(HostKind::Base),
        Asked::Tenant(name) => Some(HostKind::Tenant(name.clone())),
        Asked::Operator => Some(HostKind::Operator),
        Asked::Dns(_) | Asked::Api => None,
    };
    if let Some(host) = host {
        request.extensions_mut().insert(RequestContext {
            host,
            base: state.site.base.to_string(),
            scheme: asking.scheme,
            tenant: granted.dashboard().ok().cloned(),
            operator: match &granted {
                Granted::Operator(scope) => Some(scope.clone()),
                _ => None,
            },
            from: asking.from,
        });
    }
    request.extensions_mut().insert(granted);
    next.run(request).await
}
