//! The account's own pages, for tenants and, on the operator's host, for operators:
//! password, two-step sign-in, recovery codes, sessions, API tokens, activity; for a
//! tenant also plan and use, the month and its time zone, and deleting the account.

#[cfg(feature = "ssr")]
mod actions;
#[cfg(feature = "ssr")]
pub mod area;
#[cfg(feature = "ssr")]
pub mod audit;
mod form;
#[cfg(feature = "ssr")]
mod mail;
#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
mod passkey_form;
#[cfg(feature = "ssr")]
mod passkeys;
#[cfg(feature = "ssr")]
mod password;
#[cfg(feature = "ssr")]
mod presence;
mod print;
#[cfg(feature = "ssr")]
pub mod recovery_codes;
#[cfg(feature = "ssr")]
mod sessions;
#[cfg(feature = "ssr")]
mod time_zone;
#[cfg(feature = "ssr")]
mod tokens;
#[cfg(feature = "ssr")]
mod two_step;

pub use form::{AccountForm, FormContent, Input};
pub use print::PrintPage;
#[cfg(feature = "ssr")]
pub use {
    mail::MailPage,
    page::AccountPage,
    passkey_form::{Ceremony, PasskeyForm, waiting},
    passkeys::PasskeysPage,
    password::PasswordPage,
    presence::ConfirmPage,
    presence::address as ask_address,
    recovery_codes::RecoveryCodesPage,
    tokens::NewTokenPage,
    two_step::TwoStepPage,
};

#[cfg(feature = "ssr")]
use crate::forms::{self, AppError};
use crate::{
    forms::{Form, Refusal},
    ui::{Field as FormField, Note, Submit, TopError},
};
use domain::Field;
#[cfg(feature = "ssr")]
use domain::{Failure, Message};
use leptos::prelude::*;

/// Deletes the account if its name was typed, and redirects to the landing page. A
/// proof of presence may be asked for first.
///
/// # Errors
/// A name that is not the account's, and the failures of `Account::delete_tenant`.
#[cfg(feature = "ssr")]
#[server(prefix = "/do", endpoint = "delete_account")]
pub async fn delete_account(name: String) -> Result<(), AppError> {
    let checked = crate::context::tenant().and_then(|scope| {
        let is_right = name.trim().to_lowercase() == scope.name().as_str();
        is_right
            .then_some(())
            .ok_or_else(|| wrong_name(scope.name().as_str()))
    });
    checked.map_err(|f| forms::refuse(f, "/account", &[("name", &name)]))?;
    actions::delete_now().await
}

/// Sets the time zone in which the tenant's months begin.
///
/// # Errors
/// The failures of `Tenants::set_time_zone`.
#[cfg(feature = "ssr")]
#[server(prefix = "/do", endpoint = "set_time_zone")]
pub async fn set_time_zone(time_zone: String) -> Result<(), AppError> {
    use crate::context;
    let done = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        control.tenants().set_time_zone(&scope, &time_zone).await
    }
    .await;
    done.map_err(|f| forms::refuse(f, "/account", &[("time_zone", &time_zone)]))?;
    forms::redirect("/account?saved=time_zone");
    Ok(())
}

/// Returns the failure for a name that is not the account's.
#[cfg(feature = "ssr")]
pub fn wrong_name(name: &str) -> Failure {
    Failure::at(
        Field::Name,
        domain::ErrorCode::ChoiceUnknown,
        Message::AccountNameWrong {
            name: name.to_owned(),
        },
    )
}

/// The form that deletes the account. It asks for the account's name.
#[island]
pub fn DeleteAccountForm(
    name: String,
    /// The name as typed before.
    typed: String,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let form = Form::new(failure);
    let error = form.at(Field::Name);
    let hint = format!("Type {name} to confirm.");
    let note = Signal::derive(move || Note::or_hint(error.get(), &hint));
    view! {
        <form
            class="grid gap-3"
            method="post"
            action="/do/delete_account"
            on:submit=move |event| form.submit(event)
        >
            <TopError message=form.on_top(&[Field::Name])/>
            <FormField id="name" label="The account's name" note=note>
                <input
                    id="name"
                    class="field"
                    type="text"
                    name="name"
                    value=typed
                    required
                    maxlength="40"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    dir="ltr"
                    aria-describedby="name-note"
                    aria-invalid=move || error.get().is_some().to_string()
                />
            </FormField>
            <div>
                <Submit
                    busy=form.busy
                    class="btn btn-pd"
                    text=format!("Delete {name} for good")
                    waiting="Deleting the account …"
                />
            </div>
        </form>
    }
}
