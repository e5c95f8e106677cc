//! The input for a password, with a button that shows what was typed.

use super::form::{Field as FormField, Note};
use leptos::prelude::*;

/// Why a password is asked for, which password managers want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordKind {
    /// It was chosen before.
    Present,
    /// It is chosen here.
    New,
}

/// The input and its button, inside the `Field` with the same id. Without scripts there is no
/// button, and the password stays hidden.
#[component]
pub fn PasswordInput(
    /// The id and the name of the input.
    id: &'static str,
    kind: PasswordKind,
    /// The most characters.
    max: &'static str,
    /// Whether it was refused.
    #[prop(into)]
    is_bad: Signal<bool>,
    /// Is called with what was typed.
    #[prop(optional)]
    on_typed: Option<Callback<String>>,
) -> impl IntoView {
    let visible = RwSignal::new(false);
    view! {
        <div class="field field-row">
            // What is shown must not reach a spelling service.
            <input
                id=id
                type=move || if visible.get() { "text" } else { "password" }
                name=id
                autocomplete=match kind {
                    PasswordKind::Present => "current-password",
                    PasswordKind::New => "new-password",
                }
                autocapitalize="none"
                spellcheck="false"
                required
                maxlength=max
                aria-describedby=format!("{id}-note")
                aria-invalid=move || is_bad.get().to_string()
                on:input=move |event| {
                    if let Some(on_typed) = on_typed {
                        on_typed.run(event_target_value(&event));
                    }
                }
            />
            <button
                type="button"
                class="btn btn-q btn-s live-only min-h-7! aria-pressed:text-accent"
                aria-label="Show password"
                aria-pressed=move || visible.get().to_string()
                aria-controls=id
                on:click=move |_| visible.update(|s| *s = !*s)
            >
                "Show"
            </button>
        </div>
    }
}

/// The field `password` of a plain page, whose form needs no script.
#[island]
pub fn PasswordField(
    /// Whether the password is chosen here.
    is_new: bool,
    /// Why it was refused.
    error: Option<String>,
    /// What to type; it may be empty.
    hint: String,
) -> impl IntoView {
    let is_bad = error.is_some();
    // A longer one is refused with a message, and not cut off.
    let (kind, max) = match is_new {
        true => (PasswordKind::New, "512"),
        false => (PasswordKind::Present, "256"),
    };
    view! {
        <FormField
            id="password"
            label="Password"
            note=Signal::stored(Note::or_hint(error, &hint))
        >
            <PasswordInput id="password" kind=kind max=max is_bad=Signal::stored(is_bad)/>
        </FormField>
    }
}
