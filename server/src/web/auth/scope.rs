//! The only place where a session becomes the permission of a request.
//!
//! It reads the session behind the cookie and asks `control` for the permission,
//! with the kind of host that was asked: a session of another kind of host is
//! nothing here. Which sessions are valid is decided there (`Auth`).

use super::{client::sign_in_client, session};
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
use control::{AccountScope, Audience, FactorScope, LookingIn, TenantSession};
use domain::{
    Failure, OperatorAdmission, OperatorPermission, TenantHolderScope, TenantId, TenantName,
    TenantPermission, TenantReadScope,
};
use store::{SessionDetails, SessionKey, TicketHolder};
use tower_sessions::Session;

/// The permission of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Only what is public.
    Nothing,
    /// A tenant, on the dashboard's host.
    Dashboard(TenantHolderScope),
    /// An operator who looks in, on the dashboard's host.
    Look(TenantPermission, LookingIn),
    /// Using a tenant's AdGuard Home, on its host; no page of the dashboard.
    Dns(TenantHolderScope),
    /// Running the installation; for an owner without a second factor only the right to add one.
    Operator(OperatorAdmission),
}

impl Granted {
    /// Returns the tenant whose session it is, or at whom an operator looks.
    pub fn tenant(&self) -> Option<&TenantReadScope> {
        match self {
            Self::Dashboard(scope) | Self::Dns(scope) => Some(scope),
            Self::Look(permission, _) => Some(permission),
            Self::Nothing | Self::Operator(_) => None,
        }
    }

    /// Returns the tenant whose dashboard this is, to read.
    ///
    /// # Errors
    /// [`domain::ErrorCode::SignedOut`].
    pub fn dashboard(&self) -> Result<&TenantReadScope, Failure> {
        match self {
            Self::Dashboard(scope) => Ok(scope),
            Self::Look(permission, _) => Ok(permission),
            _ => Err(Failure::signed_out()),
        }
    }

    /// Returns the tenant's own permission, on its dashboard.
    ///
    /// # Errors
    /// [`domain::ErrorCode::SignedOut`]; [`domain::ErrorCode::NotPermitted`] for an operator who
    /// looks in.
    pub fn holder(&self) -> Result<&TenantHolderScope, Failure> {
        match self {
            Self::Dashboard(scope) => Ok(scope),
            Self::Look(permission, _) => permission.holder(),
            _ => Err(Failure::signed_out()),
        }
    }

    /// Returns the permission to run the installation.
    ///
    /// # Errors
    /// [`domain::ErrorCode::SignedOut`]; [`domain::ErrorCode::SecondFactorRequired`] for an owner
    /// without one.
    pub fn operator(&self) -> Result<&OperatorPermission, Failure> {
        match self {
            Self::Operator(admission) => admission.permission(),
            _ => Err(Failure::signed_out()),
        }
    }

    /// Returns the permission for a tenant's pages.
    fn pages(&self) -> Option<TenantPermission> {
        match self {
            Self::Dashboard(scope) => Some(TenantPermission::Holder(scope.clone())),
            Self::Look(permission, _) => Some(permission.clone()),
            _ => None,
        }
    }

    /// Returns the look, if an operator looks in.
    pub fn look(&self) -> Option<&LookingIn> {
        match self {
            Self::Look(_, look) => Some(look),
            _ => None,
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
    let Some(details) = session::details(session).await? else {
        return Ok(Granted::Nothing);
    };
    let auth = state.control.auth();
    let origin = || control::address_prefix(info.client);
    let of_tenant = || {
        let TicketHolder::Tenant(tenant) = details.holder else {
            return None;
        };
        let name = TenantName::parse(&details.name).ok()?;
        Some((tenant, name))
    };
    let granted = match (&info.host, Audience::parse(&details.audience)) {
        (VirtualHost::Tenant(host), Some(Audience::Dashboard)) => {
            let Some((tenant, name)) = of_tenant() else {
                return Ok(Granted::Nothing);
            };
            let session = tenant_session(tenant, &name, &details);
            let scope = auth.dashboard_session(host, session).await?;
            scope.map(|scope| Granted::Dashboard(scope.with_origin(origin())))
        }
        (VirtualHost::Tenant(host), Some(Audience::LookIn)) => {
            let found = auth.look_session(host, &details).await?;
            found.map(|(permission, look)| Granted::Look(permission.with_origin(origin()), look))
        }
        (VirtualHost::Dns(host), Some(Audience::Dns)) => {
            let (Some((tenant, name)), Some(parent)) = (of_tenant(), &details.parent) else {
                return Ok(Granted::Nothing);
            };
            let session = tenant_session(tenant, &name, &details);
            let scope = auth.dns_session(host, session, parent).await?;
            scope.map(|scope| Granted::Dns(scope.with_origin(origin())))
        }
        (VirtualHost::Operator, Some(Audience::Operator)) => {
            let (name, proof) = (&details.name, &details.proof);
            let scope = auth.operator_session(name, proof, details.begun).await?;
            scope.map(|admission| Granted::Operator(admission.with_origin(origin())))
        }
        _ => None,
    };
    Ok(granted.unwrap_or(Granted::Nothing))
}

fn tenant_session<'a>(
    tenant: TenantId,
    name: &'a TenantName,
    details: &'a SessionDetails,
) -> TenantSession<'a> {
    TenantSession {
        tenant,
        name,
        begun: details.begun,
        proof: &details.proof,
        stays: details.stays,
    }
}

/// Returns the permission for the own account, in this session; for an owner without a second
/// factor in its place the one to add it.
fn account(
    granted: &Granted,
    session: &Session,
    state: &WebState,
) -> (Option<AccountScope>, Option<FactorScope>) {
    let Some(id) = session.id() else {
        return (None, None);
    };
    let (key, auth) = (SessionKey::of(&id), state.control.auth());
    match granted {
        Granted::Dashboard(scope) => (Some(auth.tenant_account(scope, key)), None),
        Granted::Operator(OperatorAdmission::Admitted(permission)) => {
            (Some(auth.operator_account(permission, key)), None)
        }
        Granted::Operator(OperatorAdmission::FactorNeeded(owner)) => {
            (None, Some(auth.owner_enrolment(owner, key)))
        }
        Granted::Nothing | Granted::Look(..) | Granted::Dns(_) => (None, None),
    }
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
        let client = sign_in_client(&info, request.headers());
        let (account, enrolment) = account(&granted, &session, &state);
        request.extensions_mut().insert(RequestContext {
            host,
            base: state.site.base.to_string(),
            scheme: info.scheme,
            tenant: granted.pages(),
            look: granted.look().cloned(),
            operator: match &granted {
                Granted::Operator(scope) => Some(scope.clone()),
                _ => None,
            },
            account,
            enrolment,
            privacy_notice: state.site.privacy_notice.clone(),
            client,
            from: info.client,
        });
    }
    let tenant = granted.tenant().map(TenantReadScope::tenant);
    request.extensions_mut().insert(granted);
    let mut response = next.run(request).await;
    if let Some(tenant) = tenant {
        // For the log.
        response.extensions_mut().insert(tenant);
    }
    response
}
