//! The forms that add and change a device.

use super::choices::Choice;
use crate::{
    forms::{Form, Refusal},
    ui::{Field as FormField, Note, Submit, TopError},
};
use domain::{DeviceId, DeviceLabel, Field, FilterPolicy, Routing, TunnelOptions};
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
    /// What else its configuration says.
    pub options: TunnelOptions,
}

impl Default for DeviceInput {
    fn default() -> Self {
        Self {
            label: String::new(),
            routing: Routing::default(),
            policy: FilterPolicy::default(),
            mesh: true,
            options: TunnelOptions::default(),
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
            options: TunnelOptions {
                small_packets: get("small_packets")
                    .map_or(self.options.small_packets, |s| s == "on"),
                ipv4_only: get("ipv4_only").map_or(self.options.ipv4_only, |s| s == "on"),
            },
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
    view! {
        <form
            class="grid gap-5"
            method="post"
            action="/do/add_device"
            on:submit=move |event| form.submit(event)
        >
            <TopError message=form.on_top(&[Field::Label, Field::Routing, Field::Policy])/>
            <LabelField form=form label=input.label autofocus=true/>
            <RoutingField form=form routing=input.routing/>
            <PolicyField form=form policy=input.policy/>
            <MeshField mesh=input.mesh/>
            <AdvancedFields options=input.options/>
            <div class="row">
                <Submit busy=form.busy text="Add device" waiting="Adding it …"/>
                <a class="btn btn-q" href="/devices">"Cancel"</a>
            </div>
        </form>
    }
}

/// The form that changes a device.
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
            <TopError message=form.on_top(&[Field::Label, Field::Routing, Field::Policy])/>
            <input type="hidden" name="id" value=id.to_string()/>
            <LabelField form=form label=input.label autofocus=false/>
            <PolicyField form=form policy=input.policy/>
            <MeshField mesh=input.mesh/>
            <RoutingField form=form routing=input.routing/>
            <AdvancedFields options=input.options/>
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

/// What goes through the tunnel.
#[component]
fn RoutingField(form: Form, routing: Routing) -> impl IntoView {
    let error = form.at(Field::Routing);
    view! {
        <fieldset class="grid gap-2" aria-describedby="routing-note routing-windows">
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
                                checked=r == routing
                                autocomplete="off"
                            />
                            <span>
                                <span class="block font-semibold">{r.title()}</span>
                                <span class="s">{r.meaning()}</span>
                            </span>
                        </label>
                    }
                })
                .collect_view()}
            <p id="routing-windows" class="note">
                "On Windows only “Everything” also blocks what is outside the tunnel. With the others Windows may ask other DNS servers too, which filter nothing."
            </p>
            <p id="routing-note" class="note text-bad empty:hidden" aria-live="polite">
                {move || error.get().map(|s| format!("⚠ {s}"))}
            </p>
        </fieldset>
    }
}

#[component]
fn MeshField(mesh: bool) -> impl IntoView {
    view! {
        <SwitchField
            name="mesh"
            label="In the mesh"
            note="Your other mesh devices may reach it, and it them."
            is_on=mesh
        />
    }
}

/// What few devices need, folded away until one of it is on.
#[component]
fn AdvancedFields(options: TunnelOptions) -> impl IntoView {
    let is_open = options != TunnelOptions::default();
    view! {
        <details open=is_open>
            <summary class="s">"Advanced"</summary>
            <div class="mt-3 grid gap-4">
                <SwitchField
                    name="small_packets"
                    label="Small packets"
                    note="For a line that loses large packets: the tunnel connects, and pages or downloads stall."
                    is_on=options.small_packets
                />
                <SwitchField
                    name="ipv4_only"
                    label="IPv4 only"
                    note="For a system where IPv6 is switched off and the file is refused. IPv6, where the device has it after all, does not go through the tunnel."
                    is_on=options.ipv4_only
                />
            </div>
        </details>
    }
}

#[component]
fn SwitchField(
    name: &'static str,
    label: &'static str,
    note: &'static str,
    is_on: bool,
) -> impl IntoView {
    let note_id = format!("{}-note", name.replace('_', "-"));
    view! {
        <label class="flex items-start gap-3">
            <input
                type="checkbox"
                role="switch"
                class="sw mt-0.5"
                name=name
                value="on"
                checked=is_on
                autocomplete="off"
                aria-describedby=note_id.clone()
            />
            <span>
                <span class="label block">{label}</span>
                <span class="s" id=note_id>
                    {note}
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
                ("small_packets", "on"),
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
                mesh: false,
                options: TunnelOptions {
                    small_packets: true,
                    ipv4_only: false
                }
            }
        );
        assert_eq!(
            DeviceInput::default().with_query(|_| None),
            DeviceInput::default()
        );
    }
}
