//! One device in the table. All its texts are one value: an event computes it
//! again and updates only the texts that differ.

use super::{
    choices::Choice,
    endpoints::SET_DEVICE,
    table_state::{MESH_OFF_FORM, MESH_ON_FORM, TableState},
};
use crate::{
    tenant::{
        Derived,
        state::{self, Connection},
    },
    ui::{Glyph, format},
};
use domain::{
    DeviceId, FilterPolicy, Timestamp,
    view::{DeviceRow as Device, NetworkView},
};
use leptos::{either::Either, ev, html, prelude::*, task::spawn_local};

/// What a row shows.
#[derive(Clone, PartialEq)]
struct RowContent {
    label: String,
    host_name: String,
    connection: Connection,
    glyph: Glyph,
    short_status: String,
    handshake: Option<Timestamp>,
    ago: String,
    speed: String,
    down: String,
    up: String,
    policy: FilterPolicy,
    mesh: bool,
}

impl RowContent {
    fn of(device: &Device, view: &NetworkView) -> Self {
        let connection = Connection::of(device, view.now);
        let speed = if connection == Connection::Online {
            let [down, up] = [device.down_bps, device.up_bps].map(format::megabits);
            format!("{down} / {up}")
        } else {
            "—".to_owned()
        };
        let ago = device.last_handshake.map(|at| at.ago(view.now));
        Self {
            label: device.label.clone(),
            host_name: device.host_name.clone(),
            connection,
            glyph: state::device_glyph(&device.label),
            short_status: state::short_status(device, view.now),
            handshake: device.last_handshake,
            ago: ago.unwrap_or_default(),
            speed,
            down: format::bytes(device.down_bytes),
            up: format::bytes(device.up_bytes),
            policy: device.policy,
            mesh: device.mesh,
        }
    }
}

/// A device's row. The roles are explicit: on a phone the style displays rows as
/// cards, and a screen reader would otherwise not see a table.
#[component]
pub fn DeviceRow(
    table: TableState,
    /// The device at the time the row is created.
    initial: Device,
) -> impl IntoView {
    let id = initial.id;
    let address = initial.address.clone();
    let page = format!("/devices/{id}");
    let help = page.clone();
    let delete = format!("{page}/delete");
    let row = table.live.derive_device(initial, RowContent::of);
    let confirm = move |event: ev::MouseEvent| {
        // A click that opens a tab stays a link.
        if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
            event.prevent_default();
            table
                .pending_delete
                .set(Some((id, row.with(|r| r.label.clone()))));
        }
    };
    view! {
        <tr role="row">
            <td role="cell" class="wide">
                <div class="device">
                    <span
                        class=move || row.with(|r| r.connection.tone().dot())
                        role="img"
                        aria-label=move || row.with(|r| r.connection.text())
                        title=move || row.with(|r| r.connection.text())
                    ></span>
                    <i class=move || row.with(|r| r.glyph.row_class()) aria-hidden="true"></i>
                    <div class="min-w-0">
                        <a class="device-name" href=page.clone() title=move || row.with(|r| r.label.clone())>
                            <bdi>{move || row.with(|r| r.label.clone())}</bdi>
                        </a>
                        <div class="xs num">
                            {address}
                            <span class="mob">" · " {move || row.with(|r| r.short_status.clone())}</span>
                        </div>
                        <div class="xs truncate" title=move || row.with(|r| r.host_name.clone())>
                            {move || row.with(|r| r.host_name.clone())}
                        </div>
                    </div>
                </div>
            </td>
            <td role="cell" class="hide s">
                {move || match row.with(|r| r.handshake) {
                    Some(at) => {
                        Either::Left(
                            view! {
                                <time datetime=format::iso(at) title=format::exact(at)>
                                    {move || row.with(|r| r.ago.clone())}
                                </time>
                            },
                        )
                    }
                    None => {
                        Either::Right(
                            view! {
                                <a class="chip chip-warn" href=help.clone()>
                                    {Connection::Never.text()} " · why?"
                                </a>
                            },
                        )
                    }
                }}
            </td>
            <td role="cell" class="hide e num">{move || row.with(|r| r.speed.clone())}</td>
            <td role="cell" class="hide e num">
                {move || row.with(|r| r.down.clone())}
                <span class="s block">{move || row.with(|r| r.up.clone())}</span>
            </td>
            <td role="cell" class="hide"><Policy table=table id=id row=row/></td>
            <td role="cell" class="hide"><Mesh table=table id=id row=row/></td>
            <td role="cell" class="e">
                <a
                    class="btn btn-q btn-s btn-icon icon-after g-more"
                    href=page
                    title="Code, settings"
                    aria-label=move || row.with(|r| format!("Code and settings of {}", r.label))
                ></a>
                <a
                    class="btn btn-q btn-s btn-icon icon-after g-trash max-md:hidden"
                    href=delete
                    title="Delete"
                    aria-label=move || row.with(|r| format!("Delete {}", r.label))
                    on:click=confirm
                ></a>
            </td>
        </tr>
    }
}

/// The policy's menu. With a script a choice is sent at once; without one, the
/// button beside the menu sends it.
#[component]
fn Policy(table: TableState, id: DeviceId, row: Derived<RowContent>) -> impl IntoView {
    let initial = row.with(|r| r.policy);
    let menu = NodeRef::<html::Select>::new();
    let busy = RwSignal::new(false);
    let send_choice = move || {
        let Some(menu) = menu.get_untracked().filter(|_| !busy.get_untracked()) else {
            return;
        };
        busy.set(true);
        spawn_local(async move {
            loop {
                let wanted = menu.value();
                let applied = table.change(id, "policy", &wanted).await;
                if !applied {
                    menu.set_value(untrack(|| row.with(|r| r.policy)).as_str());
                }
                // With arrow keys the choice changes faster than the server answers.
                if !applied || menu.value() == wanted {
                    break;
                }
            }
            busy.set(false);
        });
    };
    Effect::new(move |previous: Option<FilterPolicy>| {
        let policy = row.with(|r| r.policy);
        let Some(menu) = menu.get_untracked() else {
            return policy;
        };
        if previous.is_some_and(|p| p != policy) && !busy.get_untracked() {
            menu.set_value(policy.as_str());
        } else if previous.is_none() && menu.value() != policy.as_str() {
            // The choice was made before the script was loaded, which has just
            // hidden the button that would send it.
            send_choice();
        }
        policy
    });
    view! {
        <form method="post" action=SET_DEVICE class="flex gap-1.5">
            <input type="hidden" name="id" value=id.to_string()/>
            <select
                class="field policy"
                name="policy"
                autocomplete="off"
                title=move || row.with(|r| r.policy.meaning())
                aria-label=move || row.with(|r| format!("DNS policy of {}", r.label))
                aria-busy=move || busy.get().to_string()
                node_ref=menu
                on:change=move |_| send_choice()
            >
                {FilterPolicy::ALL
                    .map(|p| {
                        view! {
                            <option value=p.as_str() selected=p == initial>
                                {p.title()}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <button class="btn btn-s plain-only" name="back" value=table.return_page.as_str()>
                "Set"
            </button>
        </form>
    }
}

/// The mesh switch: a button of one of the table's two switch forms, with the
/// device's id as its value.
#[component]
fn Mesh(table: TableState, id: DeviceId, row: Derived<RowContent>) -> impl IntoView {
    let on = move || row.with(|r| r.mesh);
    let busy = RwSignal::new(false);
    let toggle = move |event: ev::MouseEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let wanted = if untrack(on) { "off" } else { "on" };
        spawn_local(async move {
            table.change(id, "mesh", wanted).await;
            busy.set(false);
        });
    };
    view! {
        <button
            class="sw"
            role="switch"
            form=move || if on() { MESH_OFF_FORM } else { MESH_ON_FORM }
            name="id"
            value=id.to_string()
            aria-checked=move || on().to_string()
            aria-busy=move || busy.get().to_string()
            aria-label=move || row.with(|r| format!("{} in the mesh", r.label))
            title=move || {
                if on() { "Other mesh devices may reach it" } else { "Other devices may not reach it" }
            }
            on:click=toggle
        ></button>
    }
}
