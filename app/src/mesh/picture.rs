//! The picture itself: spokes from the gateway to the devices, curves between
//! those that may reach each other, then the devices on top.

use super::{
    labels::{label_at, reach, short},
    layout::{Frame, Layout, Spot, curve, layout, thickness},
};
use crate::dashboard::{
    live::Live,
    state::{self, Connection},
};
use domain::{DeviceId, view::DeviceView};
use leptos::prelude::*;

/// Beyond this many mesh devices the curves would be a ball of wool: each gets
/// a dashed ring instead, which says the same.
const MOST_CURVES: usize = 10;

/// What a device is drawn with.
#[derive(Clone, Copy)]
struct Drawn {
    live: Live,
    frame: Frame,
    places: Memo<Layout>,
    /// Whether mesh devices wear rings instead of curves.
    ringed: Memo<bool>,
    /// The device under the pointer or the focus; `None` where nobody asks, and
    /// then devices are no links either.
    looked_at: Option<RwSignal<Option<DeviceId>>>,
}

/// The mesh as a picture. With `looked_at` its devices are links, and it tells
/// which one is being pointed at.
#[component]
pub fn MeshPicture(
    /// The page's data.
    live: Live,
    /// The canvas.
    frame: Frame,
    /// Is told which device the pointer or the focus is on.
    #[prop(optional)]
    looked_at: Option<RwSignal<Option<DeviceId>>>,
) -> impl IntoView {
    let count = Memo::new(move |_| live.view.with(|v| v.devices.len()));
    let places = Memo::new(move |_| layout(&frame, count.get()));
    let ids = Memo::new(move |_| {
        live.view
            .with(|v| v.devices.iter().map(|d| d.id).collect::<Vec<_>>())
    });
    let ringed = Memo::new(move |_| {
        live.view
            .with(|v| v.devices.iter().filter(|d| d.mesh).count() > MOST_CURVES)
    });
    let drawn = Drawn {
        live,
        frame,
        places,
        ringed,
        looked_at,
    };
    let summary = Memo::new(move |_| {
        let sum = live.view.with(state::totals);
        format!("Mesh: {} of {} devices connected", sum.online, sum.devices)
    });
    let centre = frame.centre();
    let crown = frame.gateway / 26.0;
    // Links inside: a picture to screen readers would swallow them.
    let role = if looked_at.is_some() { "group" } else { "img" };
    view! {
        <svg
            class="block h-auto w-full"
            viewBox=format!("0 0 {} {}", frame.width, frame.height)
            role=role
            aria-label=summary
        >
            <Curves drawn=drawn/>
            <For each=move || ids.get() key=|id| *id let:id>
                {first(live, id).map(|d| view! { <Spoke drawn=drawn first=d/> })}
            </For>
            <For each=move || ids.get() key=|id| *id let:id>
                {first(live, id).map(|d| view! { <Device drawn=drawn first=d/> })}
            </For>
            <g transform=format!("translate({} {})", centre.x, centre.y)>
                <title>"Gateway "{live.view.with_untracked(|v| v.gateway.clone())}</title>
                <circle r=frame.gateway fill="var(--live-soft)"></circle>
                <circle r=frame.gateway * 0.74 fill="var(--accent)"></circle>
                <path
                    transform=format!("scale({crown:.2}) translate(-12 -12)")
                    d="M6 16.5V9l3.2 3.6L12 7.5l2.8 5.1L18 9v7.5z"
                    fill="var(--accent-ink)"
                ></path>
            </g>
        </svg>
    }
}

fn first(live: Live, id: DeviceId) -> Option<DeviceView> {
    live.view
        .with_untracked(|v| v.devices.iter().find(|d| d.id == id).cloned())
}

impl Drawn {
    /// A device's place: by its number, which changes when an older one goes.
    fn spot(self, id: DeviceId) -> Memo<Option<Spot>> {
        Memo::new(move |_| {
            let index = self
                .live
                .view
                .with(|v| v.devices.iter().position(|d| d.id == id))?;
            self.places.with(|l| l.spots.get(index).copied())
        })
    }

    fn connection(self, device: Memo<DeviceView>) -> Memo<Connection> {
        Memo::new(move |_| {
            let now = self.live.view.with(|v| v.now);
            device.with(|d| Connection::of(d, now))
        })
    }
}

/// The curves between devices that may reach each other now: both in the mesh,
/// both connected.
#[component]
fn Curves(drawn: Drawn) -> impl IntoView {
    let paths = Memo::new(move |_| {
        if drawn.ringed.get() {
            return Vec::new();
        }
        drawn.live.view.with(|v| {
            drawn.places.with(|l| {
                let ends: Vec<_> = v
                    .devices
                    .iter()
                    .zip(&l.spots)
                    .filter(|(d, _)| d.mesh && d.is_online(v.now))
                    .map(|(_, s)| s.at)
                    .collect();
                let mut paths = Vec::new();
                for (i, from) in ends.iter().enumerate() {
                    for to in ends.iter().skip(i + 1) {
                        paths.push(curve(&drawn.frame, *from, *to));
                    }
                }
                paths
            })
        })
    });
    view! {
        <g
            fill="none"
            stroke="var(--accent)"
            stroke-opacity="0.45"
            stroke-width="1.2"
            stroke-dasharray="3 4"
        >
            {move || {
                paths.get().into_iter().map(|d| view! { <path d=d></path> }).collect_view()
            }}
        </g>
    }
}

/// The line between gateway and device: lit and thicker with traffic while the
/// device is connected, else dotted.
#[component]
fn Spoke(drawn: Drawn, first: DeviceView) -> impl IntoView {
    let spot = drawn.spot(first.id);
    let device = drawn.live.device(first);
    let connection = drawn.connection(device);
    let lit = move || connection.get() == Connection::Online;
    let centre = drawn.frame.centre();
    let radius = Memo::new(move |_| drawn.places.with(|l| l.radius));
    let width = Memo::new(move |_| {
        if lit() {
            device.with(|d| thickness(d.down_bps.saturating_add(d.up_bps), radius.get()))
        } else {
            1.2
        }
    });
    view! {
        <path
            d=move || {
                spot.get()
                    .map(|s| format!("M{} {}L{:.1} {:.1}", centre.x, centre.y, s.at.x, s.at.y))
            }
            stroke=move || if lit() { "var(--live)" } else { "var(--line-strong)" }
            stroke-width=width
            stroke-dasharray=move || (!lit()).then_some("2 5")
            stroke-opacity=move || match (lit(), radius.get() < 10.0) {
                (true, false) => "0.85",
                // A crowd's lines run close together.
                (true, true) => "0.6",
                (false, _) => "1",
            }
        ></path>
    }
}

/// A device: a disc with its picture, and its label where there is room.
#[component]
fn Device(drawn: Drawn, first: DeviceView) -> impl IntoView {
    let id = first.id;
    let spot = drawn.spot(id);
    let device = drawn.live.device(first);
    let connection = drawn.connection(device);
    let lit = Memo::new(move |_| connection.get() == Connection::Online);
    let told = Memo::new(move |_| {
        let now = drawn.live.view.with(|v| v.now);
        device.with(|d| state::sentence(d, now))
    });
    let radius = Memo::new(move |_| drawn.places.with(|l| l.radius));
    let ring = Memo::new(move |_| drawn.ringed.get() && device.with(|d| d.mesh));
    let glyph = Memo::new(move |_| device.with(|d| state::glyph(&d.label)));
    let place = move || {
        spot.get()
            .map(|s| format!("translate({:.1} {:.1})", s.at.x, s.at.y))
    };
    let body = move || {
        view! {
            <title>{told}</title>
            {move || {
                ring.get()
                    .then(|| {
                        view! {
                            <circle
                                r=move || radius.get() + 2.4
                                fill="none"
                                stroke="var(--accent)"
                                stroke-opacity="0.6"
                                stroke-dasharray="2 2.5"
                            ></circle>
                        }
                    })
            }}
            <circle
                class="group-hover:[stroke:var(--accent)] group-focus-visible:[stroke:var(--accent)] group-focus-visible:[stroke-width:3]"
                r=radius
                fill=move || if lit.get() { "var(--live-soft)" } else { "var(--raised)" }
                stroke=move || if lit.get() { "var(--live)" } else { "var(--line-strong)" }
                stroke-width=move || if radius.get() < 8.0 { "1.2" } else { "1.6" }
            ></circle>
            {move || {
                let r = radius.get();
                (r >= 9.0)
                    .then(|| {
                        view! {
                            <g
                                transform=format!("scale({:.2}) translate(-12 -12)", r / 24.0)
                                fill="none"
                                stroke=move || if lit.get() { "var(--ink)" } else { "var(--ink-3)" }
                                stroke-width="1.9"
                                stroke-linecap="round"
                                stroke-linejoin="round"
                                inner_html=glyph.get().shapes()
                            ></g>
                        }
                    })
            }}
            <Label drawn=drawn device=device spot=spot/>
        }
    };
    match drawn.looked_at {
        None => view! { <g transform=place>{body()}</g> }.into_any(),
        Some(looked_at) => view! {
            <g transform=place>
                <a
                    href=format!("/devices/{id}")
                    class="group"
                    aria-label=told
                    on:mouseenter=move |_| looked_at.set(Some(id))
                    on:focus=move |_| looked_at.set(Some(id))
                >
                    {body()}
                </a>
            </g>
        }
        .into_any(),
    }
}

/// Label and what the device does now, where the layout has room for them.
#[component]
fn Label(drawn: Drawn, device: Memo<DeviceView>, spot: Memo<Option<Spot>>) -> impl IntoView {
    let labels = Memo::new(move |_| drawn.places.with(|l| l.labels));
    let name = Memo::new(move |_| device.with(|d| short(&d.label, drawn.frame.letters)));
    let brief = Memo::new(move |_| {
        let now = drawn.live.view.with(|v| v.now);
        device.with(|d| state::brief(d, now))
    });
    move || {
        let spot = labels.get().then(|| spot.get()).flatten()?;
        let radius = drawn.places.with_untracked(|l| l.radius);
        let (x, first, second, anchor) = label_at(spot.side, radius);
        let [left, top, width, height] = reach(&drawn.frame, spot.side, radius);
        Some(view! {
            <rect x=left y=top width=width height=height fill="transparent"></rect>
            <text
                x=x
                y=first
                text-anchor=anchor
                font-size="12.5"
                font-weight="550"
                fill="var(--ink)"
            >
                {name}
            </text>
            <text x=x y=second text-anchor=anchor font-size="11" fill="var(--ink-3)" class="num">
                {brief}
            </text>
        })
    }
}
