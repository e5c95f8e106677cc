//! `/account/mail`: the account's mail address, where the installation sends mail.

use super::{
    area::Area,
    form::{AccountForm, FormContent, Input},
    presence::{self, ask, finish},
};
use crate::{
    context::{self, RequestContext},
    forms::{self, AppError, Refusal},
    loader::load,
    ui::{Chip, PageHead, Tone},
};
use domain::{ErrorCode, Failure, view::MailView};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The address of the page.
const PAGE: &str = "/account/mail";

/// Sends a link to an address, which is the account's once the link was opened.
///
/// # Errors
/// The failures of `Mail::set_address`.
#[server(prefix = "/do", endpoint = "set_mail_address")]
pub async fn set_mail_address(#[server(default)] mail: String) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        let from = RequestContext::with(|c| c.from)?;
        control.mail().set_address(&account, &mail, from).await
    };
    match done.await {
        Ok(()) => forms::redirect("/account/mail?saved=sent"),
        Err(f) if f.code == ErrorCode::PresenceNeeded => ask(PAGE, None),
        Err(f) => return Err(forms::refuse(f, PAGE, &[("mail", &mail)])),
    }
    Ok(())
}

/// Removes the account's address.
///
/// # Errors
/// The failures of `Mail::remove_address`.
#[server(prefix = "/do", endpoint = "remove_mail_address")]
pub async fn remove_mail_address() -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        let from = RequestContext::with(|c| c.from)?;
        control.mail().remove_address(&account, from).await
    };
    finish(done.await, PAGE, None, "/account/mail?saved=removed")
}

/// Switches the warnings of the month's data on or off.
///
/// # Errors
/// The failures of `Mail::set_quota_warnings`.
#[server(prefix = "/do", endpoint = "set_mail_warnings")]
pub async fn set_mail_warnings(quota_warnings: Option<String>) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        let from = RequestContext::with(|c| c.from)?;
        let is_on = quota_warnings.is_some();
        control
            .mail()
            .set_quota_warnings(&account, is_on, from)
            .await
    };
    finish(done.await, PAGE, None, "/account/mail?saved=warnings")
}

/// Returns what the page says of a change that was just made.
fn notice(saved: &str) -> Option<&'static str> {
    Some(match saved {
        "sent" => "A link was sent to the address. Open it within a day.",
        "removed" => "The address is removed.",
        "warnings" => "Saved.",
        _ => return None,
    })
}

/// Shows the address, and asks for another one.
#[component]
pub fn MailPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = Area::ready();
    load(async move {
        let (control, account, area) = ready?;
        let view = control.mail().address(&account).await?;
        let view = view.ok_or_else(Failure::not_found)?;
        // Asked for before anything is typed, which would be lost.
        if control.account().presence_if_any(&account).await?.is_none() {
            presence::ask(PAGE, None);
        }
        let saved = query.get("saved").filter(|_| failure.is_none());
        let notice = saved.as_deref().and_then(notice);
        let typed = query.get("mail").unwrap_or_default();
        Ok::<_, Failure>(area.page(
            "Mail address",
            view! {
                <PageHead title="Mail address"/>
                <div role="status" class="empty:hidden">
                    {notice.map(|text| view! { <p class="banner">{text}</p> })}
                </div>
                <section
                    class="card grid max-w-[620px] gap-4 p-[22px] max-md:p-4"
                    aria-label="The address"
                >
                    <Present view=view.clone()/>
                    <Change typed=typed failure=failure/>
                </section>
                <Warnings view=view/>
            },
        ))
    })
}

#[component]
fn Present(view: MailView) -> impl IntoView {
    let has_any = view.address.is_some() || view.pending.is_some();
    let row = |address: String, chip: AnyView, text: &'static str| {
        view! {
            <p>
                <span class="font-semibold wrap-anywhere" dir="ltr">{address}</span>
                " " {chip} " " <span class="s">{text}</span>
            </p>
        }
    };
    view! {
        {view
            .address
            .map(|address| {
                let chip = view! { <Chip tone=Tone::Live>"In use"</Chip> }.into_any();
                row(address, chip, "Links to a new password and notices are sent there.")
            })}
        {view
            .pending
            .map(|address| {
                let chip = view! { <Chip tone=Tone::Warn>"Not confirmed"</Chip> }.into_any();
                row(address, chip, "Nothing is sent there until the link in the mail was opened.")
            })}
        {if has_any {
            view! {
                <form method="post" action="/do/remove_mail_address">
                    <button class="btn btn-s btn-d">"Remove it"</button>
                </form>
            }
                .into_any()
        } else {
            view! {
                <p class="s">
                    "With an address you can set a new password if you forget yours, and you are told of new sign-ins and changes."
                </p>
            }
                .into_any()
        }}
    }
}

#[component]
fn Change(typed: String, failure: Option<Refusal>) -> impl IntoView {
    let asked = FormContent {
        action: "/do/set_mail_address".to_owned(),
        inputs: vec![(Input::Mail, "New address".to_owned())],
        hidden: Vec::new(),
        submit: "Send a link there".to_owned(),
        waiting: "Sending …".to_owned(),
        is_danger: false,
        name: typed,
    };
    view! { <AccountForm asked=asked failure=failure/> }
}

/// The switch of a tenant that has an address.
#[component]
fn Warnings(view: MailView) -> impl IntoView {
    let is_shown = view.is_tenant && view.address.is_some();
    is_shown.then(|| {
        view! {
            <form
                class="card row max-w-[620px] px-[18px] py-4"
                method="post"
                action="/do/set_mail_warnings"
            >
                <label class="row">
                    <input
                        type="checkbox"
                        class="check"
                        name="quota_warnings"
                        value="on"
                        checked=view.quota_warnings
                    />
                    <span>"Tell me by mail when the month's data run out"</span>
                </label>
                <button class="btn btn-s ms-auto">"Save"</button>
            </form>
        }
    })
}
