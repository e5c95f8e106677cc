//! The tenant's account: plan and use, the month and its time zone, signing out, and
//! deleting the account.

#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
mod time_zone;

#[cfg(feature = "ssr")]
pub use page::AccountPage;

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

/// Deletes the account if its name was typed, and redirects to the landing page.
///
/// # Errors
/// A name that is not the account's, and the failures of `Tenants::delete`.
#[cfg(feature = "ssr")]
#[server(prefix = "/do", endpoint = "delete_account")]
pub async fn delete_account(name: String) -> Result<(), AppError> {
    use crate::context;
    let deleted = async {
        let (context, control) = (context::RequestContext::current()?, context::control()?);
        let scope = context.tenant.clone().ok_or_else(Failure::signed_out)?;
        if name.trim().to_lowercase() != scope.name().as_str() {
            return Err(wrong_name(scope.name().as_str()));
        }
        control.tenants().delete(&scope).await?;
        Ok(context)
    }
    .await;
    let context = deleted.map_err(|f| forms::refuse(f, "/account", &[("name", &name)]))?;
    forms::redirect(&format!("{}://{}/", context.scheme, context.base));
    Ok(())
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
