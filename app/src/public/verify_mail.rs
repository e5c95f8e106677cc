//! `/verify-mail`: the link with which an address says that it is the account's. As a link to a
//! new password, its token is moved into a cookie; and opening it uses nothing up, so that a
//! program that looks at links in mails verifies no address.

use crate::{
    account::{AccountForm, FormContent},
    context,
    cookies::MAIL_TOKEN,
    forms::{self, AppError},
    loader::load,
    ui::Centered,
};
use axum::http::{HeaderName, HeaderValue};
use domain::{ErrorCode, Failure, Message, Secret};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The address of the page.
const PAGE: &str = "/verify-mail";

/// Makes the address the account's, and uses the link up.
///
/// # Errors
/// The failures of `Mail::verify`.
#[server(prefix = "/do", endpoint = "verify_mail")]
pub async fn verify_mail() -> Result<(), AppError> {
    let done = async {
        let from = context::RequestContext::with(|c| c.from)?;
        let token = MAIL_TOKEN.get().ok_or_else(invalid)?;
        let control = context::control()?;
        control.mail().verify(&Secret::new(token), from).await
    };
    done.await.map_err(|f| forms::refuse(f, PAGE, &[]))?;
    MAIL_TOKEN.remove();
    forms::redirect("/verify-mail?done=1");
    Ok(())
}

fn invalid() -> Failure {
    Failure::new(ErrorCode::MailLinkInvalid, Message::MailLinkInvalid)
}

/// Asks whether the address is the account's.
#[component]
pub fn VerifyMailPage() -> impl IntoView {
    let texts = context::texts();
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = context::control().and_then(|c| {
        let from = context::RequestContext::with(|c| c.from)?;
        Ok((c, from))
    });
    if let Some(token) = query.get("token") {
        MAIL_TOKEN.set(&token);
        if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
            response.insert_header(
                HeaderName::from_static("referrer-policy"),
                HeaderValue::from_static("no-referrer"),
            );
        }
        forms::redirect(PAGE);
        return ().into_any();
    }
    let is_done = query.get("done").is_some() && failure.is_none();
    let token = MAIL_TOKEN.get();
    load(async move {
        let (control, from) = ready?;
        let target = match token {
            _ if is_done => None,
            Some(token) => {
                let token = Secret::new(token);
                Some(control.mail().link_target(&token, from).await)
            }
            None => Some(Err(invalid())),
        };
        let body = match target {
            None => view! {
                <h1 class="text-2xl">"The address is confirmed"</h1>
                <p class="s" role="status">"Links to a new password and notices are sent there from now on."</p>
                <p class="s"><a class="link" href="/account">"To the account"</a></p>
            }
            .into_any(),
            Some(Ok((name, address))) => {
                let asked = FormContent {
                    action: "/do/verify_mail".to_owned(),
                    inputs: Vec::new(),
                    hidden: Vec::new(),
                    submit: "Yes, it is mine".to_owned(),
                    waiting: "Confirming …".to_owned(),
                    is_danger: false,
                    name: String::new(),
                };
                view! {
                    <h1 class="text-2xl">"Is this your address?"</h1>
                    <p>
                        <b dir="ltr" class="wrap-anywhere">{address}</b>
                        " is to be the mail address of "
                        <span class="text-accent" dir="ltr">{name}</span> "."
                    </p>
                    <AccountForm asked=asked failure=failure/>
                }
                .into_any()
            }
            Some(Err(f)) if f.code == ErrorCode::MailLinkInvalid => {
                forms::set_status(f.code);
                let message = texts.failure(&f);
                view! {
                    <h1 class="text-2xl">"This link is over"</h1>
                    <p class="s">{message}</p>
                    <p class="s"><a class="link" href="/sign-in">"To the sign-in"</a></p>
                }
                .into_any()
            }
            Some(Err(f)) => return Err(f),
        };
        Ok::<_, Failure>(view! { <Centered title="Mail address">{body}</Centered> })
    })
    .into_any()
}
