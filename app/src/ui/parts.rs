//! Small components, which islands use too.

use super::{
    format,
    icons::{Glyph, Icon},
};
use domain::{Timestamp, view::ProblemView};
use leptos::prelude::*;

/// What a colour means. It is never the only sign: a text stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    /// Working or connected.
    Live,
    /// Needs attention.
    Warn,
    Bad,
    /// Highlighted, for example the recommended plan.
    Accent,
}

impl Tone {
    /// Returns the classes of a chip in this tone.
    pub const fn chip(self) -> &'static str {
        match self {
            Self::Plain => "chip",
            Self::Live => "chip chip-live",
            Self::Warn => "chip chip-warn",
            Self::Bad => "chip chip-bad",
            Self::Accent => "chip chip-accent",
        }
    }

    /// Returns the classes of a dot in this tone. Dots differ in shape too: live
    /// is full with a halo, warn is half filled, plain is a ring.
    pub const fn dot(self) -> &'static str {
        match self {
            Self::Plain | Self::Accent => "dot",
            Self::Live => "dot dot-live",
            Self::Warn => "dot dot-warn",
            Self::Bad => "dot dot-bad",
        }
    }
}

/// Shows a short state or number in a pill.
#[component]
pub fn Chip(#[prop(optional)] tone: Tone, children: Children) -> impl IntoView {
    view! { <span class=tone.chip()>{children()}</span> }
}

/// The logo with the name, as a link.
#[component]
pub fn Brand() -> impl IntoView {
    view! {
        <a class="brand" href="/">
            <svg width="24" height="24" viewBox="0 0 24 24" aria-hidden="true">
                <rect width="24" height="24" rx="7" fill="var(--accent)"></rect>
                <path
                    d="M6 16.5V9l3.2 3.6L12 7.5l2.8 5.1L18 9v7.5z"
                    fill="var(--accent-ink)"
                ></path>
            </svg>
            "MalikNode"
        </a>
    }
}

/// Cycles through the light theme, the dark theme and the system's choice.
/// `/theme.js` handles it; without JavaScript it is hidden.
#[component]
pub fn ThemeSwitch() -> impl IntoView {
    view! {
        <button
            type="button"
            class="btn btn-q btn-icon js-only"
            data-theme-switch=""
            aria-label="Change the theme"
            title="Light, dark, or as the system"
        >
            <Icon glyph=Glyph::Theme/>
        </button>
    }
}

/// Shows "12 s ago", with the exact time on hover. `now` is the server's clock: a
/// browser's may be years off.
#[component]
pub fn RelativeTime(
    /// The time to show.
    at: Timestamp,
    /// The server's clock.
    now: Timestamp,
) -> impl IntoView {
    view! {
        <time datetime=format::iso(at) title=format::exact(at)>
            {at.ago(now)}
        </time>
    }
}

/// What an empty list shows: what is missing and what to do next.
#[component]
pub fn EmptyState(
    glyph: Glyph,
    /// What is missing, e.g. "No device yet".
    #[prop(into)]
    title: String,
    /// What to do.
    #[prop(into)]
    text: String,
    /// The action, as a link or button.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty-state">
            <span class="empty-icon"><Icon glyph=glyph class="icon-lg"/></span>
            <p class="font-semibold">{title}</p>
            <p class="s max-w-[44ch]">{text}</p>
            {children.map(|c| c())}
        </div>
    }
}

/// A problem with what to do about it, above the content it concerns. The
/// enclosing element has `role="status"`.
#[component]
pub fn Banner(
    problem: ProblemView,
    /// The part it concerns, e.g. "DNS".
    #[prop(optional, into)]
    about: String,
) -> impl IntoView {
    let about = (!about.is_empty()).then(|| view! { <b>{about}": "</b> });
    view! {
        <div class="banner banner-warn">
            <Icon glyph=Glyph::Alert/>
            <p>{about}{problem.message}</p>
        </div>
    }
}

/// A choice between views of the same data, as links.
#[component]
pub fn Segmented(
    /// What is chosen, for screen readers.
    #[prop(into)]
    label: String,
    /// Address, text and whether this view is shown now.
    items: Vec<(String, String, bool)>,
) -> impl IntoView {
    view! {
        <nav class="seg" aria-label=label>
            {items
                .into_iter()
                .map(|(href, text, on)| {
                    view! {
                        <a href=href aria-current=on.then_some("page")>
                            {text}
                        </a>
                    }
                })
                .collect_view()}
        </nav>
    }
}
