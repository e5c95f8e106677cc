//! Small parts that islands use too.

use super::format;
use crate::icons::{Glyph, Icon};
use domain::{Problem, Timestamp};
use leptos::prelude::*;

/// What a colour says. Never alone: a text stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Works, connected.
    Live,
    /// Wants attention.
    Warn,
    /// Does not work.
    Bad,
    /// Ours, recommended.
    Accent,
}

impl Tone {
    /// The classes of a chip in this tone.
    pub const fn chip(self) -> &'static str {
        match self {
            Self::Plain => "chip",
            Self::Live => "chip chip-live",
            Self::Warn => "chip chip-warn",
            Self::Bad => "chip chip-bad",
            Self::Accent => "chip chip-accent",
        }
    }

    /// The classes of a dot in this tone. They differ in shape too: live is
    /// full with a halo, warn is half, plain is a ring.
    pub const fn dot(self) -> &'static str {
        match self {
            Self::Plain | Self::Accent => "dot",
            Self::Live => "dot dot-live",
            Self::Warn => "dot dot-warn",
            Self::Bad => "dot dot-bad",
        }
    }
}

/// A short state or number in a pill.
#[component]
pub fn Chip(
    /// Its tone.
    #[prop(optional)]
    tone: Tone,
    /// Its text.
    children: Children,
) -> impl IntoView {
    view! { <span class=tone.chip()>{children()}</span> }
}

/// A dot, with its meaning for screen readers and on hover.
#[component]
pub fn StatusDot(
    /// Its tone.
    tone: Tone,
    /// What it means, e.g. "online".
    #[prop(into)]
    label: String,
) -> impl IntoView {
    view! { <span class=tone.dot() role="img" aria-label=label.clone() title=label></span> }
}

/// The mark with the name, leading home.
#[component]
pub fn Brand(
    /// Where it leads.
    #[prop(default = "/")]
    href: &'static str,
) -> impl IntoView {
    view! {
        <a class="brand" href=href>
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

/// Light, dark or the system's choice, in turn. Worked by `/theme.js`, and
/// hidden where there is no JavaScript to work it.
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

/// "12 s ago", the exact time on hover. `now` is the server's clock: a
/// browser's may be years off.
#[component]
pub fn RelativeTime(
    /// When it was.
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

/// What a list shows while it is empty: what to do next.
#[component]
pub fn EmptyState(
    /// What belongs here.
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

/// A problem with what to do about it, above what it concerns. What holds it
/// has `role="status"`.
#[component]
pub fn Banner(
    /// The problem.
    problem: Problem,
    /// What it concerns, e.g. "DNS".
    #[prop(optional, into)]
    about: String,
) -> impl IntoView {
    let about = (!about.is_empty()).then(|| view! { <b>{about}": "</b> });
    view! {
        <div class="banner banner-warn">
            <Icon glyph=Glyph::Alert/>
            <p>{about}{problem.sentence}</p>
        </div>
    }
}

/// Ways to look at one thing, as links: (address, text, whether it is shown now).
#[component]
pub fn Segmented(
    /// What it chooses, for screen readers.
    #[prop(into)]
    label: String,
    /// Address, text, whether it is the present one.
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
