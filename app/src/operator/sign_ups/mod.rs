//! Who may sign up: the mode, invitations, reserved names.

mod invitations;
mod list;
mod mode;
mod page;
mod reserved;

pub use page::SignUpsPage;

use super::{refused, refused_with};
use crate::{
    context,
    cookies::INVITATION,
    forms::{self, AppError},
};
use domain::{
    ErrorCode, Failure, InvitationId, InvitationTerms, Message, OperatorPermission, SignUpMode,
};
use leptos::prelude::*;

/// The page with all of it.
const PATH: &str = "/sign-ups";
/// In the form of the mode: what the configuration says.
const CONFIGURED: &str = "configured";

/// Sets who may sign up.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `SignUps::set_mode`.
#[server(prefix = "/do", endpoint = "set_sign_up_mode")]
pub async fn set_sign_up_mode(#[server(default)] mode: String) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let mode = match mode.as_str() {
            CONFIGURED => None,
            text => Some(SignUpMode::parse(text).ok_or_else(|| {
                let code = ErrorCode::ChoiceUnknown;
                Failure::new(code, Message::FormIncomplete)
            })?),
        };
        control.sign_ups().set_mode(operator.owner()?, mode).await
    }
    .await;
    done.map_err(|f| refused(f, PATH))?;
    forms::redirect(PATH);
    Ok(())
}

/// Makes an invitation. The next page shows its link once.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `SignUps::create`.
#[server(prefix = "/do", endpoint = "create_invitation")]
pub async fn create_invitation(
    #[server(default)] plan: String,
    #[server(default)] uses: String,
    #[server(default)] lifetime: String,
    #[server(default)] note: String,
) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        // What is no number is out of range.
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        let terms = InvitationTerms {
            plan: (!plan.is_empty()).then(|| plan.clone()),
            uses: number(&uses),
            hours: number(&lifetime),
            note: note.trim().to_owned(),
        };
        let sign_ups = control.sign_ups();
        sign_ups.create(operator.support()?, &terms, 1).await
    }
    .await;
    let typed = [
        ("plan", plan.as_str()),
        ("uses", &uses),
        ("lifetime", &lifetime),
        ("note", &note),
    ];
    let made = done.map_err(|f| refused_with(f, PATH, &typed))?;
    if let Some(made) = made.first() {
        INVITATION.set(made.code.expose());
    }
    forms::redirect(&format!("{PATH}#invitations"));
    Ok(())
}

/// Revokes an invitation.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `SignUps::revoke`.
#[server(prefix = "/do", endpoint = "revoke_invitation")]
pub async fn revoke_invitation(id: i64) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let sign_ups = control.sign_ups();
        sign_ups.revoke(operator.support()?, InvitationId(id)).await
    }
    .await;
    done.map_err(|f| refused(f, PATH))?;
    forms::redirect(&format!("{PATH}#invitations"));
    Ok(())
}

/// Reserves names, which blanks, commas or line ends separate.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `SignUps::reserve`.
#[server(prefix = "/do", endpoint = "reserve_names")]
pub async fn reserve_names(#[server(default)] names: String) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let parts = names.split([',', ' ', '\n', '\r', '\t']);
        let parts = parts.filter(|n| !n.is_empty()).map(str::to_owned);
        let parts: Vec<String> = parts.collect();
        let sign_ups = control.sign_ups();
        sign_ups.reserve(operator.owner()?, &parts).await
    }
    .await;
    done.map_err(|f| refused_with(f, PATH, &[("names", &names)]))?;
    forms::redirect(&format!("{PATH}#names-card"));
    Ok(())
}

/// Releases a name that an operator has reserved.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `SignUps::release`.
#[server(prefix = "/do", endpoint = "release_name")]
pub async fn release_name(#[server(default)] name: String) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control.sign_ups().release(operator.owner()?, &name).await
    }
    .await;
    done.map_err(|f| refused(f, PATH))?;
    forms::redirect(&format!("{PATH}#names-card"));
    Ok(())
}

/// Returns `control` and the operator's permission. It is called before anything is
/// awaited.
fn ready() -> Result<(control::Control, OperatorPermission), Failure> {
    Ok((context::control()?, context::operator()?))
}
