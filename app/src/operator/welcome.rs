//! `/welcome` on the operators' host: where the first operator, and one who was invited,
//! chooses a password.

use super::refused_with;
use crate::{
    context::{self, HostKind, RequestContext},
    cookies::WELCOME,
    forms::{self, AppError, Refusal},
    loader::load,
    ui::{Centered, Field as FormField, Note, PasswordField, TopError},
};
use control::OperatorWelcome;
use domain::{Failure, Field, OperatorRole, Secret};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

const PAGE: &str = "/welcome";

/// Makes the operator of the link that this browser opened.
///
/// # Errors
/// The failures of `Operators::accept`.
#[server(prefix = "/do", endpoint = "accept_operator_link")]
pub async fn accept_operator_link(
    #[server(default)] name: String,
    #[server(default)] password: String,
) -> Result<(), AppError> {
    let password = Secret::new(password);
    let done = async {
        let context = RequestContext::current()?;
        if context.host != HostKind::Operator {
            return Err(Failure::not_found());
        }
        let (token, control) = (
            Secret::new(WELCOME.get().unwrap_or_default()),
            context::control()?,
        );
        let operators = control.operators();
        operators
            .accept(&token, &name, &password, context.from)
            .await
    }
    .await;
    let name = done.map_err(|f| refused_with(f, PAGE, &[("name", &name)]))?;
    WELCOME.remove();
    forms::redirect(&forms::url_with("/sign-in", &[("name", &name)]));
    Ok(())
}

/// Renders the form of a link that is valid. The token moves from the address, which stays in
/// the browser's history, into a cookie.
#[component]
pub fn WelcomePage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let refusal = forms::refusal_from_query(|key| query.get(key));
    if let Some(token) = query.get("token") {
        WELCOME.set(&token);
        forms::redirect(PAGE);
        return ().into_any();
    }
    let typed = query.get("name").unwrap_or_default();
    let ready = ready();
    load(async move {
        let (control, token, context) = ready?;
        let welcome = control.operators().welcome(&token, context.from).await?;
        Ok::<_, Failure>(view! { <Form welcome=welcome typed=typed refusal=refusal/> })
    })
    .into_any()
}

fn ready() -> Result<(control::Control, Secret, RequestContext), Failure> {
    let token = Secret::new(WELCOME.get().unwrap_or_default());
    Ok((context::control()?, token, RequestContext::current()?))
}

/// Returns what an operator of a role does.
fn duties(role: OperatorRole) -> &'static str {
    match role {
        OperatorRole::Owner => {
            "Owners do everything: plans, machines, tenants, operators. So a password alone is \
             not enough: after the first sign-in you add an authenticator app or a passkey."
        }
        OperatorRole::Support => "Support sees everything and helps tenants.",
        OperatorRole::ReadOnly => "This role sees everything and changes nothing.",
    }
}

#[component]
fn Form(welcome: OperatorWelcome, typed: String, refusal: Option<Refusal>) -> impl IntoView {
    let at = |field| {
        let refusal = refusal.as_ref().filter(|f| f.field == Some(field));
        refusal.map(|f| f.message.clone())
    };
    let (name_error, password_error) = (at(Field::Name), at(Field::Password));
    let of_form = |f: &Refusal| matches!(f.field, Some(Field::Name | Field::Password));
    let on_top = refusal.clone().filter(|f| !of_form(f)).map(|f| f.message);
    let is_bad_name = name_error.is_some();
    let is_fixed = welcome.name.is_some();
    let title = match &welcome.name {
        Some(name) => format!("Welcome, {name}"),
        None => "The first operator".to_owned(),
    };
    let name = welcome.name.unwrap_or(typed);
    let hint = "Twelve characters or more, for example four words that have nothing to do with each other.";
    view! {
        <Centered title=title.clone()>
            <div>
                <h1 class="text-2xl">{title}</h1>
                <p class="s">{duties(welcome.role)}</p>
            </div>
            <form method="post" action="/do/accept_operator_link" class="grid gap-4">
                <TopError message=Signal::stored(on_top)/>
                <FormField
                    id="name"
                    label="Name"
                    note=Signal::stored(Note::or_hint(name_error, ""))
                >
                    <input
                        id="name"
                        class="field"
                        type="text"
                        name="name"
                        value=name
                        autocomplete="username"
                        autocapitalize="none"
                        spellcheck="false"
                        required
                        readonly=is_fixed
                        maxlength="64"
                        aria-describedby="name-note"
                        aria-invalid=is_bad_name.to_string()
                    />
                </FormField>
                <PasswordField is_new=true error=password_error hint=hint.to_owned()/>
                <button class="btn btn-p btn-lg">"Choose this password"</button>
            </form>
        </Centered>
    }
}
