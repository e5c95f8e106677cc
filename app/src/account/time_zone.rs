//! The card of the month: when it begins, and the time zone in which it does. A plain
//! form: a list of all time zones would be a burden on every page's script.

use crate::{
    forms::Refusal,
    tenant::data,
    ui::{Field as FormField, Note, TopError, plan_text},
};
use domain::{Field, Plan, period::time_zone_names, view::DataView};
use leptos::prelude::*;

/// When the month begins, with the form that sets the time zone. `/time-zone.js`
/// offers the browser's own zone first.
#[component]
pub fn MonthCard(
    plan: Plan,
    data: DataView,
    /// What was refused.
    failure: Option<Refusal>,
    /// Whether the time zone was just saved.
    saved: bool,
) -> impl IntoView {
    let begins = format!(
        "It begins {} at midnight in your time zone. The next one begins on {}.",
        plan_text::month_day(plan.month_day),
        data::next_month(&data)
    );
    let at_field = |f: &&Refusal| f.field == Some(Field::TimeZone);
    let refused = failure.as_ref().filter(at_field).map(|f| f.message.clone());
    let on_top = failure.filter(|f| !at_field(&f)).map(|f| f.message);
    let is_refused = refused.is_some();
    let hint = "The day and the hour of your month go by it.";
    let note = match (refused, saved) {
        (None, true) => Note::Good("Saved.".to_owned()),
        (refused, _) => Note::or_hint(refused, hint),
    };
    let current = data.time_zone;
    let mut names = time_zone_names();
    if !names.contains(&current) {
        names.insert(0, current.clone());
    }
    view! {
        <section class="card grid max-w-[620px] gap-3 p-[18px]" aria-labelledby="month-title">
            <h2 id="month-title">"Your month"</h2>
            <p class="s">{begins}</p>
            <TopError message=Signal::stored(on_top)/>
            <form class="grid gap-3" method="post" action="/do/set_time_zone">
                <FormField id="time_zone" label="Time zone" note=Signal::stored(note)>
                    <select
                        id="time_zone"
                        class="field"
                        name="time_zone"
                        autocomplete="off"
                        data-time-zones=""
                        dir="ltr"
                        aria-describedby="time_zone-note"
                        aria-invalid=is_refused.to_string()
                    >
                        {names
                            .into_iter()
                            .map(|name| {
                                let selected = name == current;
                                let text = name.replace('_', " ");
                                view! {
                                    <option value=name selected=selected>
                                        {text}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </select>
                </FormField>
                <div>
                    <button class="btn">"Save the time zone"</button>
                </div>
            </form>
            <script src="/time-zone.js" defer></script>
        </section>
    }
}
