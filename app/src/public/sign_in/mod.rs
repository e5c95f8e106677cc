//! Signing in: with name and password on the base, with the password alone on a
//! tenant's own host.

#[cfg(feature = "ssr")]
pub mod code_page;
#[cfg(feature = "ssr")]
pub mod page;
#[cfg(feature = "ssr")]
pub mod passkey;
#[cfg(feature = "ssr")]
pub mod second_step;

#[cfg(feature = "ssr")]
use crate::forms::{self, AppError};
use crate::{
    forms::{Form, Refusal},
    ui::{Field as FormField, Note, PasswordInput, PasswordKind, Submit, TopError},
};
#[cfg(feature = "ssr")]
use domain::Failure;
use domain::Field;
use leptos::prelude::*;

/// Checks name and password and redirects to the tenant's own host, where a
/// one-time ticket creates the session, or to the second step. On a tenant's host the
/// host decides the name, not the form. With `stay` the session lasts 30 days.
///
/// # Errors
/// The failures of `Auth::sign_in`.
#[cfg(feature = "ssr")]
#[server(prefix = "/do", endpoint = "sign_in")]
pub async fn sign_in(
    #[server(default)] name: String,
    password: String,
    stay: Option<String>,
) -> Result<(), AppError> {
    use crate::{
        context::{HostKind, RequestContext, control},
        cookies::{BROWSER, PENDING},
    };
    use control::SignInStep;
    let password = domain::Secret::new(password);
    let signed_in = async {
        let context = RequestContext::current()?;
        let name = match &context.host {
            HostKind::Base => name.clone(),
            HostKind::Tenant(host) => host.as_str().to_owned(),
            HostKind::Operator => return Err(Failure::not_found()),
        };
        let client = control::SignInClient {
            stays: stay.is_some(),
            ..context.client.clone()
        };
        let step = control()?.auth().sign_in(&name, &password, client).await?;
        Ok((context, step))
    }
    .await;
    let stays = if stay.is_some() { "on" } else { "off" };
    let typed = [("name", name.as_str()), ("stay", stays)];
    let (context, step) = signed_in.map_err(|f| forms::refuse(f, "/sign-in", &typed))?;
    match step {
        SignInStep::Done(ticket) => {
            BROWSER.set(ticket.browser.expose());
            forms::hand_over(&context, &ticket, "/");
        }
        SignInStep::SecondFactor(pending) => {
            BROWSER.set(pending.browser.expose());
            PENDING.set(pending.token.expose());
            forms::redirect(code_page::CODE_PAGE);
        }
    }
    Ok(())
}

#[island]
pub fn SignInForm(
    /// The installation's base.
    base: String,
    /// The host's tenant, if the host fixes the name.
    fixed: Option<String>,
    /// The name as typed before.
    name: String,
    /// Whether the client wants to stay signed in.
    stays: bool,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let form = Form::new(failure);
    let fields: &'static [Field] = if fixed.is_some() {
        &[Field::Password]
    } else {
        &[Field::Name, Field::Password]
    };
    let name_error = form.at(Field::Name);
    let password_error = form.at(Field::Password);
    view! {
        <form
            class="grid gap-4"
            method="post"
            action="/do/sign_in"
            on:submit=move |event| form.submit(event)
        >
            <TopError message=form.on_top(fields)/>
            {match fixed {
                // For password managers, which store a password with its name.
                Some(name) => {
                    view! {
                        <input
                            type="text"
                            name="name"
                            value=name
                            autocomplete="username"
                            class="hidden"
                            readonly
                        />
                    }
                        .into_any()
                }
                None => {
                    let suffix = format!(".{base}");
                    view! {
                        <FormField
                            id="name"
                            label="Name"
                            note=Signal::derive(move || Note::or_hint(name_error.get(), ""))
                        >
                            <span class="field field-row" dir="ltr">
                                <input
                                    id="name"
                                    type="text"
                                    name="name"
                                    value=name
                                    autocomplete="username"
                                    autocapitalize="none"
                                    spellcheck="false"
                                    required
                                    maxlength="40"
                                    aria-describedby="name-note"
                                    aria-invalid=move || name_error.get().is_some().to_string()
                                />
                                <span class="suffix" aria-hidden="true">{suffix}</span>
                            </span>
                        </FormField>
                    }
                        .into_any()
                }
            }}
            <FormField
                id="password"
                label="Password"
                note=Signal::derive(move || Note::or_hint(password_error.get(), ""))
            >
                <PasswordInput
                    id="password"
                    kind=PasswordKind::Present
                    max="256"
                    is_bad=Signal::derive(move || password_error.get().is_some())
                />
            </FormField>
            <label class="row">
                <input type="checkbox" class="check" name="stay" value="on" checked=stays/>
                <span>
                    "Stay signed in "
                    <span class="s">"for 30 days on this browser, else for a day"</span>
                </span>
            </label>
            <Submit
                busy=form.busy
                class="btn btn-p btn-lg"
                text="Sign in"
                waiting="Signing in …"
            />
        </form>
    }
}
