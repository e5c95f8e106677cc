//! The input for a new password.

use super::{
    form::{Field as FormField, Note},
    strength::strength,
};
use leptos::prelude::*;

/// The password with a strength meter that follows the typing. The server decides
/// when the form is sent; the meter only avoids a refusal.
#[component]
pub fn NewPasswordInput(
    /// The id and the name of the input.
    id: &'static str,
    #[prop(into)] label: String,
    /// Why it was refused.
    refused: Signal<Option<String>>,
) -> impl IntoView {
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
                None => "Twelve characters or more. Four random words are good.",
                Some(0) => "Very easy to guess.",
                Some(1) => "Easy to guess.",
                Some(2) => "Could be longer.",
                Some(3) => "Good.",
                Some(_) => "Very good.",
            },
        )
    });
    view! {
        <FormField id=id label=label note=note>
            <div class="field field-row">
                <input
                    id=id
                    type=move || if visible.get() { "text" } else { "password" }
                    name=id
                    autocomplete="new-password"
                    required
                    maxlength="256"
                    aria-describedby=format!("{id}-note")
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
