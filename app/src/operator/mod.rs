//! The operator's pages: problems, figures, the tenants, the plans, who uses what, the
//! nodes, the logs. They are plain pages and forms and need no script.

mod attention;
pub mod audit;
pub mod checks;
mod figures;
mod listing;
mod logs;
pub mod look;
pub mod mail;
pub mod nodes;
pub mod operators;
pub mod page;
pub mod plans;
pub mod reset_link;
pub mod sign_ups;
pub mod tenant_plan;
mod tenants;
pub mod usage;
pub mod welcome;

use crate::{
    context,
    forms::{self, AppError},
};
use domain::{Failure, TenantId, TenantScope};
use leptos::prelude::*;

/// Suspends a tenant (tunnel and DNS are removed, the data remains) or resumes it.
///
/// # Errors
/// Signed out, or the tenant does not exist.
#[server(prefix = "/do", endpoint = "suspend_tenant")]
pub async fn suspend_tenant(id: i64, suspended: bool) -> Result<(), AppError> {
    let done = async {
        let operator = context::operator()?;
        let (control, scope) = acting_for(id).await?;
        let tenants = control.tenants();
        tenants
            .set_suspended(operator.support()?, &scope, suspended)
            .await
    }
    .await;
    done.map_err(|f| refused(f, "/"))?;
    forms::redirect("/");
    Ok(())
}

/// Deletes a tenant with all its data.
///
/// # Errors
/// Signed out, or the tenant does not exist.
#[server(prefix = "/do", endpoint = "operator_delete_tenant")]
pub async fn operator_delete_tenant(id: i64) -> Result<(), AppError> {
    let done = async {
        let operator = context::operator()?;
        let (control, scope) = acting_for(id).await?;
        let tenants = control.tenants();
        tenants.operator_delete(operator.owner()?, &scope).await
    }
    .await;
    done.map_err(|f| refused(f, "/"))?;
    forms::redirect("/");
    Ok(())
}

/// Returns the permission to act for a tenant, from the operator's own. It exists on
/// the operator's host only: requests to other hosts carry no operator's permission.
async fn acting_for(id: i64) -> Result<(control::Control, TenantScope), Failure> {
    let (control, operator) = (context::control()?, context::operator()?);
    let scope = control
        .auth()
        .operator_tenant(operator.support()?, TenantId(id))
        .await?;
    Ok((control, scope))
}

/// Redirects to the sign-in if the operator is signed out; any other failure is
/// shown on `page`.
fn refused(failure: Failure, page: &str) -> AppError {
    refused_with(failure, page, &[])
}

/// Does what [`refused`] does, and returns what was typed.
fn refused_with(failure: Failure, page: &str, typed: &[(&str, &str)]) -> AppError {
    if failure.code == domain::ErrorCode::SignedOut {
        forms::refuse(failure, "/sign-in", &[])
    } else {
        forms::refuse(failure, page, typed)
    }
}
