//! The inputs of a plan's form, with what is wrong below them.

use crate::{
    forms::{self, Refusal},
    ui::{Field as FormField, Note, quantity::Unit},
};
use domain::{AtLimit, Field, plan};
use leptos::prelude::*;

/// The fields of the form.
pub const FIELDS: [Field; 9] = [
    Field::PlanId,
    Field::Name,
    Field::Devices,
    Field::Data,
    Field::Down,
    Field::Up,
    Field::AtLimit,
    Field::Slow,
    Field::MonthDay,
];

/// What is wrong, by field.
#[derive(Clone, Copy)]
pub struct Errors(StoredValue<Option<Refusal>>);

impl Errors {
    /// Holds a refusal.
    pub fn new(failure: Option<Refusal>) -> Self {
        Self(StoredValue::new(failure))
    }

    /// Returns the message for one field.
    pub fn at(self, field: Field) -> Option<String> {
        let failure = self.0.get_value();
        failure
            .filter(|f| f.field == Some(field))
            .map(|f| f.message)
    }

    /// Returns the message for the whole form.
    pub fn on_top(self) -> Option<String> {
        let belongs = |f: &Refusal| f.field.is_none_or(|at| !FIELDS.contains(&at));
        self.0.get_value().filter(belongs).map(|f| f.message)
    }
}

/// One line of text or digits.
#[component]
pub fn Line(
    errors: Errors,
    field: Field,
    label: &'static str,
    hint: &'static str,
    value: String,
    #[prop(optional)] numeric: bool,
    /// Another field whose errors are shown here.
    #[prop(optional)]
    also: Option<Field>,
) -> impl IntoView {
    let error = errors.at(field).or_else(|| errors.at(also?));
    let is_refused = error.is_some();
    let id = forms::field_name(field);
    let mode = numeric.then_some("numeric");
    let longest = if numeric { 4 } else { plan::MAX_NAME_CHARS };
    view! {
        <FormField id=id label=label note=Signal::stored(Note::or_hint(error, hint))>
            <input
                id=id
                class="field"
                type="text"
                name=id
                value=value
                required
                inputmode=mode
                maxlength=longest.to_string()
                autocomplete="off"
                autofocus=is_refused
                dir="auto"
                aria-describedby=format!("{id}-note")
                aria-invalid=is_refused.to_string()
            />
        </FormField>
    }
}

/// A number with its unit beside it.
#[component]
pub fn Quantity(
    errors: Errors,
    field: Field,
    label: &'static str,
    hint: &'static str,
    value: String,
    unit: String,
    units: [Unit; 4],
) -> impl IntoView {
    let error = errors.at(field);
    let is_refused = error.is_some();
    let id = forms::field_name(field);
    view! {
        <FormField id=id label=label note=Signal::stored(Note::or_hint(error, hint))>
            <div class="field field-row">
                <input
                    id=id
                    type="text"
                    name=id
                    value=value
                    inputmode="decimal"
                    maxlength="24"
                    autocomplete="off"
                    autofocus=is_refused
                    dir="ltr"
                    aria-describedby=format!("{id}-note")
                    aria-invalid=is_refused.to_string()
                />
                <select
                    class="unit"
                    name=format!("{id}_unit")
                    aria-label=format!("Unit of “{label}”")
                    autocomplete="off"
                >
                    {units
                        .map(|u| {
                            view! {
                                <option value=u.name selected=u.name == unit>
                                    {u.name}
                                </option>
                            }
                        })
                        .into_iter()
                        .collect_view()}
                </select>
            </div>
        </FormField>
    }
}

#[component]
pub fn AtLimitChoice(errors: Errors, chosen: String) -> impl IntoView {
    let error = errors.at(Field::AtLimit).map(|m| format!("⚠ {m}"));
    let choices = [
        (
            AtLimit::Slow,
            "Slower",
            "Everything works on, at the speed below.",
        ),
        (
            AtLimit::Stop,
            "Stopped",
            "Devices reach DNS and each other only.",
        ),
    ];
    view! {
        <fieldset class="grid gap-2" aria-describedby="at_limit-note">
            <legend class="label mb-1.5">"Once the month's data is used up"</legend>
            <div class="grid gap-2.5 sm:grid-cols-2">
                {choices
                    .map(|(at_limit, title, text)| {
                        view! {
                            <label class="choice">
                                <input
                                    type="radio"
                                    name="at_limit"
                                    value=at_limit.as_str()
                                    checked=at_limit.as_str() == chosen
                                    required
                                />
                                <span>
                                    <span class="block font-semibold">{title}</span>
                                    <span class="s">{text}</span>
                                </span>
                            </label>
                        }
                    })
                    .into_iter()
                    .collect_view()}
            </div>
            <p id="at_limit-note" class="note text-bad empty:hidden">{error}</p>
        </fieldset>
    }
}

#[component]
pub fn Switch(
    name: &'static str,
    title: &'static str,
    text: &'static str,
    on: bool,
) -> impl IntoView {
    view! {
        <label class="flex items-start gap-3">
            <input
                type="checkbox"
                role="switch"
                class="sw mt-0.5"
                name=name
                value="on"
                checked=on
                autocomplete="off"
                aria-describedby=format!("{name}-note")
            />
            <span>
                <span class="label block">{title}</span>
                <span class="s" id=format!("{name}-note")>{text}</span>
            </span>
        </label>
    }
}
