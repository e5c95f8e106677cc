//! The forms that add and change a device.

use super::choices::Choice;
use crate::{
    forms::{Form, Refusal},
    ui::{Field as FormField, Note, Submit, TopError},
};
use domain::{DeviceId, DeviceLabel, Field, FilterPolicy, Routing};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The values of the inputs when the page is rendered: what was typed before a
/// refusal, or the device's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInput {
    pub label: String,
    /// Which traffic the device sends through the tunnel.
    pub routing: Routing,
    pub policy: FilterPolicy,
    /// Whether it is in the mesh.
    pub mesh: bool,
}

impl Default for DeviceInput {
    fn default() -> Self {
        Self {
            label: String::new(),
            routing: Routing::default(),
            policy: FilterPolicy::default(),
            mesh: true,
        }
    }
}

impl DeviceInput {
    /// Replaces these values by those of a query, as far as it has valid ones.
    pub fn with_query(self, get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            label: get("label").unwrap_or(self.label),
            routing: get("routing")
                .and_then(|r| r.parse().ok())
                .unwrap_or(self.routing),
            policy: get("policy")
                .and_then(|p| p.parse().ok())
                .unwrap_or(self.policy),
            mesh: get("mesh").map_or(self.mesh, |m| m == "on"),
        }
    }
}

/// The form that adds a device.
#[island]
pub fn AddForm(
    /// The values of the inputs.
    input: DeviceInput,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let form = Form::new(failure);
    let routing_error = form.at(Field::Routing);
    view! {
        <form
            class="grid gap-5"
            method="post"
            action="/do/add_device"
            on:submit=move |event| form.submit(event)
        >
            <TopError message=form.on_top(&[Field::Label, Field::Routing, Field::Policy])/>
            <LabelField form=form label=input.label autofocus=true/>
            <fieldset class="grid gap-2" aria-describedby="routing-note">
                <legend class="label mb-1.5">"What goes through the tunnel"</legend>
                {Routing::ALL
                    .into_iter()
                    .map(|r| {
                        view! {
                            <label class="choice">
                                <input
                                    type="radio"
                                    name="routing"
                                    value=r.as_str()
                                    checked=r == input.routing
                                />
                                <span>
                                    <span class="block font-semibold">{r.title()}</span>
                                    <span class="s">{r.meaning()}</span>
                                </span>
                            </label>
                        }
                    })
                    .collect_view()}
                <p id="routing-note" class="note text-bad empty:hidden" aria-live="polite">
                    {move || routing_error.get().map(|s| format!("⚠ {s}"))}
                </p>
            </fieldset>
            <PolicyField form=form policy=input.policy/>
            <MeshField mesh=input.mesh/>
            <div class="row">
                <Submit busy=form.busy text="Add device" waiting="Adding it …"/>
                <a class="btn btn-q" href="/devices">"Cancel"</a>
            </div>
        </form>
    }
}

/// The form that changes a device's label, policy and mesh.
#[island]
pub fn ChangeForm(
    id: DeviceId,
    /// The values of the inputs.
    input: DeviceInput,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let form = Form::new(failure);
    view! {
        <form
            class="grid gap-4"
            method="post"
            action="/do/change_device"
            on:submit=move |event| form.submit(event)
        >
            <TopError message=form.on_top(&[Field::Label, Field::Policy])/>
            <input type="hidden" name="id" value=id.to_string()/>
            <LabelField form=form label=input.label autofocus=false/>
            <PolicyField form=form policy=input.policy/>
            <MeshField mesh=input.mesh/>
            <div class="row">
                <Submit busy=form.busy text="Save" waiting="Saving …"/>
                <a class="btn btn-q btn-d ms-auto" href=format!("/devices/{id}/delete")>
                    "Delete device"
                </a>
            </div>
        </form>
    }
}

#[component]
fn LabelField(form: Form, label: String, autofocus: bool) -> impl IntoView {
    let error = form.at(Field::Label);
    let note = Signal::derive(move || {
        Note::or_hint(error.get(), "A name for it, for example “My phone”.")
    });
    view! {
        <FormField id="label" label="Label" note=note>
            <input
                id="label"
                class="field"
                type="text"
                name="label"
                value=label
                required
                maxlength=DeviceLabel::MAX.to_string()
                autocomplete="off"
                autofocus=autofocus
                dir="auto"
                aria-describedby="label-note"
                aria-invalid=move || error.get().is_some().to_string()
            />
        </FormField>
    }
}

/// The policy's menu, with the meaning of the chosen policy below it.
#[component]
fn PolicyField(form: Form, policy: FilterPolicy) -> impl IntoView {
    let error = form.at(Field::Policy);
    let chosen = RwSignal::new(policy);
    let note = Signal::derive(move || Note::or_hint(error.get(), chosen.get().meaning()));
    view! {
        <FormField id="policy" label="DNS policy" note=note>
            <select
                id="policy"
                class="field"
                name="policy"
                autocomplete="off"
                aria-describedby="policy-note"
                on:change=move |event| {
                    if let Ok(policy) = event_target_value(&event).parse() {
                        chosen.set(policy);
                    }
                }
            >
                {FilterPolicy::ALL
                    .into_iter()
                    .map(|p| {
                        view! {
                            <option value=p.as_str() selected=p == policy>
                                {p.title()}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
        </FormField>
    }
}

#[component]
fn MeshField(mesh: bool) -> impl IntoView {
    view! {
        <label class="flex items-start gap-3">
            <input
                type="checkbox"
                role="switch"
                class="sw mt-0.5"
                name="mesh"
                value="on"
                checked=mesh
                autocomplete="off"
                aria-describedby="mesh-note"
            />
            <span>
                <span class="label block">"In the mesh"</span>
                <span class="s" id="mesh-note">
                    "Your other mesh devices may reach it, and it them."
                </span>
            </span>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_values_of_a_query_fill_the_inputs() {
        let input = DeviceInput::default().with_query(|key| {
            [
                ("label", "My phone"),
                ("routing", "dns"),
                ("policy", "loud"),
                ("mesh", "off"),
            ]
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, v)| (*v).to_owned())
        });
        assert_eq!(
            input,
            DeviceInput {
                label: "My phone".into(),
                routing: Routing::Dns,
                policy: FilterPolicy::Standard,
                mesh: false
            }
        );
        assert_eq!(
            DeviceInput::default().with_query(|_| None),
            DeviceInput::default()
        );
    }
}
