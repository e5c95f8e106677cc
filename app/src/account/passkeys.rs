//! `/account/passkeys`: the account's passkeys are listed, added, named and removed.

use super::{
    area::Area,
    passkey_form::{Ceremony, PasskeyForm},
    presence::{self, Act},
};
use crate::{
    context::{self, RequestContext},
    forms::{self, AppError},
    loader::load,
    ui::{EmptyState, Field as FormField, Glyph, Note, PageHead, RelativeTime, TopError},
};
use control::MAX_PASSKEY_NAME;
use domain::{ErrorCode, Failure, Timestamp, view::PasskeyRow};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The address of the page.
pub const PAGE: &str = "/account/passkeys";

/// Adds a passkey, with the browser's answer.
///
/// # Errors
/// The failures of `Account::add_passkey`.
#[server(prefix = "/do", endpoint = "add_passkey")]
pub async fn add_passkey(
    #[server(default)] name: String,
    #[server(default)] answer: String,
) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::enrolment()?);
        let from = RequestContext::with(|c| c.from)?;
        let handle = control.account();
        handle.add_passkey(&account, &name, &answer, from).await?;
        // A holder who loses it needs them from now on.
        let security = handle.security(&account).await?;
        match security.recovery_codes_left {
            0 => handle.new_recovery_codes(&account).await.map(Some),
            _ => Ok(None),
        }
    };
    match done.await {
        Ok(Some(codes)) => {
            super::recovery_codes::show_next(&codes);
            forms::redirect("/account/recovery-codes?saved=passkey");
        }
        Ok(None) => forms::redirect("/account/passkeys?saved=passkey"),
        Err(f) if f.code == ErrorCode::PresenceNeeded => presence::ask(PAGE, None),
        Err(f) => return Err(forms::refuse(f, PAGE, &[("name", &name)])),
    }
    Ok(())
}

/// Gives a passkey another name.
///
/// # Errors
/// The failures of `Account::rename_passkey`.
#[server(prefix = "/do", endpoint = "rename_passkey")]
pub async fn rename_passkey(id: String, #[server(default)] name: String) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        control.account().rename_passkey(&account, &id, &name).await
    };
    presence::finish(done.await, PAGE, None, "/account/passkeys?saved=name")
}

/// Removes a passkey.
///
/// # Errors
/// The failures of `Account::remove_passkey`.
#[server(prefix = "/do", endpoint = "remove_passkey")]
pub async fn remove_passkey(id: String) -> Result<(), AppError> {
    let done = async {
        let (control, account) = (context::control()?, context::account()?);
        control.account().remove_passkey(&account, &id).await
    };
    presence::finish(done.await, PAGE, None, "/account/passkeys?saved=removed")
}

/// Proves the presence of the account's holder by a passkey, and goes on with the act.
///
/// # Errors
/// The failures of `Account::prove_presence_by_passkey` and of the act.
#[server(prefix = "/do", endpoint = "prove_presence_by_passkey")]
pub async fn prove_presence_by_passkey(
    #[server(default)] answer: String,
    #[server(default)] to: String,
    #[server(default)] act: String,
) -> Result<(), AppError> {
    let typed = [("to", to.as_str()), ("act", act.as_str())];
    let proved = async {
        let (control, account) = (context::control()?, context::enrolment()?);
        let from = RequestContext::with(|c| c.from)?;
        let handle = control.account();
        handle
            .prove_presence_by_passkey(&account, &answer, from)
            .await
    };
    proved
        .await
        .map_err(|f| forms::refuse(f, "/account/confirm", &typed))?;
    presence::go_on(&to, Act::parse(&act)).await
}

fn notice(saved: &str) -> Option<&'static str> {
    Some(match saved {
        "passkey" => "The passkey is added. You can sign in with it at this address.",
        "name" => "The passkey has its new name.",
        "removed" => "The passkey is removed here. Delete it in your browser or device, too.",
        _ => return None,
    })
}

/// Lists the passkeys, with the form that adds one.
#[component]
pub fn PasskeysPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = Area::enrolling();
    load(async move {
        let (control, account, area) = ready?;
        let passkeys = control.account().passkeys(&account).await?;
        let presence = control.account().presence_if_any(&account).await?;
        if presence.is_none() {
            presence::ask(PAGE, None);
        }
        let now = control.now();
        let saved = query.get("saved").filter(|_| failure.is_none());
        let notice = saved.as_deref().and_then(notice);
        let typed = query.get("name").unwrap_or_default();
        let list = if passkeys.is_empty() {
            view! {
                <EmptyState
                    glyph=Glyph::Shield
                    title="No passkey"
                    text="With a passkey you sign in by your fingerprint, your face or a security key, at this address alone."
                />
            }
            .into_any()
        } else {
            let rows = passkeys.into_iter();
            let rows = rows.map(|passkey| view! { <Passkey passkey=passkey now=now/> });
            view! { <ul class="rows">{rows.collect_view()}</ul> }.into_any()
        };
        Ok::<_, Failure>(area.page(
            "Passkeys",
            view! {
                <PageHead title="Passkeys"/>
                <div role="status" class="empty:hidden">
                    {notice.map(|text| view! { <p class="banner">"✓ " {text}</p> })}
                </div>
                <TopError message=Signal::stored(failure.map(|f| f.message))/>
                <section class="card max-w-[620px]" aria-label="Your passkeys">{list}</section>
                <section
                    class="card grid max-w-[620px] gap-3 p-[22px] max-md:p-4"
                    aria-labelledby="add-title"
                >
                    <h2 id="add-title">"Add a passkey"</h2>
                    <p class="s">
                        "The password alone is not enough to sign in then: a sign-in needs a passkey, a code or a recovery code as well."
                    </p>
                    <PasskeyForm
                        ceremony=Ceremony::Register
                        action="/do/add_passkey"
                        submit="Add a passkey"
                        class="btn btn-p"
                        inputs=name_input("name", typed).into_any()
                    />
                </section>
            },
        ))
    })
}

fn name_input(id: &'static str, value: String) -> impl IntoView {
    view! {
        <FormField
            id=id
            label="Name"
            note=Signal::stored(Note::or_hint(None, "For you to recognise it, such as \u{201c}laptop\u{201d}."))
        >
            <input
                id=id
                class="field"
                type="text"
                name="name"
                value=value
                required
                maxlength=MAX_PASSKEY_NAME
                autocomplete="off"
                aria-describedby="name-note"
            />
        </FormField>
    }
}

#[component]
fn Passkey(passkey: PasskeyRow, now: Timestamp) -> impl IntoView {
    let PasskeyRow {
        id,
        name,
        added,
        used,
    } = passkey;
    let (name_label, remove_label) = (
        format!("Name of the passkey {name}"),
        format!("Remove the passkey {name}"),
    );
    let rename_label = format!("Rename the passkey {name}");
    let used = match used {
        Some(at) => view! { "used " <RelativeTime at=at now=now/> }.into_any(),
        None => "not used yet".into_any(),
    };
    view! {
        <li class="flex-wrap">
            <div class="min-w-0 flex-1">
                <p class="font-semibold wrap-anywhere">{name.clone()}</p>
                <p class="s">"added " <RelativeTime at=added now=now/> " · " {used}</p>
            </div>
            <form class="row" method="post" action="/do/rename_passkey">
                <input type="hidden" name="id" value=id.clone()/>
                <input
                    class="field w-[160px]"
                    type="text"
                    name="name"
                    value=name
                    required
                    maxlength=MAX_PASSKEY_NAME
                    autocomplete="off"
                    aria-label=name_label
                />
                <button class="btn btn-s" aria-label=rename_label>"Rename"</button>
            </form>
            <form method="post" action="/do/remove_passkey">
                <input type="hidden" name="id" value=id/>
                <button class="btn btn-s btn-d" aria-label=remove_label>"Remove"</button>
            </form>
        </li>
    }
}
