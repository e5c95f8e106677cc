//! The devices table, which is a list of cards on a phone. Rows are keyed by
//! device: an event changes the texts of a row and never replaces the row.

use super::{
    confirm::ConfirmDelete,
    endpoints::SET_DEVICE,
    order::{Column, order},
    return_page::ReturnPage,
    row::DeviceRow,
    table_state::{MESH_OFF_FORM, MESH_ON_FORM, TableState},
};
use crate::{
    forms::Refusal,
    tenant::LiveData,
    ui::{EmptyState, Glyph, Icon, TopError},
};
use domain::DeviceId;
use leptos::{ev, html, prelude::*};

/// The card with all devices: search, sorting, settings and deletion.
#[component]
pub fn DevicesCard(
    live: LiveData,
    /// The page that contains the card.
    return_page: ReturnPage,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let table = TableState {
        live,
        return_page,
        error: RwSignal::new(failure.map(|f| f.message)),
        pending_delete: RwSignal::new(None),
    };
    let query = RwSignal::new(String::new());
    let sort_by = RwSignal::new(Column::default());
    let all = live.derive(|v| v.devices.iter().map(|d| d.id).collect::<Vec<DeviceId>>());
    // This memo does not run at every event; `order` has the reason.
    let shown = Memo::new(move |_| {
        all.with(|_| ());
        live.view
            .with_untracked(|v| query.with(|q| order(&v.devices, q, sort_by.get())))
    });
    let limit = live.view.with_untracked(|v| v.plan.devices);
    let heading = NodeRef::<html::H2>::new();
    let is_empty = move || all.with(Vec::is_empty);
    view! {
        <section class="card" aria-labelledby="devices-title">
            <div class="hd">
                <h2 id="devices-title" tabindex="-1" node_ref=heading>"Devices"</h2>
                <span class="chip">{move || all.with(|all| format!("{} of {limit}", all.len()))}</span>
                <span class="ms-auto"></span>
                <Show when=move || !is_empty()>
                    <Search query=query/>
                </Show>
                <a class="btn btn-p" href="/devices/new">
                    <Icon glyph=Glyph::Plus class="icon-s"/>
                    "Add device"
                </a>
            </div>
            <div class="px-[18px] [&>:not(:empty)]:pb-3">
                <TopError message=table.error/>
            </div>
            <SwitchForm id=MESH_ON_FORM value="on" return_page=return_page/>
            <SwitchForm id=MESH_OFF_FORM value="off" return_page=return_page/>
            <Show when=move || !is_empty() fallback=NoDevices>
                <div class="scroll">
                    <table class="table cards" role="table">
                        <thead role="rowgroup">
                            <tr role="row">
                                <SortBy sort_by=sort_by column=Column::Label class="" text="Device"/>
                                <SortBy
                                    sort_by=sort_by
                                    column=Column::Handshake
                                    class=""
                                    text="Last handshake"
                                />
                                <SortBy
                                    sort_by=sort_by
                                    column=Column::Speed
                                    class="e"
                                    text="Down / up now, Mb/s"
                                />
                                <SortBy sort_by=sort_by column=Column::Total class="e" text="Down, up in all"/>
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
                                    .find_device(id)
                                    .map(|initial| view! { <DeviceRow table=table initial=initial/> })}
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
            <ConfirmDelete table=table heading=heading/>
        </section>
    }
}

/// The form that a row's mesh switch submits without a script. The switch itself
/// adds the device's id.
#[component]
fn SwitchForm(id: &'static str, value: &'static str, return_page: ReturnPage) -> impl IntoView {
    view! {
        <form id=id method="post" action=SET_DEVICE hidden>
            <input type="hidden" name="mesh" value=value/>
            <input type="hidden" name="back" value=return_page.as_str()/>
        </form>
    }
}

#[component]
fn NoDevices() -> impl IntoView {
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

/// The search field. It uses what was typed before the script was loaded. The key
/// `/` focuses it unless another input has the focus; Escape empties it.
#[component]
fn Search(query: RwSignal<String>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    Effect::new(move |_| {
        if let Some(input) = input.get_untracked() {
            query.set(input.value());
        }
        let handle = window_event_listener(ev::keydown, move |event| {
            let no_modifier = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
            if event.key() == "/"
                && no_modifier
                && !is_typing()
                && let Some(input) = input.get_untracked()
            {
                event.prevent_default();
                // Fails only if the element cannot take the focus.
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

/// Returns whether the focused element takes a "/" as input.
fn is_typing() -> bool {
    document().active_element().is_some_and(|e| {
        matches!(
            e.tag_name().as_str(),
            "INPUT" | "TEXTAREA" | "SELECT" | "DIALOG"
        )
    })
}

/// A column's heading. A click sorts by the column, a second one restores the order
/// of addition. Until the script is loaded it is plain text: a disabled button
/// takes no focus.
#[component]
fn SortBy(
    sort_by: RwSignal<Column>,
    column: Column,
    class: &'static str,
    text: &'static str,
) -> impl IntoView {
    let active = move || sort_by.get() == column;
    let direction = if column == Column::Label {
        "ascending"
    } else {
        "descending"
    };
    let hydrated = RwSignal::new(false);
    Effect::new(move |_| hydrated.set(true));
    view! {
        <th
            scope="col"
            role="columnheader"
            class=class
            aria-sort=move || active().then_some(direction)
        >
            <button
                type="button"
                class="enabled:hover:text-ink aria-pressed:text-accent"
                disabled=move || !hydrated.get()
                aria-pressed=move || active().to_string()
                on:click=move |_| sort_by.update(|b| *b = if *b == column { Column::Added } else { column })
            >
                {text}
                <span aria-hidden="true">{move || active().then_some(" ↓")}</span>
            </button>
        </th>
    }
}
