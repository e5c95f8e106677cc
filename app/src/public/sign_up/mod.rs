//! Signing up: a name, checked while it is typed; a password with its strength; a
//! plan.

mod name;
#[cfg(feature = "ssr")]
pub mod page;
mod strength;

#[cfg(feature = "ssr")]
pub use name::{CheckName, check_name};
pub use name::{NameAvailability, NameInput, NameRules};

#[cfg(feature = "ssr")]
use crate::forms::{self, AppError};
use crate::{
    forms::{Form, Refusal},
    ui::{Field as FormField, Note, Submit, TopError, plan_text},
};
#[cfg(feature = "ssr")]
use domain::Failure;
use domain::{Field, Plan};
use leptos::prelude::*;
use strength::strength;

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
        };
        let ticket = control()?.tenants().sign_up(form, context.from).await?;
        Ok((context, ticket))
    }
    .await;
    let (context, ticket) =
        created.map_err(|f| forms::refuse(f, "/sign-up", &[("name", &name), ("plan", &plan)]))?;
    forms::redirect(&forms::handoff_url(&context, &ticket, "/progress"));
    Ok(())
}

const FIELDS: &[Field] = &[Field::Name, Field::Password, Field::Plan];

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
            <NameInput
                base=base
                typed=name
                rules=rules
                initial=initial
                refused=form.at(Field::Name)
            />
            <PasswordInput refused=form.at(Field::Password)/>
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
            <Submit
                busy=form.busy
                class="btn btn-p btn-lg"
                text="Make my network"
                waiting="Making your account …"
            />
        </form>
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

/// The password with a strength meter that follows the typing. The server decides
/// when the form is sent; the meter only avoids a refusal.
#[component]
fn PasswordInput(refused: Signal<Option<String>>) -> impl IntoView {
    let score = RwSignal::new(None::<u8>);
    let visible = RwSignal::new(false);
    // Whether the refusal is about the present input.
    let current = RwSignal::new(true);
    Effect::new(move |_| {
        refused.track();
        current.set(true);
    });
    let note = Signal::derive(move || {
        Note::or_hint(
            refused.get().filter(|_| current.get()),
            match score.get() {
                None => "Ten characters or more. Four random words are good.",
                Some(0) => "Very easy to guess.",
                Some(1) => "Easy to guess.",
                Some(2) => "Could be longer.",
                Some(3) => "Good.",
                Some(_) => "Very good.",
            },
        )
    });
    view! {
        <FormField id="password" label="Password" note=note>
            <div class="field field-row">
                <input
                    id="password"
                    type=move || if visible.get() { "text" } else { "password" }
                    name="password"
                    autocomplete="new-password"
                    required
                    maxlength="256"
                    aria-describedby="password-note"
                    aria-invalid=move || note.with(Note::is_bad).to_string()
                    on:input=move |event| {
                        let typed = event_target_value(&event);
                        current.set(false);
                        score.set((!typed.is_empty()).then(|| strength(&typed)));
                    }
                />
                <button
                    type="button"
                    class="btn btn-q btn-s live-only min-h-7! aria-pressed:text-accent"
                    aria-label="Show password"
                    aria-pressed=move || visible.get().to_string()
                    on:click=move |_| visible.update(|s| *s = !*s)
                >
                    "Show"
                </button>
            </div>
            <progress
                class="meter live-only"
                max="4"
                value=move || score.get().unwrap_or_default().to_string()
                aria-hidden="true"
            ></progress>
        </FormField>
    }
}
