//! The picture in a page. It is rendered as one text; in a browser it is updated
//! element by element, so that a focused device remains the same element.

use super::{
    draw::{Picture, draw},
    geometry::Frame,
    layout::cached_layout,
};
use crate::tenant::{LiveData, state};
use domain::DeviceId;
use leptos::{prelude::*, svg, web_sys};

/// The mesh as a picture. With `selected` its devices are links, and the signal
/// follows the pointer and the focus.
#[component]
pub fn MeshPicture(
    live: LiveData,
    frame: Frame,
    /// Receives the device that last had the pointer or the focus.
    #[prop(optional)]
    selected: Option<RwSignal<Option<DeviceId>>>,
) -> impl IntoView {
    let links = selected.is_some();
    let picture =
        live.derive(move |v| draw(v, &frame, &cached_layout(&frame, v.devices.len()), links));
    let summary = live.derive(|v| {
        let totals = state::totals(v);
        format!(
            "Mesh: {} of {} devices connected",
            totals.online, totals.devices
        )
    });
    let svg = NodeRef::<svg::Svg>::new();
    Effect::new(move |shown: Option<Picture>| {
        let now = picture.get();
        if let (Some(shown), Some(svg)) = (shown, svg.get_untracked()) {
            update(&svg, &shown, &now);
        }
        now
    });
    let select = move |target: Option<web_sys::EventTarget>| {
        if let (Some(selected), Some(id)) = (selected, target.and_then(device_of_link)) {
            selected.set(Some(id));
        }
    };
    view! {
        <svg
            class="block h-auto w-full"
            viewBox=format!("0 0 {} {}", frame.width, frame.height)
            // With the role `img`, screen readers would ignore the links inside.
            role=if links { "group" } else { "img" }
            aria-label=move || summary.get()
            node_ref=svg
            // The first drawing: the effect above changes it.
            inner_html=picture.with_untracked(Picture::html)
            on:mouseover=move |event| select(event.target())
            on:focusin=move |event| select(event.target())
        ></svg>
    }
}

/// Returns the device whose link is the target of an event.
fn device_of_link(target: web_sys::EventTarget) -> Option<DeviceId> {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let link = target.dyn_into::<web_sys::Element>().ok()?;
        let href = link.closest("a").ok()??.get_attribute("href")?;
        href.rsplit('/').next()?.parse().ok()
    }
    #[cfg(not(feature = "hydrate"))]
    {
        let _ = target;
        None
    }
}

/// Updates the elements that differ between `shown` and `now`.
#[cfg(feature = "hydrate")]
fn update(svg: &web_sys::Element, shown: &Picture, now: &Picture) {
    let tags = |p: &Picture| p.elements.iter().map(|e| e.tag.clone()).collect::<Vec<_>>();
    if tags(shown) != tags(now) {
        svg.set_inner_html(&now.html());
        return;
    }
    let children = svg.children();
    for (i, (old, new)) in (0..).zip(shown.elements.iter().zip(&now.elements)) {
        let Some(element) = children.item(i).filter(|_| old != new) else {
            continue;
        };
        // These fail only for invalid attribute names.
        if old.transform != new.transform {
            let _ = element.set_attribute("transform", &new.transform);
        }
        if old.aria_label != new.aria_label {
            let _ = element.set_attribute("aria-label", &new.aria_label);
        }
        if old.body != new.body {
            element.set_inner_html(&new.body);
        }
    }
}

/// Does nothing: on the server a page is rendered once.
#[cfg(not(feature = "hydrate"))]
fn update(_svg: &web_sys::Element, _shown: &Picture, _now: &Picture) {}
