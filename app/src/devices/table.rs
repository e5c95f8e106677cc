//! The devices table, which is a list of cards on a phone. Rows are keyed by
//! device: an event changes texts, never the rows.

use super::{
    SET,
    back::Back,
    confirm::ConfirmDelete,
    order::{Column, order},
    row::DeviceRow,
};
use crate::{
    dashboard::live::Live,
    forms::send,
    live::decoded,
    ui::{EmptyState, Glyph, Icon, TopError},
};
use domain::{DeviceId, Failure};
use leptos::{ev, html, prelude::*};

/// The forms whose buttons are the rows' mesh switches.
pub const MESH_ON: &str = "mesh-on";
/// See [`MESH_ON`].
pub const MESH_OFF: &str = "mesh-off";

/// What the rows share.
#[derive(Clone, Copy)]
pub struct Desk {
    /// The page's data.
    pub live: Live,
    /// The page the table stands on.
    pub back: Back,
    /// What went wrong last, in a sentence.
    pub error: RwSignal<Option<String>>,
    /// The device whose deletion is being asked about, with its label.
    pub doomed: RwSignal<Option<(DeviceId, String)>>,
}

impl Desk {
    /// Changes one thing of a device and shows what came of it. Says whether it
    /// was done.
    pub async fn change(self, id: DeviceId, what: &str, value: &str) -> bool {
        // Keys of ours and a number: nothing needs encoding.
        let body = format!("id={id}&{what}={value}");
        match send(SET.to_owned(), Some(body)).await {
            Ok(answer) => {
                self.error.set(None);
                if let Some(device) = decoded(&answer.text) {
                    self.live.put(device);
                }
                true
            }
            Err(failure) => {
                self.error.set(Some(failure.sentence));
                false
            }
        }
    }
}

/// The devices with everything that can be done to them in place.
#[component]
pub fn DevicesCard(
    /// The page's data.
    live: Live,
    /// The page it stands on.
    back: Back,
    /// What was refused, after a plain POST.
    failure: Option<Failure>,
) -> impl IntoView {
    let desk = Desk {
        live,
        back,
        error: RwSignal::new(failure.map(|f| f.sentence)),
        doomed: RwSignal::new(None),
    };
    let query = RwSignal::new(String::new());
    let by = RwSignal::new(Column::default());
    let all = live.follow(|v| v.devices.iter().map(|d| d.id).collect::<Vec<DeviceId>>());
    // Not at every event: see `order`.
    let shown = Memo::new(move |_| {
        all.with(|_| ());
        live.view
            .with_untracked(|v| query.with(|q| order(&v.devices, q, by.get())))
    });
    let limit = live.view.with_untracked(|v| v.plan.devices);
    let heading = NodeRef::<html::H2>::new();
    let none = move || all.with(Vec::is_empty);
    view! {
        <section class="card" aria-labelledby="devices-title">
            <div class="hd">
                <h2 id="devices-title" tabindex="-1" node_ref=heading>"Devices"</h2>
                <span class="chip">{move || all.with(|all| format!("{} of {limit}", all.len()))}</span>
                <span class="ms-auto"></span>
                <Show when=move || !none()>
                    <Search query=query/>
                </Show>
                <a class="btn btn-p" href="/devices/new">
                    <Icon glyph=Glyph::Plus class="icon-s"/>
                    "Add device"
                </a>
            </div>
            <div class="px-[18px] [&>:not(:empty)]:pb-3">
                <TopError sentence=desk.error/>
            </div>
            <SwitchForm id=MESH_ON to="on" back=back/>
            <SwitchForm id=MESH_OFF to="off" back=back/>
            <Show when=move || !none() fallback=NoDevice>
                <div class="scroll">
                    <table class="table cards" role="table">
                        <thead role="rowgroup">
                            <tr role="row">
                                <SortBy by=by column=Column::Label class="" text="Device"/>
                                <SortBy
                                    by=by
                                    column=Column::Handshake
                                    class=""
                                    text="Last handshake"
                                />
                                <SortBy
                                    by=by
                                    column=Column::Speed
                                    class="e"
                                    text="Down / up now, Mb/s"
                                />
                                <SortBy by=by column=Column::Total class="e" text="Down, up in all"/>
                                <th scope="col" role="columnheader">"DNS policy"</th>
                                <th scope="col" role="columnheader">"Mesh"</th>
                                <th scope="col" role="columnheader">
                                    <span class="sr-only">"Actions"</span>
                                </th>
                            </tr>
                        </thead>
                        <tbody role="rowgroup">
                            <For each=move || shown.get() key=|id| *id let:id>
                                {live
                                    .first(id)
                                    .map(|first| view! { <DeviceRow desk=desk first=first/> })}
                            </For>
                        </tbody>
                    </table>
                </div>
                <p class="s px-[18px] pb-4 empty:hidden" role="status">
                    {move || {
                        shown.with(Vec::is_empty).then_some("No device matches that search.")
                    }}
                </p>
            </Show>
            <ConfirmDelete desk=desk heading=heading/>
        </section>
    }
}

/// What a row's switch sends without a script: the switch adds the device.
#[component]
fn SwitchForm(id: &'static str, to: &'static str, back: Back) -> impl IntoView {
    view! {
        <form id=id method="post" action=SET hidden>
            <input type="hidden" name="mesh" value=to/>
            <input type="hidden" name="back" value=back.as_str()/>
        </form>
    }
}

#[component]
fn NoDevice() -> impl IntoView {
    view! {
        <EmptyState
            glyph=Glyph::Phone
            title="No device yet"
            text="Add your phone or laptop: name it, scan its code with the WireGuard app, and it is on your network."
        >
            <a class="btn btn-p mt-2" href="/devices/new">"Add your first device"</a>
        </EmptyState>
    }
}

/// The search. What was typed before the script came counts. `/` leads to it from anywhere on the page where nothing is
/// being typed, Escape empties it.
#[component]
fn Search(query: RwSignal<String>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        if let Some(input) = input.get_untracked() {
            query.set(input.value());
        }
        let handle = window_event_listener(ev::keydown, move |event| {
            let free = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
            if event.key() == "/"
                && free
                && !is_typing()
                && let Some(input) = input.get_untracked()
            {
                event.prevent_default();
                // Fails only where the element cannot take the focus.
                let _ = input.focus();
            }
        });
        on_cleanup(move || handle.remove());
    });
    view! {
        <input
            type="search"
            class="field live-only max-md:order-last md:w-48!"
            placeholder="Search   /"
            aria-label="Search devices"
            aria-keyshortcuts="/"
            autocomplete="off"
            node_ref=input
            on:input=move |event| query.set(event_target_value(&event))
            on:keydown=move |event| {
                if let Some(input) = input.get_untracked().filter(|_| event.key() == "Escape") {
                    input.set_value("");
                    query.set(String::new());
                }
            }
        />
    }
}

/// Whether the focus is where a "/" belongs to.
fn is_typing() -> bool {
    document().active_element().is_some_and(|e| {
        matches!(
            e.tag_name().as_str(),
            "INPUT" | "TEXTAREA" | "SELECT" | "DIALOG"
        )
    })
}

/// A column's heading, which sorts by it; again, and the order is as added. Until
/// the script is there it is a text: a disabled button takes no focus.
#[component]
fn SortBy(
    by: RwSignal<Column>,
    column: Column,
    class: &'static str,
    text: &'static str,
) -> impl IntoView {
    let on = move || by.get() == column;
    let way = if column == Column::Label {
        "ascending"
    } else {
        "descending"
    };
    let works = RwSignal::new(false);
    Effect::new(move |_| works.set(true));
    view! {
        <th
            scope="col"
            role="columnheader"
            class=class
            aria-sort=move || on().then_some(way)
        >
            <button
                type="button"
                class="enabled:hover:text-ink aria-pressed:text-accent"
                disabled=move || !works.get()
                aria-pressed=move || on().to_string()
                on:click=move |_| by.update(|b| *b = if *b == column { Column::Added } else { column })
            >
                {text}
                <span aria-hidden="true">{move || on().then_some(" ↓")}</span>
            </button>
        </th>
    }
}
