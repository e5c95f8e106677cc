//! `/forgot`: a link to a new password is sent by mail. What the page says does not depend on
//! whether there is such an account or address.

use crate::{
    account::{AccountForm, FormContent, Input},
    context::{self, HostKind, RequestContext},
    forms::{self, AppError},
    ui::Centered,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The address of the page.
const PAGE: &str = "/forgot";

/// Has a link sent to the account's mail address. On a tenant's host the host decides the
/// name, not the form.
///
/// # Errors
/// The failures of `Mail::forgot_password`.
#[server(prefix = "/do", endpoint = "forgot_password")]
pub async fn forgot_password(#[server(default)] name: String) -> Result<(), AppError> {
    let done = async {
        let context = RequestContext::current()?;
        let (is_operator, name) = match &context.host {
            HostKind::Base => (false, name.clone()),
            HostKind::Tenant(host) => (false, host.to_string()),
            HostKind::Operator => (true, name.clone()),
        };
        let control = context::control()?;
        control
            .mail()
            .forgot_password(is_operator, &name, context.from)
            .await
    };
    done.await
        .map_err(|f| forms::refuse(f, PAGE, &[("name", &name)]))?;
    forms::redirect("/forgot?sent=1");
    Ok(())
}

/// Asks for the name where the host does not say it, or says that a link may be on its way.
#[component]
pub fn ForgotPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    if !context::control().is_ok_and(|control| control.mail().is_set_up()) {
        forms::redirect("/recover");
        return ().into_any();
    }
    let fixed = RequestContext::with(|c| match &c.host {
        HostKind::Tenant(name) => Some(name.to_string()),
        _ => None,
    });
    let fixed = fixed.unwrap_or_default();
    let body = match query.get("sent").is_some() && failure.is_none() {
        true => view! {
            <p role="status" class="banner">
                "If there is such an account with a mail address, a link is on its way to it. It works for an hour."
            </p>
            <p class="s">"No mail? Look among the unwanted ones, or ask your provider."</p>
        }
        .into_any(),
        false => {
            let inputs = match fixed.is_none() {
                true => vec![(Input::Name, "Name".to_owned())],
                false => Vec::new(),
            };
            let asked = FormContent {
                action: "/do/forgot_password".to_owned(),
                inputs,
                hidden: Vec::new(),
                submit: "Send me a link".to_owned(),
                waiting: "Sending …".to_owned(),
                is_danger: false,
                name: fixed.or_else(|| query.get("name")).unwrap_or_default(),
            };
            view! {
                <p class="s">
                    "A link to a new password is sent to the account's mail address. Your present password works until then."
                </p>
                <AccountForm asked=asked failure=failure/>
            }
            .into_any()
        }
    };
    view! {
        <Centered title="A link by mail">
            <h1 class="text-2xl">"A link by mail"</h1>
            {body}
            <p class="s"><a class="link" href="/sign-in">"Back to the sign-in"</a></p>
        </Centered>
    }
    .into_any()
}
