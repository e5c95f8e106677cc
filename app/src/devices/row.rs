//! One device in the table. The row is one value of texts: an event makes it
//! anew and changes only those texts that are different.

use super::{
    SET,
    table::{Desk, MESH_OFF, MESH_ON},
};
use crate::{
    dashboard::{
        live::Follow,
        state::{self, Connection},
    },
    ui::{Glyph, format},
};
use domain::{
    DeviceId, FilterPolicy, Timestamp,
    view::{DashboardView, DeviceRow as Device},
};
use leptos::{either::Either, ev, html, prelude::*, task::spawn_local};

/// What a row says.
#[derive(Clone, PartialEq)]
struct Told {
    label: String,
    connection: Connection,
    glyph: Glyph,
    brief: String,
    handshake: Option<Timestamp>,
    ago: String,
    now: String,
    down: String,
    up: String,
    policy: FilterPolicy,
    mesh: bool,
}

impl Told {
    fn of(device: &Device, view: &DashboardView) -> Self {
        let connection = Connection::of(device, view.now);
        let now = if connection == Connection::Online {
            let [down, up] = [device.down_bps, device.up_bps].map(format::megabits);
            format!("{down} / {up}")
        } else {
            "—".to_owned()
        };
        let ago = device.last_handshake.map(|at| at.ago(view.now));
        Self {
            label: device.label.clone(),
            connection,
            glyph: state::glyph(&device.label),
            brief: state::brief(device, view.now),
            handshake: device.last_handshake,
            ago: ago.unwrap_or_default(),
            now,
            down: format::bytes(device.down_bytes),
            up: format::bytes(device.up_bytes),
            policy: device.policy,
            mesh: device.mesh,
        }
    }
}

/// A device's row. The roles are said in full: on a phone rows are no table to
/// the style, and would be none to a screen reader.
#[component]
pub fn DeviceRow(
    /// What the rows share.
    desk: Desk,
    /// The device as it is now.
    first: Device,
) -> impl IntoView {
    let id = first.id;
    let address = first.address.clone();
    let page = format!("/devices/{id}");
    let why = page.clone();
    let delete = format!("{page}/delete");
    let row = desk.live.device(first, Told::of);
    let ask = move |event: ev::MouseEvent| {
        // A click that opens a tab stays a link.
        if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
            event.prevent_default();
            desk.doomed.set(Some((id, row.with(|r| r.label.clone()))));
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
                    <i class=move || row.with(|r| r.glyph.in_a_row()) aria-hidden="true"></i>
                    <div class="min-w-0">
                        <a class="device-name" href=page.clone() title=move || row.with(|r| r.label.clone())>
                            <bdi>{move || row.with(|r| r.label.clone())}</bdi>
                        </a>
                        <div class="xs num">
                            {address}
                            <span class="mob">" · " {move || row.with(|r| r.brief.clone())}</span>
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
                                <a class="chip chip-warn" href=why.clone()>
                                    {Connection::Never.text()} " · why?"
                                </a>
                            },
                        )
                    }
                }}
            </td>
            <td role="cell" class="hide e num">{move || row.with(|r| r.now.clone())}</td>
            <td role="cell" class="hide e num">
                {move || row.with(|r| r.down.clone())}
                <span class="s block">{move || row.with(|r| r.up.clone())}</span>
            </td>
            <td role="cell" class="hide"><Policy desk=desk id=id row=row/></td>
            <td role="cell" class="hide"><Mesh desk=desk id=id row=row/></td>
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
                    on:click=ask
                ></a>
            </td>
        </tr>
    }
}

/// The policy's menu. With a script a choice counts at once; without, the
/// button beside it sends it.
#[component]
fn Policy(desk: Desk, id: DeviceId, row: Follow<Told>) -> impl IntoView {
    let first = row.with(|r| r.policy);
    let menu = NodeRef::<html::Select>::new();
    let busy = RwSignal::new(false);
    let choose = move || {
        let Some(menu) = menu.get_untracked().filter(|_| !busy.get_untracked()) else {
            return;
        };
        busy.set(true);
        spawn_local(async move {
            loop {
                let wanted = menu.value();
                let taken = desk.change(id, "policy", &wanted).await;
                if !taken {
                    menu.set_value(untrack(|| row.with(|r| r.policy)).as_str());
                }
                // Arrow keys choose faster than the server answers.
                if !taken || menu.value() == wanted {
                    break;
                }
            }
            busy.set(false);
        });
    };
    Effect::new(move |before: Option<FilterPolicy>| {
        let policy = row.with(|r| r.policy);
        let Some(menu) = menu.get_untracked() else {
            return policy;
        };
        if before.is_some_and(|b| b != policy) && !busy.get_untracked() {
            menu.set_value(policy.as_str());
        } else if before.is_none() && menu.value() != policy.as_str() {
            // Chosen before the script came, and its button has just gone.
            choose();
        }
        policy
    });
    view! {
        <form method="post" action=SET class="flex gap-1.5">
            <input type="hidden" name="id" value=id.to_string()/>
            <select
                class="field policy"
                name="policy"
                autocomplete="off"
                title=move || row.with(|r| r.policy.meaning())
                aria-label=move || row.with(|r| format!("DNS policy of {}", r.label))
                aria-busy=move || busy.get().to_string()
                node_ref=menu
                on:change=move |_| choose()
            >
                {FilterPolicy::ALL
                    .map(|p| {
                        view! {
                            <option value=p.as_str() selected=p == first>
                                {p.title()}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <button class="btn btn-s plain-only" name="back" value=desk.back.as_str()>
                "Set"
            </button>
        </form>
    }
}

/// In the mesh or not: a switch that is a button of one of the table's two
/// forms, and says of which device.
#[component]
fn Mesh(desk: Desk, id: DeviceId, row: Follow<Told>) -> impl IntoView {
    let on = move || row.with(|r| r.mesh);
    let busy = RwSignal::new(false);
    let turn = move |event: ev::MouseEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let wanted = if untrack(on) { "off" } else { "on" };
        spawn_local(async move {
            desk.change(id, "mesh", wanted).await;
            busy.set(false);
        });
    };
    view! {
        <button
            class="sw"
            role="switch"
            form=move || if on() { MESH_OFF } else { MESH_ON }
            name="id"
            value=id.to_string()
            aria-checked=move || on().to_string()
            aria-busy=move || busy.get().to_string()
            aria-label=move || row.with(|r| format!("{} in the mesh", r.label))
            title=move || {
                if on() { "Other mesh devices may reach it" } else { "Other devices may not reach it" }
            }
            on:click=turn
        ></button>
    }
}
