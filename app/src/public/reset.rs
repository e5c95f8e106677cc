//! `/reset`: a link of the provider with which a new password is set. The token is in
//! the link's address only until it is opened: it is moved into a cookie of this host,
//! so that it is neither in the browser's history nor in a `Referer`. Opening the link
//! uses nothing up, so that a program that looks at links in mails does no harm.

use crate::{
    account::{AccountForm, FormContent, Input},
    context,
    cookies::RESET_TOKEN,
    forms::{self, AppError, Refusal},
    loader::load,
    ui::Centered,
};
use axum::http::{HeaderName, HeaderValue};
use domain::{ErrorCode, Failure, Message, Secret};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The address of the page.
const PAGE: &str = "/reset";

/// Sets the new password and uses the link up. A sign-in follows, with its second step.
///
/// # Errors
/// The failures of `Account::reset_password`.
#[server(prefix = "/do", endpoint = "reset_password")]
pub async fn reset_password(#[server(default)] new_password: String) -> Result<(), AppError> {
    let done = async {
        let from = context::RequestContext::with(|c| c.from)?;
        let token = RESET_TOKEN.get().ok_or_else(invalid)?;
        let (token, new) = (Secret::new(token), Secret::new(new_password));
        let control = context::control()?;
        control.account().reset_password(&token, &new, from).await
    };
    let target = done.await.map_err(|f| forms::refuse(f, PAGE, &[]))?;
    RESET_TOKEN.remove();
    let query = [("notice", "password"), ("name", target.name.as_str())];
    forms::redirect(&forms::url_with("/sign-in", &query));
    Ok(())
}

fn invalid() -> Failure {
    Failure::new(ErrorCode::ResetInvalid, Message::ResetInvalid)
}

/// Asks for the new password.
#[component]
pub fn ResetPage() -> impl IntoView {
    let texts = context::texts();
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = context::control().and_then(|c| {
        let from = context::RequestContext::with(|c| c.from)?;
        Ok((c, from))
    });
    if let Some(token) = query.get("token") {
        RESET_TOKEN.set(&token);
        if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
            // The page itself has the usual policy: with this one browsers would send no
            // origin with its form.
            response.insert_header(
                HeaderName::from_static("referrer-policy"),
                HeaderValue::from_static("no-referrer"),
            );
        }
        forms::redirect(PAGE);
        return ().into_any();
    }
    let token = RESET_TOKEN.get();
    load(async move {
        let (control, from) = ready?;
        let target = match token {
            Some(token) => {
                let token = Secret::new(token);
                control.account().reset_target(&token, from).await
            }
            None => Err(invalid()),
        };
        let body = match target {
            Ok(target) => {
                let asked = FormContent {
                    action: "/do/reset_password".to_owned(),
                    inputs: vec![(Input::NewPassword, "New password".to_owned())],
                    hidden: Vec::new(),
                    submit: "Set the new password".to_owned(),
                    waiting: "Setting the password …".to_owned(),
                    is_danger: false,
                    name: target.name.clone(),
                };
                view! {
                    <div>
                        <h1 class="text-2xl">
                            "New password for " <span class="text-accent" dir="ltr">{target.name}</span>
                        </h1>
                        <p class="s">"Every browser that is signed in is signed out then."</p>
                    </div>
                    <AccountForm asked=asked failure=failure/>
                }
                .into_any()
            }
            Err(f) if f.code == ErrorCode::ResetInvalid => {
                forms::set_status(f.code);
                view! { <Over message=Refusal::new(&f, texts).message/> }.into_any()
            }
            Err(f) => return Err(f),
        };
        Ok::<_, Failure>(view! { <Centered title="New password">{body}</Centered> })
    })
    .into_any()
}

#[component]
fn Over(message: String) -> impl IntoView {
    view! {
        <div>
            <h1 class="text-2xl">"This link is over"</h1>
            <p class="s">{message}</p>
        </div>
        <p class="s"><a class="link" href="/sign-in">"To the sign-in"</a></p>
    }
}
