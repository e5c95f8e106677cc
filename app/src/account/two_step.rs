//! `/account/two-step`: an authenticator app is added or removed.

use super::{
    area::Area,
    form::{AccountForm, FormContent, Input},
    presence,
};
use crate::{
    devices::{CopyConfig, qr::QrPicture},
    forms::{self, Refusal},
    loader::load,
    ui::{Glyph, Icon, PageHead, TopError},
};
use control::TotpEnrolment;
use domain::{ErrorCode, Failure};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Shows the key of a new authenticator app, or a form that removes the present one.
#[component]
pub fn TwoStepPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = Area::enrolling();
    load(async move {
        let (control, account, area) = ready?;
        let security = control.account().security(&account).await?;
        let body = if security.totp_since.is_some() {
            let has_passkey = !security.passkeys.is_empty();
            view! { <Remove failure=failure has_passkey=has_passkey/> }.into_any()
        } else {
            match control.account().begin_totp(&account).await {
                Ok(enrolment) => {
                    view! { <Enrol enrolment=enrolment name=security.name failure=failure/> }
                        .into_any()
                }
                Err(f) if f.code == ErrorCode::PresenceNeeded => {
                    presence::ask("/account/two-step", None);
                    ().into_any()
                }
                Err(f) => return Err(f),
            }
        };
        let welcome = area.needs_factor().then(|| {
            let name = area.name().to_owned();
            view! { <Welcome name=name/> }
        });
        Ok::<_, Failure>(area.page(
            "Two-step sign-in",
            view! {
                <PageHead title="Two-step sign-in"/>
                <div class="grid max-w-[760px] gap-4">
                    {welcome}
                    {body}
                    <p class="s">
                        "No authenticator app at hand? A "
                        <a class="link" href="/account/passkeys">"passkey"</a>
                        " is a second step, too."
                    </p>
                </div>
            },
        ))
    })
}

/// Says to an owner why nothing else is shown yet.
#[component]
fn Welcome(name: String) -> impl IntoView {
    view! {
        <section class="grid gap-2" aria-label="Before you begin">
            <p class="text-lg">"Welcome, " {name} "! One more step, and the installation is yours to run."</p>
            <p class="s">
                "An owner can do everything here, so a password alone is not enough. Add an authenticator app now; it takes a minute. Recovery codes come next, for the day on which the phone is lost."
            </p>
        </section>
    }
}

#[component]
fn Enrol(enrolment: TotpEnrolment, name: String, failure: Option<Refusal>) -> impl IntoView {
    let asked = FormContent {
        action: "/do/confirm_two_step".to_owned(),
        inputs: vec![(Input::Code, "Code that the app shows now".to_owned())],
        hidden: Vec::new(),
        submit: "Switch it on".to_owned(),
        waiting: "Checking the code …".to_owned(),
        is_danger: false,
        name,
    };
    let key = grouped(enrolment.secret.expose());
    view! {
        <section
            class="card flex flex-wrap gap-[26px] p-[22px] max-md:p-4"
            aria-label="Add an authenticator app"
        >
            <div class="grid w-[280px] max-w-full content-start justify-items-center gap-3 max-md:mx-auto">
                <QrPicture
                    text=enrolment.uri.expose().to_owned()
                    label="QR code for the authenticator app".to_owned()
                    otherwise="Type the key below into the app."
                />
                <p class="s w-full">
                    "Or type this key: "
                    <code id="totp-key" class="block wrap-anywhere" dir="ltr">{key}</code>
                </p>
                <CopyConfig target="totp-key".to_owned() holds="the key".to_owned()/>
            </div>
            <div class="grid min-w-[min(280px,100%)] flex-1 content-start gap-4">
                <ol class="grid list-decimal gap-2 ps-5">
                    <li>"Open an authenticator app on your phone, and add an account."</li>
                    <li>"Scan this code. The app shows six digits, new ones each 30 seconds."</li>
                    <li>"Type the digits here. From then on every sign-in asks for them."</li>
                </ol>
                <AccountForm asked=asked failure=failure/>
            </div>
        </section>
    }
}

/// Groups a key by four characters, as it is read from a screen. Apps ignore spaces.
fn grouped(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let groups = chars
        .chunks(4)
        .map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}

#[component]
fn Remove(failure: Option<Refusal>, has_passkey: bool) -> impl IntoView {
    let without = match has_passkey {
        true => "Without it, a sign-in with the password asks for a passkey.",
        false => "Without it, the password alone is enough to sign in.",
    };
    view! {
        <section class="card grid max-w-[520px] gap-3 p-[22px] max-md:p-4" aria-label="Remove it">
            <TopError message=Signal::stored(failure.map(|f| f.message))/>
            <p class="row">
                <span class="text-live"><Icon glyph=Glyph::Check/></span>
                "It is on: a sign-in asks for a code of your authenticator app."
            </p>
            <p class="s">
                "For another phone, switch it off and on again. " {without}
            </p>
            <form method="post" action="/do/remove_two_step">
                <button class="btn btn-d">"Switch it off"</button>
            </form>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_in_groups() {
        assert_eq!(grouped("JBSWY3DPEHPK3PXP"), "JBSW Y3DP EHPK 3PXP");
        assert_eq!(grouped("JBSWY"), "JBSW Y");
    }
}
