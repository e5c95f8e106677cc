//! The mesh: who is on the network, who may reach whom, how much flows. As a
//! picture and, for whoever cannot or would rather not look at one, as a list.

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
        live::{Live, Reconnecting},
        state::{self, Connection},
    },
    ui::{EmptyState, Glyph, Segmented, format},
};
use domain::view::{DashboardView, DeviceView};
use leptos::prelude::*;

/// The mesh page's content, live.
#[island]
pub fn LiveMesh(
    /// What the server knew when it rendered the page.
    initial: DashboardView,
    /// As a list instead of the picture.
    list: bool,
) -> impl IntoView {
    let empty = initial.devices.is_empty();
    let live = Live::start(initial);
    let ways = [
        ("/mesh", "Picture", !list),
        ("/mesh?show=list", "List", list),
    ]
    .map(|(href, text, on)| (href.to_owned(), text.to_owned(), on))
    .to_vec();
    let shown = if empty {
        view! {
            <EmptyState
                glyph=Glyph::Mesh
                title="Nobody is on your network yet"
                text="Add a device, and it appears here with a line to the gateway."
            >
                <a class="btn btn-p mt-2" href="/devices/new">"Add your first device"</a>
            </EmptyState>
        }
        .into_any()
    } else if list {
        view! { <MeshList live=live/> }.into_any()
    } else {
        view! { <Pictures live=live/> }.into_any()
    };
    view! {
        <div class="row">
            <h1>"Mesh"</h1>
            <Reconnecting live=live/>
            <span class="ms-auto"><Segmented label="Show the mesh as" items=ways/></span>
        </div>
        <p class="s">
            "Lit lines: a handshake in the last 3 minutes, thicker with traffic. \
             Dashes: these devices may reach each other."
        </p>
        <div class="card">{shown}</div>
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
    let ids = Memo::new(move |_| {
        live.view
            .with(|v| v.devices.iter().map(|d| d.id).collect::<Vec<_>>())
    });
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
                        {live
                            .view
                            .with_untracked(|v| v.devices.iter().find(|d| d.id == id).cloned())
                            .map(|first| view! { <ListRow live=live first=first/> })}
                    </For>
                </tbody>
            </table>
        </div>
    }
}

#[component]
fn ListRow(live: Live, first: DeviceView) -> impl IntoView {
    let id = first.id;
    let device = live.device(first);
    let label = Memo::new(move |_| device.with(|d| d.label.clone()));
    let state = Memo::new(move |_| {
        let now = live.view.with(|v| v.now);
        device.with(|d| {
            let connection = Connection::of(d, now);
            let text = match d.last_handshake {
                Some(at) => format!("{}, {}", connection.text(), at.ago(now)),
                None => connection.text().to_owned(),
            };
            (connection, text)
        })
    });
    let speed = Memo::new(move |_| {
        device.with(|d| {
            format!(
                "↓ {} ↑ {}",
                format::bits(d.down_bps),
                format::bits(d.up_bps)
            )
        })
    });
    let reach = Memo::new(move |_| {
        live.view.with(|v| {
            let me = v.devices.iter().any(|d| d.id == id && d.mesh);
            let others = v.devices.iter().filter(|d| d.id != id && d.mesh).count();
            match (me, others) {
                (false, _) => "only the internet and DNS".to_owned(),
                (true, 0) => "no other device yet".to_owned(),
                (true, 1) => "1 other device".to_owned(),
                (true, n) => format!("{n} other devices"),
            }
        })
    });
    view! {
        <tr>
            <td>
                <a
                    class="block max-w-[26ch] truncate font-semibold hover:underline"
                    href=format!("/devices/{id}")
                    title=label
                >
                    <bdi>{label}</bdi>
                </a>
            </td>
            <td>
                <span class="inline-flex items-center gap-2.5">
                    <span class=move || state.get().0.tone().dot() aria-hidden="true"></span>
                    {move || state.get().1}
                </span>
            </td>
            <td class="e num">{speed}</td>
            <td>{reach}</td>
        </tr>
    }
}
