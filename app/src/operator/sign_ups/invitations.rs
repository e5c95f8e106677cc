//! The form that makes an invitation, and the link that is shown once.

use crate::{
    forms::Refusal,
    ui::{Field as FormField, Note},
};
use domain::{Field, InvitationTerms, Plan};
use leptos::prelude::*;

/// What was typed into the form before.
#[derive(Clone, Debug)]
pub struct Typed {
    plan: String,
    uses: String,
    lifetime: String,
    note: String,
}

impl Typed {
    /// Reads a query.
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            plan: get("plan").unwrap_or_default(),
            uses: get("uses").unwrap_or_else(|| "1".to_owned()),
            // A week.
            lifetime: get("lifetime").unwrap_or_else(|| "168".to_owned()),
            note: get("note").unwrap_or_default(),
        }
    }
}

/// The link of an invitation that was just made.
#[component]
pub fn Link(link: String) -> impl IntoView {
    view! {
        <section class="card grid max-w-[760px] gap-3 p-[22px] max-md:p-4" aria-label="Link">
            <p role="status">
                "The invitation is made. Give this link to whom it is for: it is shown "
                <b>"only now"</b> "."
            </p>
            // A click selects all of it.
            <pre
                class="mono select-all overflow-x-auto whitespace-pre-wrap break-all rounded-s border border-line bg-sunken p-3"
                tabindex="0"
                aria-label="The link"
            >
                {link}
            </pre>
        </section>
    }
}

/// The form for an invitation.
#[component]
pub fn NewInvitation(plans: Vec<Plan>, typed: Typed, refusal: Option<Refusal>) -> impl IntoView {
    let note = move |field: Field, hint: &str| {
        let error = refusal.as_ref().filter(|f| f.field == Some(field));
        Signal::stored(Note::or_hint(error.map(|f| f.message.clone()), hint))
    };
    let (uses, lifetime, for_operators) = (
        note(Field::Uses, "How many tenants may sign up with it."),
        note(Field::Lifetime, "24 is a day, 168 a week, 8760 a year."),
        note(Field::Note, "For the operators."),
    );
    let chosen = typed.plan.clone();
    let options = plans.into_iter().map(move |plan| {
        let text = match plan.visible {
            true => plan.name,
            false => format!("{} (hidden)", plan.name),
        };
        let selected = plan.id == chosen;
        view! {
            <option value=plan.id selected=selected>
                {text}
            </option>
        }
    });
    view! {
        <form
            class="card grid max-w-[760px] gap-4 p-[22px] max-md:p-4"
            method="post"
            action="/do/create_invitation"
        >
            <h2>"Make an invitation"</h2>
            <div class="grid gap-4 sm:grid-cols-2">
                <FormField
                    id="plan"
                    label="Plan"
                    note=Signal::stored(
                        Note::Hint("A hidden plan can be had by invitation.".to_owned()),
                    )
                >
                    <select id="plan" class="field" name="plan" aria-describedby="plan-note">
                        <option value="">"The visitor chooses"</option>
                        {options.collect_view()}
                    </select>
                </FormField>
                <FormField id="uses" label="Uses" note=uses>
                    <input
                        id="uses"
                        class="field"
                        type="number"
                        name="uses"
                        value=typed.uses
                        min="1"
                        max=InvitationTerms::MAX_USES.to_string()
                        required
                        aria-describedby="uses-note"
                        aria-invalid=uses.with_untracked(Note::is_bad).to_string()
                    />
                </FormField>
                <FormField id="lifetime" label="Valid for hours" note=lifetime>
                    <input
                        id="lifetime"
                        class="field"
                        type="number"
                        name="lifetime"
                        value=typed.lifetime
                        min="1"
                        max=InvitationTerms::MAX_HOURS.to_string()
                        required
                        aria-describedby="lifetime-note"
                        aria-invalid=lifetime.with_untracked(Note::is_bad).to_string()
                    />
                </FormField>
                <FormField id="note" label="Note" note=for_operators>
                    <input
                        id="note"
                        class="field"
                        type="text"
                        name="note"
                        value=typed.note
                        autocomplete="off"
                        maxlength=InvitationTerms::MAX_NOTE.to_string()
                        aria-describedby="note-note"
                        aria-invalid=for_operators.with_untracked(Note::is_bad).to_string()
                    />
                </FormField>
            </div>
            <div class="row">
                <button class="btn btn-p">"Make an invitation"</button>
                <span class="xs">
                    "Many at once: " <code>"maliknode invite create --count 100"</code>
                </span>
            </div>
        </form>
    }
}
