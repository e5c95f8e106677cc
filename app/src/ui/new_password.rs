//! The input for a new password.

use super::{
    form::{Field as FormField, Note},
    password_input::{PasswordInput, PasswordKind},
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
            <PasswordInput
                id=id
                kind=PasswordKind::New
                max="256"
                is_bad=Signal::derive(move || note.with(Note::is_bad))
                on_typed=Callback::new(move |typed: String| {
                    current.set(false);
                    score.set((!typed.is_empty()).then(|| strength(&typed)));
                })
            />
            <progress
                class="meter live-only"
                max="4"
                value=move || score.get().unwrap_or_default().to_string()
                aria-hidden="true"
            ></progress>
        </FormField>
    }
}
