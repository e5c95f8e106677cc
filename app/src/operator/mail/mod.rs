//! The outbox: mail that waits or was given up, and what the forms do with it. Neither a mail's
//! text nor its link is shown: a link to a new password is its holder's.

mod list;

pub use list::MailPage;

use super::refused;
use crate::{
    context,
    forms::{self, AppError},
};
use domain::{Failure, OperatorPermission};
use leptos::prelude::*;

/// The address of the page.
const PATH: &str = "/mail";

/// Tries a mail now.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `Mail::retry`.
#[server(prefix = "/do", endpoint = "retry_mail")]
pub async fn retry_mail(id: i64) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control.mail().retry(operator.support()?, id).await
    }
    .await;
    done.map_err(|f| refused(f, PATH))?;
    forms::redirect("/mail?saved=retry");
    Ok(())
}

/// Removes a mail that was not sent.
///
/// # Errors
/// Signed out, `NotPermitted`, or the failures of `Mail::discard`.
#[server(prefix = "/do", endpoint = "discard_mail")]
pub async fn discard_mail(id: i64) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control.mail().discard(operator.owner()?, id).await
    }
    .await;
    done.map_err(|f| refused(f, PATH))?;
    forms::redirect("/mail?saved=discard");
    Ok(())
}

/// Returns `control` and the operator's permission. It is called before anything is
/// awaited.
fn ready() -> Result<(control::Control, OperatorPermission), Failure> {
    Ok((context::control()?, context::operator()?))
}
