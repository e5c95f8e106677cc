//! Instructions for connecting each kind of device, as tabs without a script:
//! radio buttons, of which the checked one shows its list.

use super::steps::{PLATFORMS, Platform, Way};
use leptos::prelude::*;

#[component]
pub fn Guide(
    /// The platform whose browser asks, if it is one of ours.
    here: Option<&'static Platform>,
    /// The name of the device's file, without its `.conf`.
    stem: String,
) -> impl IntoView {
    let shown = here.unwrap_or(&PLATFORMS[0]).id;
    view! {
        <fieldset class="group grid min-w-0 gap-3">
            <legend class="sr-only">"Instructions for"</legend>
            <div class="seg overflow-x-auto">
                {PLATFORMS
                    .iter()
                    .map(|p| {
                        view! {
                            <label class="relative">
                                <input
                                    type="radio"
                                    name="platform"
                                    id=format!("on-{}", p.id)
                                    checked=p.id == shown
                                />
                                {p.name}
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
            {PLATFORMS
                .iter()
                .map(|p| {
                    let is_here = here.is_some_and(|here| here.id == p.id);
                    view! {
                        <div class=format!("{} gap-4", p.list_class)>
                            {p
                                .ways(is_here)
                                .map(|way| view! { <Steps way=way stem=stem.clone()/> })
                                .collect_view()}
                        </div>
                    }
                })
                .collect_view()}
        </fieldset>
    }
}

#[component]
fn Steps(way: &'static Way, stem: String) -> impl IntoView {
    view! {
        <div class="grid gap-2">
            {(!way.title.is_empty()).then(|| view! { <p class="font-semibold">{way.title}</p> })}
            <ol class="grid list-decimal gap-2 ps-5">
                {way
                    .steps
                    .iter()
                    .map(|step| {
                        view! { <li class="ps-1">{marked(&step.replace("NAME", &stem))}</li> }
                    })
                    .collect_view()}
            </ol>
        </div>
    }
}

/// Renders `**bold**` as `<b>`, and what is between backticks as a command.
fn marked(step: &str) -> AnyView {
    step.split('`')
        .enumerate()
        .map(|(i, part)| match i % 2 {
            1 => view! { <code class="mono wrap-anywhere" dir="ltr">{part.to_owned()}</code> }
                .into_any(),
            _ => emphasised(part),
        })
        .collect_view()
        .into_any()
}

fn emphasised(text: &str) -> AnyView {
    text.split("**")
        .enumerate()
        .map(|(i, part)| match i % 2 {
            1 => view! { <b>{part.to_owned()}</b> }.into_any(),
            _ => part.to_owned().into_any(),
        })
        .collect_view()
        .into_any()
}
