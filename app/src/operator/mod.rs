//! The operator's pages: what needs attention, the tenants, the audit log.
//! Plain pages and forms: nothing here needs a script.

pub mod page;
mod tenants;

use crate::{
    context,
    forms::{self, AppError},
};
use domain::{Failure, TenantId, TenantScope};
use leptos::prelude::*;

/// Suspends a tenant (its tunnel and DNS go, its data stays) or lets it on
/// again.
///
/// # Errors
/// Signed out, or no such tenant.
#[server(endpoint = "suspend_tenant")]
pub async fn suspend_tenant(id: i64, suspended: bool) -> Result<(), AppError> {
    let done = async {
        let (control, scope) = acting_for(id).await?;
        control.set_suspended(&scope, suspended).await
    }
    .await;
    done.map_err(|f| refused(f, "/"))?;
    forms::go("/");
    Ok(())
}

/// Deletes a tenant with everything that belongs to it.
///
/// # Errors
/// Signed out, or no such tenant.
#[server(endpoint = "operator_delete_tenant")]
pub async fn operator_delete_tenant(id: i64) -> Result<(), AppError> {
    let done = async {
        let (control, scope) = acting_for(id).await?;
        control.delete_tenant(&scope).await
    }
    .await;
    done.map_err(|f| refused(f, "/"))?;
    forms::go("/");
    Ok(())
}

/// The permission to act for a tenant, from the operator's own. Only on the
/// operator's host: elsewhere no request carries an operator's permission.
async fn acting_for(id: i64) -> Result<(control::Control, TenantScope), Failure> {
    let (control, operator) = (context::control()?, context::operator()?);
    let scope = control.operator_tenant(&operator, TenantId(id)).await?;
    Ok((control, scope))
}

/// Whoever is signed out is asked to sign in; all else is told on `page`.
fn refused(failure: Failure, page: &str) -> AppError {
    if failure.code == domain::ErrorCode::SignedOut {
        forms::refuse(failure, "/sign-in", &[])
    } else {
        forms::refuse(failure, page, &[])
    }
}
