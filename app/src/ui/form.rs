//! Parts of forms. An input is inside its `Field`. Below it the field shows one
//! note, an error or a hint, and screen readers announce its changes.

use leptos::{children::TypedChildren, prelude::*};
use std::time::Duration;

/// Shorter waits do not change the button's text: it would only flicker.
const BUSY_TEXT_DELAY: Duration = Duration::from_millis(300);

/// The note below a field's input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Note {
    #[default]
    None,
    /// What to type.
    Hint(String),
    /// The input is valid.
    Good(String),
    /// The input is not valid, and what to do.
    Bad(String),
}

impl Note {
    /// Returns the error if there is one, otherwise the hint.
    pub fn or_hint(error: Option<String>, hint: &str) -> Self {
        match error {
            Some(message) => Self::Bad(message),
            None if hint.is_empty() => Self::None,
            None => Self::Hint(hint.to_owned()),
        }
    }

    /// Returns whether it is an error, for `aria-invalid`.
    pub const fn is_bad(&self) -> bool {
        matches!(self, Self::Bad(_))
    }

    fn class(&self) -> &'static str {
        match self {
            Self::None => "note empty:hidden",
            Self::Hint(_) => "note",
            Self::Good(_) => "note text-live",
            Self::Bad(_) => "note text-bad",
        }
    }

    /// Returns the text. `None` leaves the element empty, so that `empty:hidden`
    /// removes its gap.
    fn text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Hint(s) => Some(s.clone()),
            // A symbol too: colour is never the only sign.
            Self::Good(s) => Some(format!("✓ {s}")),
            Self::Bad(s) => Some(format!("⚠ {s}")),
        }
    }
}

/// A labelled input with its note. Give the input `id=id` and
/// `aria-describedby=format!("{id}-note")`.
#[component]
pub fn Field<C>(
    id: &'static str,
    #[prop(into)] label: String,
    /// The note below the input.
    #[prop(into)]
    note: Signal<Note>,
    children: TypedChildren<C>,
) -> impl IntoView
where
    C: IntoView + 'static,
{
    view! {
        <div class="grid gap-1.5">
            <label class="label" for=id>{label}</label>
            {children.into_inner()()}
            <p
                id=format!("{id}-note")
                class=move || note.with(Note::class)
                aria-live="polite"
            >
                {move || note.with(Note::text)}
            </p>
        </div>
    }
}

/// A form's button. While `busy` it is disabled, and after 300 ms it says what it
/// is waiting for.
#[component]
pub fn Submit(
    /// Whether the request is in progress.
    busy: RwSignal<bool>,
    /// The classes of the button.
    #[prop(default = "btn btn-p")]
    class: &'static str,
    /// The text of the button.
    #[prop(into)]
    text: String,
    /// The text while it waits, e.g. "Signing in …".
    #[prop(into)]
    waiting: String,
) -> impl IntoView {
    let show_waiting = RwSignal::new(false);
    Effect::new(move |_| {
        if busy.get() {
            set_timeout(
                move || show_waiting.set(busy.get_untracked()),
                BUSY_TEXT_DELAY,
            );
        } else {
            show_waiting.set(false);
        }
    });
    view! {
        <button type="submit" class=class disabled=busy aria-busy=move || busy.get().to_string()>
            <span class="spinner" aria-hidden="true"></span>
            {move || if show_waiting.get() { waiting.clone() } else { text.clone() }}
        </button>
    }
}

/// The message about the whole form, above it.
#[component]
pub fn TopError(
    /// The message, if there is one.
    #[prop(into)]
    message: Signal<Option<String>>,
) -> impl IntoView {
    view! {
        <div role="alert" class="empty:hidden">
            {move || {
                message
                    .get()
                    .map(|s| view! { <p class="banner banner-bad"><b>"⚠"</b>" "{s}</p> })
            }}
        </div>
    }
}
