//! What a device's page shows in place of its code once the key is older than ten
//! minutes: the code is shown again after a proof of presence, or the device gets a new
//! key. An open browser alone gives no visitor the key of a device that is in use.

use crate::account::{AccountForm, FormContent, Input};
use domain::{DeviceId, view::SecurityView};
use leptos::prelude::*;

/// Asks for a proof of presence, and offers a new key beside it.
#[component]
pub fn LockedCode(
    id: DeviceId,
    /// How the account is protected; `None` for whom it is not the own one.
    security: Option<SecurityView>,
) -> impl IntoView {
    let show = security.map(|security| {
        let mut inputs = vec![(Input::Password, "Your password".to_owned())];
        if security.totp_since.is_some() {
            inputs.push((Input::AnyCode, "Code".to_owned()));
        }
        let asked = FormContent {
            action: "/do/prove_presence".to_owned(),
            inputs,
            hidden: vec![("to".to_owned(), format!("/devices/{id}"))],
            submit: "Show the code".to_owned(),
            waiting: "Checking …".to_owned(),
            is_danger: false,
            name: security.name,
        };
        view! { <AccountForm asked=asked failure=None/> }
    });
    view! {
        <div class="grid w-[340px] max-w-full content-start gap-5">
            <section class="grid gap-3" aria-labelledby="locked-title">
                <h3 id="locked-title">"Show its code again"</h3>
                <p class="s">
                    "The code holds the device's key, so it is shown only after the account's holder has proved to be there."
                </p>
                {show}
            </section>
            <section class="grid gap-3 border-t border-line pt-4" aria-labelledby="new-key-title">
                <h3 id="new-key-title">"Or make a new key"</h3>
                <p class="s">
                    "For a device that was set up again or may be in wrong hands. The present key stops working at once; address and settings stay."
                </p>
                <form method="post" action="/do/new_device_key">
                    <input type="hidden" name="id" value=id.to_string()/>
                    <button class="btn">"Make a new key"</button>
                </form>
            </section>
        </div>
    }
}
