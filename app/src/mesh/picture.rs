//! The picture in a page: drawn as one text, and in a browser kept up to date
//! part by part, so that the device under the focus stays the same element.

use super::{
    draw::{Picture, draw},
    layout::{Frame, placed},
};
use crate::dashboard::{live::Live, state};
use domain::DeviceId;
use leptos::{prelude::*, svg, web_sys};

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
    let links = looked_at.is_some();
    let picture = live.follow(move |v| draw(v, &frame, &placed(&frame, v.devices.len()), links));
    let summary = live.follow(|v| {
        let sum = state::totals(v);
        format!("Mesh: {} of {} devices connected", sum.online, sum.devices)
    });
    let place = NodeRef::<svg::Svg>::new();
    Effect::new(move |shown: Option<Picture>| {
        let now = picture.get();
        if let (Some(shown), Some(place)) = (shown, place.get_untracked()) {
            update(&place, &shown, &now);
        }
        now
    });
    let point = move |target: Option<web_sys::EventTarget>| {
        if let (Some(looked_at), Some(id)) = (looked_at, target.and_then(pointed_at)) {
            looked_at.set(Some(id));
        }
    };
    view! {
        <svg
            class="block h-auto w-full"
            viewBox=format!("0 0 {} {}", frame.width, frame.height)
            // Links inside: a picture to screen readers would swallow them.
            role=if links { "group" } else { "img" }
            aria-label=move || summary.get()
            node_ref=place
            inner_html=picture.with(Picture::html)
            on:mouseover=move |event| point(event.target())
            on:focusin=move |event| point(event.target())
        ></svg>
    }
}

/// The device whose link an event came from.
fn pointed_at(target: web_sys::EventTarget) -> Option<DeviceId> {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let link = target.dyn_into::<web_sys::Element>().ok()?;
        let href = link.closest("a").ok()??.get_attribute("href")?;
        href.rsplit('/').next()?.parse().ok()
    }
    // On the server nobody points.
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = target;
        None
    }
}

/// Makes what is shown into what is now.
#[cfg(feature = "hydrate")]
fn update(place: &web_sys::Element, shown: &Picture, now: &Picture) {
    let tags = |p: &Picture| p.parts.iter().map(|p| p.tag.clone()).collect::<Vec<_>>();
    if tags(shown) != tags(now) {
        place.set_inner_html(&now.html());
        return;
    }
    let children = place.children();
    for (i, (old, new)) in (0..).zip(shown.parts.iter().zip(&now.parts)) {
        let Some(element) = children.item(i).filter(|_| old != new) else {
            continue;
        };
        // These fail only for names that are none.
        if old.place != new.place {
            let _ = element.set_attribute("transform", &new.place);
        }
        if old.told != new.told {
            let _ = element.set_attribute("aria-label", &new.told);
        }
        if old.body != new.body {
            element.set_inner_html(&new.body);
        }
    }
}

/// On the server a page is drawn once.
#[cfg(not(feature = "hydrate"))]
fn update(_place: &web_sys::Element, _shown: &Picture, _now: &Picture) {}
