//! `/account/password`: the password is changed.

use super::{
    area::Area,
    form::{AccountForm, FormContent, Input},
};
use crate::{forms, loader::load, ui::PageHead};
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Asks for the present and the new password.
#[component]
pub fn PasswordPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = Area::ready();
    load(async move {
        let (_, _, area) = ready?;
        let asked = FormContent {
            action: "/do/change_password".to_owned(),
            inputs: vec![
                (Input::Password, "Present password".to_owned()),
                (Input::NewPassword, "New password".to_owned()),
            ],
            hidden: Vec::new(),
            submit: "Change the password".to_owned(),
            waiting: "Changing the password …".to_owned(),
            is_danger: false,
            name: area.name().to_owned(),
        };
        Ok::<_, Failure>(area.page(
            "Password",
            view! {
                <PageHead title="Password"/>
                <section
                    class="card grid max-w-[520px] gap-4 p-[22px] max-md:p-4"
                    aria-label="Change the password"
                >
                    <p class="s">"Every other browser that is signed in is signed out then."</p>
                    <AccountForm asked=asked failure=failure/>
                </section>
            },
        ))
    })
}
