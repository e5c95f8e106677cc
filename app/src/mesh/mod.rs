//! The mesh: which devices are connected, which may reach each other, and how much
//! they transfer. It is shown as a picture and, for users who cannot see one or do
//! not want to, as a list.

mod draw;
mod geometry;
mod labels;
mod layout;
#[cfg(feature = "ssr")]
mod page;
mod picture;

pub use geometry::Frame;
#[cfg(feature = "ssr")]
pub use page::MeshPage;
pub use picture::MeshPicture;

use crate::{
    event_stream::Reconnecting,
    tenant::{
        LiveData,
        state::{self, Connection},
    },
    ui::{EmptyState, Glyph, Segmented, format},
};
use domain::view::{DeviceRow, NetworkView};
use leptos::{either::Either, prelude::*};

/// The mesh page's content, live.
#[island]
pub fn LiveMesh(
    /// The data at the time the page was rendered.
    initial: NetworkView,
    /// Whether to show the list instead of the picture.
    list: bool,
) -> impl IntoView {
    let live = LiveData::start(initial);
    let views = [
        ("/mesh", "Picture", !list),
        ("/mesh?show=list", "List", list),
    ]
    .map(|(href, text, on)| (href.to_owned(), text.to_owned(), on))
    .to_vec();
    let hint = live.derive(move |v| if list { "" } else { hint(v) });
    let empty = live.derive(|v| v.devices.is_empty());
    view! {
        <div class="row">
            <h1>"Mesh"</h1>
            <Reconnecting connected=live.connected/>
            <span class="ms-auto"><Segmented label="Show the mesh as" items=views/></span>
        </div>
        <p class="s empty:hidden">{move || hint.get()}</p>
        <div class="card">
            {move || {
                if empty.get() {
                    Either::Left(view! { <NoDevices/> })
                } else if list {
                    Either::Right(Either::Left(view! { <MeshList live=live/> }))
                } else {
                    Either::Right(Either::Right(view! { <Pictures live=live/> }))
                }
            }}
        </div>
    }
}

/// Returns what the lines mean, as far as there are any.
fn hint(view: &NetworkView) -> &'static str {
    if view.devices.is_empty() {
        ""
    } else if draw::is_ringed(view) {
        "A solid line: a handshake in the last 3 minutes, thicker with traffic. Dotted: not \
         connected. A dashed ring: in the mesh; these devices may reach each other."
    } else {
        "A solid line: a handshake in the last 3 minutes, thicker with traffic. Dotted: not \
         connected. A dashed curve: these two devices may reach each other."
    }
}

#[component]
fn NoDevices() -> impl IntoView {
    view! {
        <EmptyState
            glyph=Glyph::Mesh
            title="No device is on your network yet"
            text="Add a device, and it appears here with a line to the gateway."
        >
            <a class="btn btn-p mt-2" href="/devices/new">"Add your first device"</a>
        </EmptyState>
    }
}

/// The picture in two shapes, of which a screen shows one: on a phone the wide
/// picture would have letters of 4 px.
#[component]
fn Pictures(live: LiveData) -> impl IntoView {
    let selected = RwSignal::new(None);
    let description = Memo::new(move |_| {
        let id = selected.get()?;
        live.view.with(|v| {
            v.devices
                .iter()
                .find(|d| d.id == id)
                .map(|d| state::description(d, v.now))
        })
    });
    view! {
        <div class="p-3.5 max-md:hidden">
            <MeshPicture live=live frame=Frame::WIDE selected=selected/>
        </div>
        <div class="p-1 md:hidden">
            <MeshPicture live=live frame=Frame::TALL selected=selected/>
        </div>
        // It is hidden from screen readers: each device's link says the same.
        <p class="s num border-t border-line px-[18px] py-2.5" aria-hidden="true">
            {move || {
                description.get().unwrap_or_else(|| "Point at a device, or tap it, to see more.".to_owned())
            }}
        </p>
    }
}

/// The same data as a table.
#[component]
fn MeshList(live: LiveData) -> impl IntoView {
    let ids = live.derive(|v| v.devices.iter().map(|d| d.id).collect::<Vec<_>>());
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
                        {live.find_device(id).map(|initial| view! { <ListRow live=live initial=initial/> })}
                    </For>
                </tbody>
            </table>
        </div>
    }
}

/// What a row shows.
#[derive(Clone, PartialEq)]
struct RowContent {
    label: String,
    dot: &'static str,
    state: String,
    speed: String,
    reach: String,
}

impl RowContent {
    fn of(device: &DeviceRow, view: &NetworkView) -> Self {
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
fn ListRow(live: LiveData, initial: DeviceRow) -> impl IntoView {
    let page = format!("/devices/{}", initial.id);
    let row = live.derive_device(initial, RowContent::of);
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
