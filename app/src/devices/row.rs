//! One device in the table.

use super::{
    actions::{SetDevice, set_device},
    table::Desk,
};
use crate::{
    dashboard::state::{self, Connection},
    forms::AppError,
    ui::{Glyph, Icon, RelativeTime, format},
};
use domain::{FilterPolicy, view::DeviceView};
use leptos::{prelude::*, server_fn::ServerFn, task::spawn_local};

/// A device's row: each cell follows its own memo.
#[component]
pub fn DeviceRow(
    /// What the rows share.
    desk: Desk,
    /// The device as it is now.
    first: DeviceView,
) -> impl IntoView {
    let live = desk.live;
    let id = first.id;
    let device = live.device(first);
    let now = Memo::new(move |_| live.view.with(|v| v.now));
    let connection = Memo::new(move |_| device.with(|d| Connection::of(d, now.get())));
    let label = Memo::new(move |_| device.with(|d| d.label.clone()));
    let brief = Memo::new(move |_| device.with(|d| state::brief(d, now.get())));
    let speed = Memo::new(move |_| device.with(|d| (d.down_bps, d.up_bps)));
    let total = Memo::new(move |_| device.with(|d| (d.down_bytes, d.up_bytes)));
    let handshake = Memo::new(move |_| device.with(|d| d.last_handshake));
    let page = format!("/devices/{id}");
    view! {
        <tr>
            <td class="wide">
                <div class="flex items-center gap-[11px]">
                    <span
                        class=move || connection.get().tone().dot()
                        role="img"
                        aria-label=move || connection.get().text()
                        title=move || connection.get().text()
                    ></span>
                    <span class="text-ink-3">
                        {move || view! { <Icon glyph=label.with(|l| state::glyph(l))/> }}
                    </span>
                    <div class="min-w-0">
                        <a
                            class="block truncate font-semibold hover:underline md:max-w-[22ch] xl:max-w-[30ch]"
                            href=page.clone()
                            title=label
                        >
                            <bdi>{label}</bdi>
                        </a>
                        <div class="xs">
                            <span class="mono">{device.with_untracked(|d| d.address.clone())}</span>
                            <span class="mob num">" · " {brief}</span>
                        </div>
                    </div>
                </div>
            </td>
            <td class="hide s">
                {move || match handshake.get() {
                    Some(at) => view! { <RelativeTime at=at now=now.get()/> }.into_any(),
                    None => {
                        view! {
                            <a class="chip chip-warn" href=format!("/devices/{id}")>
                                {Connection::Never.text()} " · why?"
                            </a>
                        }
                            .into_any()
                    }
                }}
            </td>
            <td class="hide e num">
                {move || {
                    if connection.get() == Connection::Online {
                        let (down, up) = speed.get();
                        view! {
                            {format::megabits(down)}
                            " "
                            <Way down=true/>
                            " "
                            {format::megabits(up)}
                            " "
                            <Way down=false/>
                        }
                            .into_any()
                    } else {
                        view! { <span class="xs" aria-label="nothing">"—"</span> }.into_any()
                    }
                }}
            </td>
            <td class="hide e num">
                {move || format::bytes(total.get().0)} " " <Way down=true/>
                <span class="s block">
                    {move || format::bytes(total.get().1)} " " <Way down=false/>
                </span>
            </td>
            <td class="hide"><PolicyCell desk=desk device=device/></td>
            <td class="hide"><MeshCell desk=desk device=device/></td>
            <td class="e">
                <a
                    class="btn btn-q btn-s btn-icon"
                    href=page.clone()
                    title="Code, settings"
                    aria-label=move || label.with(|l| format!("Code and settings of {l}"))
                >
                    <Icon glyph=Glyph::More/>
                </a>
                <a
                    class="btn btn-q btn-s btn-icon max-md:hidden"
                    href=format!("{page}/delete")
                    title="Delete"
                    aria-label=move || label.with(|l| format!("Delete {l}"))
                    on:click=move |event| {
                        // A click that opens a tab stays a link.
                        if !(event.ctrl_key() || event.meta_key() || event.shift_key()) {
                            event.prevent_default();
                            desk.doomed.set(Some(device.get_untracked()));
                        }
                    }
                >
                    <Icon glyph=Glyph::Trash/>
                </a>
            </td>
        </tr>
    }
}

/// An arrow with its word.
#[component]
fn Way(down: bool) -> impl IntoView {
    let (arrow, word) = if down { ("↓", "down") } else { ("↑", "up") };
    view! {
        <span class="xs" aria-hidden="true">{arrow}</span>
        <span class="sr-only">{word}</span>
    }
}

/// Takes what the server answered into the page.
fn take(desk: Desk, answer: Result<DeviceView, AppError>) -> bool {
    match answer {
        Ok(device) => {
            desk.live.put(device);
            desk.error.set(None);
            true
        }
        Err(AppError(failure)) => {
            desk.error.set(Some(failure.sentence));
            false
        }
    }
}

/// The DNS policy: a menu that takes effect at once, or with its button where
/// there is no JavaScript.
#[component]
fn PolicyCell(desk: Desk, device: Memo<DeviceView>) -> impl IntoView {
    let (id, first) = device.with_untracked(|d| (d.id, d.policy));
    let policy = Memo::new(move |_| device.with(|d| d.policy));
    let changed = move |event| {
        let menu = event_target::<leptos::web_sys::HtmlSelectElement>(&event);
        spawn_local(async move {
            let answer = set_device(id, Some(menu.value()), None, None).await;
            if !take(desk, answer) {
                menu.set_value(policy.get_untracked().as_str());
            }
        });
    };
    view! {
        <form method="post" action=SetDevice::url() class="flex gap-1.5">
            <input type="hidden" name="id" value=id.to_string()/>
            <input type="hidden" name="back" value=desk.back.as_str()/>
            <select
                class="field min-h-[30px]! w-auto! py-0.5!"
                name="policy"
                autocomplete="off"
                title=move || policy.get().meaning()
                aria-label=move || device.with(|d| format!("DNS policy of {}", d.label))
                prop:value=move || policy.get().as_str()
                on:change=changed
            >
                {FilterPolicy::ALL
                    .into_iter()
                    .map(|p| {
                        view! {
                            <option value=p.as_str() selected=p == first>
                                {p.title()}
                            </option>
                        }
                    })
                    .collect_view()}
            </select>
            <button class="btn btn-s [[data-js]_&]:hidden">"Set"</button>
        </form>
    }
}

/// In the mesh or not: a switch that is a form's button.
#[component]
fn MeshCell(desk: Desk, device: Memo<DeviceView>) -> impl IntoView {
    let id = device.with_untracked(|d| d.id);
    let mesh = Memo::new(move |_| device.with(|d| d.mesh));
    let busy = RwSignal::new(false);
    let other = move |on: bool| if on { "off" } else { "on" };
    let submitted = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let wanted = other(mesh.get_untracked()).to_owned();
        spawn_local(async move {
            let answer = set_device(id, None, Some(wanted), None).await;
            take(desk, answer);
            busy.set(false);
        });
    };
    view! {
        <form method="post" action=SetDevice::url() on:submit=submitted>
            <input type="hidden" name="id" value=id.to_string()/>
            <input type="hidden" name="back" value=desk.back.as_str()/>
            <input type="hidden" name="mesh" value=move || other(mesh.get())/>
            <button
                class="sw align-middle aria-busy:opacity-60"
                role="switch"
                aria-checked=move || mesh.get().to_string()
                aria-busy=move || busy.get().to_string()
                aria-label=move || device.with(|d| format!("{} in the mesh", d.label))
                title=move || {
                    if mesh.get() {
                        "Other mesh devices may reach it"
                    } else {
                        "Other devices may not reach it"
                    }
                }
            ></button>
        </form>
    }
}
