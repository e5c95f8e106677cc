//! Signing up: a name, checked while it is typed; a password with its strength; a
//! plan.

mod name;
#[cfg(feature = "ssr")]
pub mod page;

#[cfg(feature = "ssr")]
pub use name::{CheckName, check_name};
pub use name::{NameAvailability, NameInput, NameRules};

#[cfg(feature = "ssr")]
use crate::forms::{self, AppError};
use crate::{
    forms::{Form, Refusal},
    ui::{Field as FormField, NewPasswordInput, Note, Submit, TopError, plan_text},
};
#[cfg(feature = "ssr")]
use domain::Failure;
use domain::{Field, Plan};
use leptos::prelude::*;

/// Creates the account and redirects to its own host, where a one-time ticket
/// creates the session.
///
/// # Errors
/// The failures of `Tenants::sign_up`.
#[cfg(feature = "ssr")]
#[server(prefix = "/do", endpoint = "sign_up")]
pub async fn sign_up(
    name: String,
    password: String,
    #[server(default)] plan: String,
    #[server(default)] invitation: String,
    #[server(default)] mail: String,
) -> Result<(), AppError> {
    use crate::context::{HostKind, RequestContext, control};
    let created = async {
        let context = RequestContext::current()?;
        if context.host != HostKind::Base {
            return Err(Failure::not_found());
        }
        let form = control::SignUp {
            name: name.clone(),
            password: domain::Secret::new(password),
            plan: plan.clone(),
            invitation: Some(domain::Secret::new(invitation.clone())),
            mail: mail.clone(),
        };
        let ticket = control()?.tenants().sign_up(form, context.from).await?;
        Ok((context, ticket))
    }
    .await;
    let mut typed = vec![("name", name.as_str()), ("plan", &plan)];
    // An invitation that was not needed is not asked for again.
    typed.extend((!invitation.is_empty()).then_some(("invitation", invitation.as_str())));
    typed.extend((!mail.is_empty()).then_some(("mail", mail.as_str())));
    let (context, ticket) = created.map_err(|f| forms::refuse(f, "/sign-up", &typed))?;
    forms::hand_over(&context, &ticket, "/progress");
    Ok(())
}

const FIELDS: &[Field] = &[
    Field::Name,
    Field::Password,
    Field::Plan,
    Field::Invitation,
    Field::Mail,
];

#[island]
pub fn SignUpForm(
    /// The installation's base, shown behind the name.
    base: String,
    /// What is wrong with a malformed name.
    rules: NameRules,
    /// The plans to choose from.
    plans: Vec<Plan>,
    /// The name as typed before.
    name: String,
    /// The name, if the server found it available when it rendered the page.
    available: Option<String>,
    /// The id of the plan that is checked first.
    plan: String,
    /// The invitation as it was brought or typed; `None` where none is asked for.
    invitation: Option<String>,
    /// The mail address as typed before; `None` where the installation sends no mail.
    mail: Option<String>,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let form = Form::new(failure);
    let plan_error = form.at(Field::Plan);
    let initial = match available {
        Some(name) => Note::Good(format!("{name} is free")),
        None => Note::Hint("It becomes your address.".to_owned()),
    };
    view! {
        <form
            class="grid gap-4"
            method="post"
            action="/do/sign_up"
            on:submit=move |event| form.submit(event)
        >
            <TopError message=form.on_top(FIELDS)/>
            {invitation
                .map(|code| view! { <InvitationInput code=code refused=form.at(Field::Invitation)/> })}
            <NameInput
                base=base
                typed=name
                rules=rules
                initial=initial
                refused=form.at(Field::Name)
            />
            <NewPasswordInput id="password" label="Password" refused=form.at(Field::Password)/>
            <fieldset class="grid gap-2" aria-describedby="plan-note">
                <legend class="label mb-1.5">"Plan"</legend>
                <div class="grid gap-2.5 sm:grid-cols-3">
                    {plans
                        .into_iter()
                        .map(|p| {
                            let checked = p.id == plan;
                            view! { <PlanChoice plan=p checked=checked/> }
                        })
                        .collect_view()}
                </div>
                <p id="plan-note" class="note text-bad empty:hidden" aria-live="polite">
                    {move || plan_error.get().map(|s| format!("⚠ {s}"))}
                </p>
            </fieldset>
            {mail.map(|mail| view! { <MailInput typed=mail refused=form.at(Field::Mail)/> })}
            <Submit
                busy=form.busy
                class="btn btn-p btn-lg"
                text="Make my network"
                waiting="Making your account …"
            />
        </form>
    }
}

/// The invitation. A refusal keeps everything else that was typed.
#[component]
fn InvitationInput(code: String, refused: Signal<Option<String>>) -> impl IntoView {
    let hint = match code.is_empty() {
        true => "You need one to sign up here: the text behind “invitation=” of your link.",
        false => "",
    };
    let note = Signal::derive(move || Note::or_hint(refused.get(), hint));
    view! {
        <FormField id="invitation" label="Invitation" note=note>
            <input
                id="invitation"
                class="field mono"
                type="text"
                name="invitation"
                value=code
                autocomplete="off"
                autocapitalize="none"
                spellcheck="false"
                maxlength="64"
                aria-describedby="invitation-note"
                aria-invalid=move || note.with(Note::is_bad).to_string()
            />
        </FormField>
    }
}

/// The mail address, which may be left out.
#[component]
fn MailInput(typed: String, refused: Signal<Option<String>>) -> impl IntoView {
    let hint = "For a new password if you forget yours. You can leave it out.";
    let note = Signal::derive(move || Note::or_hint(refused.get(), hint));
    view! {
        <FormField id="mail" label="Mail address (optional)" note=note>
            <input
                id="mail"
                class="field"
                type="email"
                name="mail"
                value=typed
                autocomplete="email"
                autocapitalize="none"
                spellcheck="false"
                dir="ltr"
                maxlength="254"
                aria-describedby="mail-note"
                aria-invalid=move || note.with(Note::is_bad).to_string()
            />
        </FormField>
    }
}

#[component]
fn PlanChoice(plan: Plan, checked: bool) -> impl IntoView {
    let facts = [
        plan_text::devices(&plan),
        plan_text::speed(&plan),
        plan_text::data(&plan),
    ];
    let then = plan_text::at_limit(&plan);
    view! {
        <label class="choice">
            <input type="radio" name="plan" value=plan.id checked=checked required/>
            <span>
                <span class="font-semibold">{plan.name}</span>
                {facts.map(|fact| view! { <span class="s block">{fact}</span> })}
                <span class="s block">{then}</span>
            </span>
        </label>
    }
}
