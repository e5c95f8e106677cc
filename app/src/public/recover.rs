//! `/recover`: a forgotten password is replaced with a recovery code.

use crate::{
    account::{AccountForm, FormContent, Input},
    context::{self, HostKind, RequestContext},
    forms::{self, AppError},
    ui::Centered,
};
use domain::Secret;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The address of the page.
const PAGE: &str = "/recover";

/// Sets a new password with a recovery code, which is used up. On a tenant's host the
/// host decides the name, not the form.
///
/// # Errors
/// The failures of `Account::recover`.
#[server(prefix = "/do", endpoint = "recover")]
pub async fn recover(
    #[server(default)] name: String,
    #[server(default)] code: String,
    #[server(default)] new_password: String,
) -> Result<(), AppError> {
    let done = async {
        let context = RequestContext::current()?;
        let (is_operator, name) = match &context.host {
            HostKind::Base => (false, name.clone()),
            HostKind::Tenant(host) => (false, host.to_string()),
            HostKind::Operator => (true, name.clone()),
        };
        let new = Secret::new(new_password);
        context::control()?
            .account()
            .recover(is_operator, &name, &code, &new, context.from)
            .await
    };
    done.await
        .map_err(|f| forms::refuse(f, PAGE, &[("name", &name)]))?;
    let query = [("notice", "password"), ("name", name.as_str())];
    forms::redirect(&forms::url_with("/sign-in", &query));
    Ok(())
}

/// Asks for the name where the host does not say it, a recovery code and a new password.
#[component]
pub fn RecoverPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let host = RequestContext::with(|c| c.host.clone()).ok();
    let is_operator = host == Some(HostKind::Operator);
    let fixed = match &host {
        Some(HostKind::Tenant(name)) => Some(name.to_string()),
        _ => None,
    };
    let has_mail = context::control().is_ok_and(|control| control.mail().is_set_up());
    let mut inputs = vec![
        (Input::RecoveryCode, "Recovery code".to_owned()),
        (Input::NewPassword, "New password".to_owned()),
    ];
    if fixed.is_none() {
        inputs.insert(0, (Input::Name, "Name".to_owned()));
    }
    let asked = FormContent {
        action: "/do/recover".to_owned(),
        inputs,
        hidden: Vec::new(),
        submit: "Set the new password".to_owned(),
        waiting: "Checking …".to_owned(),
        is_danger: false,
        name: fixed.or_else(|| query.get("name")).unwrap_or_default(),
    };
    view! {
        <Centered title="Forgot your password?">
            <div>
                <h1 class="text-2xl">"Forgot your password?"</h1>
                <p class="s">"One of your recovery codes allows you to set a new one."</p>
            </div>
            <AccountForm asked=asked failure=failure/>
            {has_mail.then(|| view! {
                <p class="s">
                    "No recovery code? "
                    <a class="link" href="/forgot">"Get a link by mail"</a>
                </p>
            })}
            <p class="s">
                {if is_operator {
                    "No recovery code? \u{201c}maliknode operator reset\u{201d} on the server makes a new password."
                } else {
                    "No recovery code? Ask your provider for a reset link."
                }}
            </p>
            <p class="s"><a class="link" href="/sign-in">"Back to the sign-in"</a></p>
        </Centered>
    }
}
