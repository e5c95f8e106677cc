//! What the forms of the account's pages do, for tenants and operators. Each works by
//! a plain POST.

use super::presence::{Act, ask, finish};
use crate::{
    context::{self, RequestContext},
    cookies,
    forms::{self, AppError},
};
use domain::{Access, ErrorCode, Failure, Secret};
use leptos::prelude::*;

/// Replaces the password. Other sessions of the account end.
///
/// # Errors
/// The failures of `Account::change_password`.
#[server(prefix = "/do", endpoint = "change_password")]
pub async fn change_password(
    #[server(default)] password: String,
    #[server(default)] new_password: String,
) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        let from = RequestContext::with(|c| c.from)?;
        let (old, new) = (Secret::new(password), Secret::new(new_password));
        control
            .account()
            .change_password(&account, &old, &new, from)
            .await
    };
    done.await
        .map_err(|f| forms::refuse(f, "/account/password", &[]))?;
    forms::redirect("/account?saved=password");
    Ok(())
}

/// Confirms the authenticator app that `/account/two-step` showed, by a code of it.
///
/// # Errors
/// The failures of `Account::confirm_totp`.
#[server(prefix = "/do", endpoint = "confirm_two_step")]
pub async fn confirm_two_step(#[server(default)] code: String) -> Result<(), AppError> {
    const PAGE: &str = "/account/two-step";
    let done = async {
        let (control, account) = (context::control()?, context::enrolment()?);
        let from = RequestContext::with(|c| c.from)?;
        let handle = control.account();
        handle.confirm_totp(&account, &code, from).await?;
        // A holder who loses the phone needs them from now on.
        let security = handle.security(&account).await?;
        match security.recovery_codes_left {
            0 => handle.new_recovery_codes(&account).await.map(Some),
            _ => Ok(None),
        }
    };
    match done.await {
        Ok(Some(codes)) => {
            super::recovery_codes::show_next(&codes);
            forms::redirect("/account/recovery-codes?saved=two_step");
        }
        Ok(None) => forms::redirect("/account?saved=two_step"),
        Err(f) if f.code == ErrorCode::PresenceNeeded => ask(PAGE, None),
        Err(f) => return Err(forms::refuse(f, PAGE, &[])),
    }
    Ok(())
}

/// Switches two-step sign-in off.
///
/// # Errors
/// The failures of `Account::remove_totp`.
#[server(prefix = "/do", endpoint = "remove_two_step")]
pub async fn remove_two_step() -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        control.account().remove_totp(&account).await
    };
    let (page, then) = ("/account/two-step", "/account?saved=two_step_off");
    finish(done.await, page, Some(Act::RemoveTotp), then)
}

/// Makes new recovery codes, which the next page shows once.
///
/// # Errors
/// The failures of `Account::new_recovery_codes`.
#[server(prefix = "/do", endpoint = "make_recovery_codes")]
pub async fn make_recovery_codes() -> Result<(), AppError> {
    const PAGE: &str = "/account/recovery-codes";
    let made = async {
        let (control, account) = (context::control()?, context::account()?);
        control.account().new_recovery_codes(&account).await
    };
    let made = made
        .await
        .map(|codes| super::recovery_codes::show_next(&codes));
    finish(made, PAGE, Some(Act::NewRecoveryCodes), PAGE)
}

/// Stops showing the recovery codes, and goes on: to the first device after a sign-up,
/// else to the account.
///
/// # Errors
/// None.
#[server(prefix = "/do", endpoint = "recovery_codes_saved")]
pub async fn recovery_codes_saved(#[server(default)] first: String) -> Result<(), AppError> {
    cookies::RECOVERY_CODES.remove();
    forms::redirect(match first.as_str() {
        "1" => "/devices/new?first=1",
        _ => "/account?saved=recovery_codes",
    });
    Ok(())
}

/// Ends one of the account's sessions.
///
/// # Errors
/// The failures of `Account::end_session`.
#[server(prefix = "/do", endpoint = "end_session")]
pub async fn end_session(id: String) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        control.account().end_session(&account, &id).await
    };
    finish(done.await, "/account", None, "/account?saved=session")
}

/// Ends all sessions of the account but this one.
///
/// # Errors
/// The failures of `Account::end_other_sessions`.
#[server(prefix = "/do", endpoint = "end_other_sessions")]
pub async fn end_other_sessions() -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        let ended = control.account().end_other_sessions(&account);
        ended.await.map(drop)
    };
    finish(done.await, "/account", None, "/account?saved=sessions")
}

/// Makes an API token, which the next page shows once.
///
/// # Errors
/// The failures of `Auth::create_api_token`.
#[server(prefix = "/do", endpoint = "create_api_token")]
pub async fn create_api_token(
    #[server(default)] name: String,
    #[server(default)] access: String,
    #[server(default)] days: String,
) -> Result<(), AppError> {
    const PAGE: &str = "/account/tokens/new";
    let made = async {
        let (control, account) = (context::control()?, context::account()?);
        let presence = control.account().presence(&account).await?;
        let auth = control.auth();
        let by = auth.account_permission(&account).await?;
        let new = control::NewApiToken {
            name: name.clone(),
            access: match access.as_str() {
                "write" => Access::Write,
                _ => Access::Read,
            },
            days: days.trim().parse().unwrap_or_default(),
        };
        auth.create_api_token(&by, new, presence).await
    };
    let typed = [
        ("name", name.as_str()),
        ("access", access.as_str()),
        ("days", days.as_str()),
    ];
    match made.await {
        Ok(made) => {
            cookies::API_TOKEN.set(made.secret.expose());
            forms::redirect(PAGE);
            Ok(())
        }
        Err(f) if f.code == ErrorCode::PresenceNeeded => {
            ask(&forms::url_with(PAGE, &typed), None);
            Ok(())
        }
        Err(f) => Err(forms::refuse(f, PAGE, &typed)),
    }
}

/// Deletes an API token. It is refused from the next request on.
///
/// # Errors
/// The failures of `Auth::delete_api_token`.
#[server(prefix = "/do", endpoint = "delete_api_token")]
pub async fn delete_api_token(id: String) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        let auth = control.auth();
        let by = auth.account_permission(&account).await?;
        auth.delete_api_token(&by, &id).await
    };
    finish(done.await, "/account", None, "/account?saved=token")
}

/// Deletes the tenant's account, whose name was typed before, and redirects to the
/// landing page.
pub(super) async fn delete_now() -> Result<(), AppError> {
    let deleted = async {
        let context = RequestContext::current()?;
        let (control, account) = (context::control()?, context::account()?);
        control.account().delete_tenant(&account).await?;
        Ok::<_, Failure>(format!("{}://{}/", context.scheme, context.base))
    };
    let done = deleted.await;
    let landing = done.clone().unwrap_or_default();
    let done = done.map(drop);
    finish(done, "/account", Some(Act::DeleteAccount), &landing)
}
