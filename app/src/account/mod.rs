//! The tenant's account: plan and use, signing out, and the end of it all.

#[cfg(feature = "ssr")]
mod page;

#[cfg(feature = "ssr")]
pub use page::AccountPage;

use crate::{
    forms::{self, AppError},
    ui::{Field as FormField, Note, Submit, TopError},
};
use domain::{Failure, Field};
use leptos::prelude::*;

/// Deletes the account once its name was typed, and leads to the landing page.
///
/// # Errors
/// Another name than the account's; what `Control::delete_tenant` refuses.
#[server(endpoint = "delete_account")]
pub async fn delete_account(name: String) -> Result<(), AppError> {
    use crate::context;
    let deleted = async {
        let (context, control) = (context::RequestContext::current()?, context::control()?);
        let scope = context.tenant.clone().ok_or_else(Failure::signed_out)?;
        if name.trim().to_lowercase() != scope.name().as_str() {
            return Err(other_name(scope.name().as_str()));
        }
        control.delete_tenant(&scope).await?;
        Ok(context)
    }
    .await;
    let context = deleted.map_err(|f| forms::refuse(f, "/account", &[("name", &name)]))?;
    forms::go(&format!("{}://{}/", context.scheme, context.base));
    Ok(())
}

/// What was typed is not the account's name.
pub fn other_name(name: &str) -> Failure {
    Failure::at(
        Field::Name,
        domain::ErrorCode::ChoiceUnknown,
        format!("That is not the account's name. Type {name} to delete it."),
    )
}

/// Asks for the account's name before it is deleted.
#[island]
pub fn DeleteAccountForm(
    /// The account's name.
    name: String,
    /// What was refused, after a plain POST.
    failure: Option<Failure>,
) -> impl IntoView {
    let action = ServerAction::<DeleteAccount>::new();
    let failure = forms::refused(action, failure);
    let error = forms::at(failure, Field::Name);
    let hint = format!("Type {name} to confirm.");
    let note = Signal::derive(move || Note::or_hint(error.get(), &hint));
    view! {
        <ActionForm action=action attr:class="grid gap-3">
            <TopError sentence=forms::on_top(failure, &[Field::Name])/>
            <FormField id="name" label="The account's name" note=note>
                <input
                    id="name"
                    class="field"
                    type="text"
                    name="name"
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
                <Submit busy=forms::busy(action) class="btn btn-pd">
                    {format!("Delete {name} for good")}
                </Submit>
            </div>
        </ActionForm>
    }
}
