//! The only place where a session becomes the permission of a request.
//!
//! It reads the session behind the cookie and asks `control` for the permission,
//! with the kind of host that was asked: a session of another kind of host is
//! nothing here. Which sessions are valid is decided there (`Auth`).

use super::session::{self, Holder};
use crate::web::{
    errors,
    hosts::{self, RequestInfo, VirtualHost},
    state::WebState,
};
use app::context::{HostKind, RequestContext};
use axum::{
    Extension,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use control::TenantSession;
use domain::{Failure, OperatorScope, TenantScope};
use tower_sessions::Session;

/// The permission of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Only what is public.
    Nothing,
    /// Acting for a tenant, on the dashboard's host.
    Dashboard(TenantScope),
    /// Using a tenant's AdGuard Home, on its host; no page of the dashboard.
    Dns(TenantScope),
    /// Running the installation.
    Operator(OperatorScope),
}

impl Granted {
    /// Returns the tenant whose dashboard this is.
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

/// Returns the permission of this session on this host.
///
/// # Errors
/// The database does not answer; a session stays signed in then.
pub async fn granted(
    info: &RequestInfo,
    session: &Session,
    state: &WebState,
) -> Result<Granted, Failure> {
    let Some((holder, begun)) = session::holder(session).await? else {
        return Ok(Granted::Nothing);
    };
    let auth = state.control.auth();
    let granted = match (&info.host, &holder) {
        (VirtualHost::Tenant(host), Holder::Dashboard { id, name }) => {
            let session = TenantSession {
                tenant: *id,
                name,
                begun,
            };
            let scope = auth.dashboard_session(host, session).await?;
            scope.map(Granted::Dashboard)
        }
        (VirtualHost::Dns(host), Holder::Dns { id, name, parent }) => {
            let session = TenantSession {
                tenant: *id,
                name,
                begun,
            };
            let scope = auth.dns_session(host, session, parent).await?;
            scope.map(Granted::Dns)
        }
        (VirtualHost::Operator, Holder::Operator { name, proof }) => {
            let scope = auth.operator_session(name, proof, begun).await?;
            scope.map(Granted::Operator)
        }
        _ => None,
    };
    Ok(granted.unwrap_or(Granted::Nothing))
}

/// Determines the permission and adds it to the request; for the pages as their
/// context.
pub async fn grant(
    State(state): State<WebState>,
    Extension(info): Extension<RequestInfo>,
    session: Session,
    mut request: Request,
    next: Next,
) -> Response {
    let granted = match granted(&info, &session, &state).await {
        Ok(granted) => granted,
        Err(f) => return errors::failure(&f),
    };
    // Without a session only, so that a page costs no further query.
    if granted == Granted::Nothing
        && let VirtualHost::Tenant(name) | VirtualHost::Dns(name) = &info.host
    {
        match state.control.tenants().is_name_taken(name).await {
            Ok(true) => {}
            Ok(false) => return hosts::unknown_host(&state.site),
            Err(f) => return errors::failure(&f),
        }
    }
    let host = match &info.host {
        VirtualHost::Base => Some(HostKind::Base),
        VirtualHost::Tenant(name) => Some(HostKind::Tenant(name.clone())),
        VirtualHost::Operator => Some(HostKind::Operator),
        VirtualHost::Dns(_) | VirtualHost::Api => None,
    };
    if let Some(host) = host {
        request.extensions_mut().insert(RequestContext {
            host,
            base: state.site.base.to_string(),
            scheme: info.scheme,
            tenant: granted.dashboard().ok().cloned(),
            operator: match &granted {
                Granted::Operator(scope) => Some(scope.clone()),
                _ => None,
            },
            from: info.client,
        });
    }
    request.extensions_mut().insert(granted);
    next.run(request).await
}
