//! Parts of forms. An input stands inside its `Field`; what the field has to
//! say about it (an error, else a hint) stands in one place below, which
//! screen readers are told of when it changes.

use leptos::{children::TypedChildren, prelude::*};
use std::time::Duration;

/// Waits shorter than this are not told: a text that flickers helps nobody.
const SOON: Duration = Duration::from_millis(300);

/// What a field says below its input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Note {
    /// Nothing.
    #[default]
    None,
    /// What to type.
    Hint(String),
    /// What was typed is good.
    Good(String),
    /// What was typed cannot be, and what to do.
    Bad(String),
}

impl Note {
    /// The error where there is one, else the hint.
    pub fn or_hint(error: Option<String>, hint: &str) -> Self {
        match error {
            Some(sentence) => Self::Bad(sentence),
            None if hint.is_empty() => Self::None,
            None => Self::Hint(hint.to_owned()),
        }
    }

    /// Whether it is an error: for `aria-invalid`.
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

    /// `None` leaves the element empty, so that `empty:hidden` takes its gap away.
    fn text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Hint(s) => Some(s.clone()),
            // A sign as well: never by colour alone.
            Self::Good(s) => Some(format!("✓ {s}")),
            Self::Bad(s) => Some(format!("⚠ {s}")),
        }
    }
}

/// A labelled input with its note. Give the input `id=id` and
/// `aria-describedby=format!("{id}-note")`.
#[component]
pub fn Field<C>(
    /// The input's id.
    id: &'static str,
    /// The label.
    #[prop(into)]
    label: String,
    /// What stands below.
    #[prop(into)]
    note: Signal<Note>,
    /// The input.
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

/// A form's button: while `busy` it takes no click, and after a moment it says
/// what is waited for.
#[component]
pub fn Submit(
    /// Whether the answer is under way.
    busy: RwSignal<bool>,
    /// Its classes.
    #[prop(default = "btn btn-p")]
    class: &'static str,
    /// Its text.
    #[prop(into)]
    text: String,
    /// Its text while it waits, e.g. "Signing in …".
    waiting: &'static str,
) -> impl IntoView {
    let told = RwSignal::new(false);
    Effect::new(move |_| {
        if busy.get() {
            set_timeout(move || told.set(busy.get_untracked()), SOON);
        } else {
            told.set(false);
        }
    });
    view! {
        <button type="submit" class=class disabled=busy aria-busy=move || busy.get().to_string()>
            <span class="spinner" aria-hidden="true"></span>
            {move || if told.get() { waiting.to_owned() } else { text.clone() }}
        </button>
    }
}

/// The sentence about the whole form, above it.
#[component]
pub fn TopError(
    /// The sentence, if there is one.
    #[prop(into)]
    sentence: Signal<Option<String>>,
) -> impl IntoView {
    view! {
        <div role="alert" class="empty:hidden">
            {move || {
                sentence
                    .get()
                    .map(|s| view! { <p class="banner banner-bad"><b>"⚠"</b>" "{s}</p> })
            }}
        </div>
    }
}
