//! Signing in with a passkey, alone or as the second step, on a tenant's own host. An operator's
//! answer is sent to a route of the server, which creates the session.

use super::code_page::CODE_PAGE;
use crate::{
    account::{Ceremony, PasskeyForm, waiting},
    context::{self, HostKind, RequestContext},
    cookies::{BROWSER, PENDING},
    forms::{self, AppError},
};
use domain::{ErrorCode, Failure};
use leptos::prelude::*;

/// The value of `step` for the second step.
pub const SECOND: &str = "second";

/// Signs a tenant in with the browser's answer, alone or as the second step.
///
/// # Errors
/// The failures of `Auth::passkey_sign_in` and `Auth::passkey_second_factor`.
#[server(prefix = "/do", endpoint = "passkey_sign_in")]
pub async fn passkey_sign_in(
    #[server(default)] answer: String,
    #[server(default)] step: String,
) -> Result<(), AppError> {
    let is_second = step == SECOND;
    let done = async {
        let context = RequestContext::current()?;
        let HostKind::Tenant(host) = &context.host else {
            return Err(Failure::not_found());
        };
        let (control, client) = (context::control()?, context.client.clone());
        let auth = control.auth();
        let ticket = match is_second {
            true => {
                let waiting = waiting()?;
                auth.passkey_second_factor(&waiting, &answer, client).await
            }
            false => auth.passkey_sign_in(host, &answer, client).await,
        };
        Ok((ticket?, context))
    };
    match done.await {
        Ok((ticket, context)) => {
            PENDING.remove();
            BROWSER.set(ticket.browser.expose());
            forms::hand_over(&context, &ticket, "/");
            Ok(())
        }
        Err(f) if f.code == ErrorCode::SignInExpired => {
            PENDING.remove();
            forms::redirect(&forms::url_with("/sign-in", &[("error", f.code.as_str())]));
            Ok(())
        }
        Err(f) if is_second => Err(forms::refuse(f, CODE_PAGE, &[])),
        Err(f) => Err(forms::refuse(f, "/sign-in", &[])),
    }
}

/// The form of a sign-in with a passkey alone.
#[component]
pub fn PasskeySignIn() -> impl IntoView {
    view! {
        <PasskeyForm
            ceremony=Ceremony::SignIn
            action=action()
            submit="Sign in with a passkey"
            class="btn btn-lg"
        />
    }
}

/// The form of the second step.
#[component]
pub fn PasskeyStep() -> impl IntoView {
    view! {
        <PasskeyForm
            ceremony=Ceremony::SecondStep
            action=action()
            submit="Use a passkey"
            class="btn btn-p"
            hidden=vec![("step", SECOND.to_owned())]
        />
    }
}

fn action() -> &'static str {
    match RequestContext::with(|c| c.host == HostKind::Operator) {
        Ok(true) => "/operator/sign-in/passkey",
        _ => "/do/passkey_sign_in",
    }
}
