//! The form of who may sign up.

use super::CONFIGURED;
use control::SignUpSetting;
use domain::SignUpMode;
use leptos::prelude::*;

const fn text(mode: SignUpMode) -> (&'static str, &'static str) {
    match mode {
        SignUpMode::Open => ("Open", "Every visitor can sign up."),
        SignUpMode::Invite => ("By invitation", "A visitor needs an invitation."),
        SignUpMode::Closed => ("Closed", "No visitor can sign up. The pages say so."),
    }
}

/// Says who may sign up and where that is set, and lets an owner change it.
#[component]
pub fn Mode(setting: SignUpSetting, may_change: bool) -> impl IntoView {
    let (now, _) = text(setting.mode);
    let (configured, _) = text(setting.configured);
    let from = match setting.is_set {
        true => format!(
            "{now}. An operator has set this; the configuration (sign_up) says {}.",
            configured.to_lowercase()
        ),
        false => format!("{now}. This comes from the configuration (sign_up)."),
    };
    let choices = SignUpMode::ALL.map(|mode| {
        let (title, what) = text(mode);
        let checked = setting.is_set && mode == setting.mode;
        (mode.as_str(), title.to_owned(), what.to_owned(), checked)
    });
    let configured = (
        CONFIGURED,
        "As configured".to_owned(),
        format!("{configured}: what the configuration says, now and later."),
        !setting.is_set,
    );
    let choices = choices.into_iter().chain([configured]);
    let form = may_change.then(|| {
        let choices = choices.map(|(value, title, what, checked)| {
            view! {
                <label class="choice">
                    <input type="radio" name="mode" value=value checked=checked required/>
                    <span>
                        <span class="font-semibold">{title}</span>
                        <span class="s block">{what}</span>
                    </span>
                </label>
            }
        });
        view! {
            <form class="grid gap-4" method="post" action="/do/set_sign_up_mode">
                <fieldset class="grid gap-2.5 sm:grid-cols-2">
                    <legend class="sr-only">"Who may sign up"</legend>
                    {choices.collect_view()}
                </fieldset>
                <div class="row">
                    <button class="btn btn-p">"Save"</button>
                </div>
            </form>
        }
    });
    view! {
        <section class="card grid max-w-[760px] gap-4 p-[22px] max-md:p-4" aria-labelledby="mode">
            <h2 id="mode">"Who may sign up"</h2>
            <p role="status">{from}</p>
            {form}
        </section>
    }
}
