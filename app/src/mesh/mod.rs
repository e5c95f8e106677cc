//! The mesh: who is on the network, who may reach whom, how much flows. As a
//! picture and, for whoever cannot or would rather not look at one, as a list.

mod draw;
mod labels;
mod layout;
#[cfg(feature = "ssr")]
mod page;
mod picture;

pub use layout::Frame;
#[cfg(feature = "ssr")]
pub use page::MeshPage;
pub use picture::MeshPicture;

use crate::{
    dashboard::{
        live::Live,
        state::{self, Connection},
    },
    live::Reconnecting,
    ui::{EmptyState, Glyph, Segmented, format},
};
use domain::view::{DashboardView, DeviceRow};
use leptos::{either::Either, prelude::*};

/// The mesh page's content, live.
#[island]
pub fn LiveMesh(
    /// What the server knew when it rendered the page.
    initial: DashboardView,
    /// As a list instead of the picture.
    list: bool,
) -> impl IntoView {
    let live = Live::start(initial);
    let ways = [
        ("/mesh", "Picture", !list),
        ("/mesh?show=list", "List", list),
    ]
    .map(|(href, text, on)| (href.to_owned(), text.to_owned(), on))
    .to_vec();
    let hint = live.follow(move |v| if list { "" } else { hint(v) });
    let empty = live.follow(|v| v.devices.is_empty());
    view! {
        <div class="row">
            <h1>"Mesh"</h1>
            <Reconnecting open=live.open/>
            <span class="ms-auto"><Segmented label="Show the mesh as" items=ways/></span>
        </div>
        <p class="s empty:hidden">{move || hint.get()}</p>
        <div class="card">
            {move || {
                if empty.get() {
                    Either::Left(view! { <Nobody/> })
                } else if list {
                    Either::Right(Either::Left(view! { <MeshList live=live/> }))
                } else {
                    Either::Right(Either::Right(view! { <Pictures live=live/> }))
                }
            }}
        </div>
    }
}

/// What the lines mean, as far as there are any.
fn hint(view: &DashboardView) -> &'static str {
    if view.devices.is_empty() {
        ""
    } else if draw::is_ringed(view) {
        "A lit line: a handshake in the last 3 minutes, thicker with traffic. Dotted: not \
         connected. A dashed ring: in the mesh; these devices may reach each other."
    } else {
        "A lit line: a handshake in the last 3 minutes, thicker with traffic. Dotted: not \
         connected. A dashed curve: these two devices may reach each other."
    }
}

#[component]
fn Nobody() -> impl IntoView {
    view! {
        <EmptyState
            glyph=Glyph::Mesh
            title="Nobody is on your network yet"
            text="Add a device, and it appears here with a line to the gateway."
        >
            <a class="btn btn-p mt-2" href="/devices/new">"Add your first device"</a>
        </EmptyState>
    }
}

/// The picture in two shapes, of which a screen shows one: a wide picture on a
/// phone would have letters of 4 px.
#[component]
fn Pictures(live: Live) -> impl IntoView {
    let looked_at = RwSignal::new(None);
    let told = Memo::new(move |_| {
        let id = looked_at.get()?;
        live.view.with(|v| {
            v.devices
                .iter()
                .find(|d| d.id == id)
                .map(|d| state::sentence(d, v.now))
        })
    });
    view! {
        <div class="p-3.5 max-md:hidden">
            <MeshPicture live=live frame=Frame::WIDE looked_at=looked_at/>
        </div>
        <div class="p-1 md:hidden">
            <MeshPicture live=live frame=Frame::TALL looked_at=looked_at/>
        </div>
        // Not a live region: each device's link says the same when it is reached.
        <p class="s num border-t border-line px-[18px] py-2.5" aria-hidden="true">
            {move || {
                told.get().unwrap_or_else(|| "Point at a device, or tap it, to see more.".to_owned())
            }}
        </p>
    }
}

/// The same as a table.
#[component]
fn MeshList(live: Live) -> impl IntoView {
    let ids = live.follow(|v| v.devices.iter().map(|d| d.id).collect::<Vec<_>>());
    view! {
        <div class="scroll">
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">"Device"</th>
                        <th scope="col">"State"</th>
                        <th scope="col" class="e">"Now"</th>
                        <th scope="col">"May reach"</th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || ids.get() key=|id| *id let:id>
                        {live.first(id).map(|first| view! { <ListRow live=live first=first/> })}
                    </For>
                </tbody>
            </table>
        </div>
    }
}

/// What a row says.
#[derive(Clone, PartialEq)]
struct Told {
    label: String,
    dot: &'static str,
    state: String,
    speed: String,
    reach: String,
}

impl Told {
    fn of(device: &DeviceRow, view: &DashboardView) -> Self {
        let connection = Connection::of(device, view.now);
        let others = view.devices.iter().filter(|d| d.id != device.id && d.mesh);
        Self {
            label: device.label.clone(),
            dot: connection.tone().dot(),
            state: match device.last_handshake {
                Some(at) => format!("{}, {}", connection.text(), at.ago(view.now)),
                None => connection.text().to_owned(),
            },
            speed: format!(
                "↓ {} ↑ {}",
                format::bits(device.down_bps),
                format::bits(device.up_bps)
            ),
            reach: match (device.mesh, others.count()) {
                (false, _) => "only the internet and DNS".to_owned(),
                (true, 0) => "no other device yet".to_owned(),
                (true, 1) => "1 other device".to_owned(),
                (true, n) => format!("{n} other devices"),
            },
        }
    }
}

#[component]
fn ListRow(live: Live, first: DeviceRow) -> impl IntoView {
    let page = format!("/devices/{}", first.id);
    let row = live.device(first, Told::of);
    view! {
        <tr>
            <td>
                <a
                    class="block max-w-[26ch] truncate font-semibold hover:underline"
                    href=page
                    title=move || row.with(|r| r.label.clone())
                >
                    <bdi>{move || row.with(|r| r.label.clone())}</bdi>
                </a>
            </td>
            <td>
                <span class="inline-flex items-center gap-2.5">
                    <span class=move || row.with(|r| r.dot) aria-hidden="true"></span>
                    {move || row.with(|r| r.state.clone())}
                </span>
            </td>
            <td class="e num">{move || row.with(|r| r.speed.clone())}</td>
            <td>{move || row.with(|r| r.reach.clone())}</td>
        </tr>
    }
}
