//! The operators: who there is, with which role, and what the forms do.

mod list;

pub use list::OperatorsPage;

use super::{refused, refused_with};
use crate::{
    context,
    cookies::OPERATOR_LINK,
    forms::{self, AppError},
};
use domain::{ErrorCode, Failure, Field, Message, OperatorRole, OwnerScope};
use leptos::prelude::*;

const PAGE: &str = "/operators";

/// Invites an operator. The next page shows the link once.
///
/// # Errors
/// Signed out, not an owner, or the failures of `Operators::invite`.
#[server(prefix = "/do", endpoint = "invite_operator")]
pub async fn invite_operator(
    #[server(default)] name: String,
    #[server(default)] role: String,
) -> Result<(), AppError> {
    let done = async {
        let (control, owner) = ready()?;
        let operators = control.operators();
        operators.invite(&owner, &name, parsed(&role)?).await
    }
    .await;
    let typed = [("name", name.as_str()), ("role", role.as_str())];
    let link = done.map_err(|f| refused_with(f, PAGE, &typed))?;
    // Neither part has a tilde.
    let value = format!("{}~{}", name.trim(), link.token.expose());
    OPERATOR_LINK.set(&value);
    forms::redirect(PAGE);
    Ok(())
}

/// Gives an operator another role.
///
/// # Errors
/// Signed out, not an owner, or the failures of `Operators::set_role`.
#[server(prefix = "/do", endpoint = "set_operator_role")]
pub async fn set_operator_role(
    #[server(default)] name: String,
    #[server(default)] role: String,
) -> Result<(), AppError> {
    let done = async {
        let (control, owner) = ready()?;
        let operators = control.operators();
        operators.set_role(&owner, &name, parsed(&role)?).await
    }
    .await;
    done.map_err(|f| refused(f, PAGE))?;
    forms::redirect(PAGE);
    Ok(())
}

/// Removes an operator or withdraws an invitation.
///
/// # Errors
/// Signed out, not an owner, or the failures of `Operators::remove`.
#[server(prefix = "/do", endpoint = "remove_operator")]
pub async fn remove_operator(#[server(default)] name: String) -> Result<(), AppError> {
    let done = async {
        let (control, owner) = ready()?;
        control.operators().remove(&owner, &name).await
    }
    .await;
    done.map_err(|f| refused(f, PAGE))?;
    forms::redirect(PAGE);
    Ok(())
}

/// Returns `control` and the owner's permission. It is called before anything is awaited.
fn ready() -> Result<(control::Control, OwnerScope), Failure> {
    Ok((context::control()?, context::operator()?.owner()?.clone()))
}

fn parsed(role: &str) -> Result<OperatorRole, Failure> {
    let unknown = || Failure::at(Field::Role, ErrorCode::RoleUnknown, Message::RoleUnknown);
    OperatorRole::parse(role).ok_or_else(unknown)
}
