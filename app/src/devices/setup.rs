//! The islands for connecting a device: waiting for its first handshake, and
//! copying its configuration.

use crate::{
    event_stream::{Reconnecting, decode, subscribe},
    tenant::{Derived, ProblemBanners, state::Connection, status::problems},
    ui::RelativeTime,
};
use domain::{
    Topic,
    view::{DevicePageView, DeviceRow},
};
use leptos::prelude::*;

/// Shows whether a device is connected, and what is wrong with the network it
/// connects to, live.
#[island]
pub fn FirstHandshake(
    /// The page at the time it was rendered.
    initial: DevicePageView,
) -> impl IntoView {
    let topic = Topic::Device(initial.device.id);
    let view = RwSignal::new(initial);
    let connected = RwSignal::new(true);
    let on_event = move |text: String| {
        if let Some(new) = decode(&text) {
            view.set(new);
        }
    };
    subscribe(topic, connected, Box::new(on_event));
    let connection = Derived::of(view, |v| {
        Connection::of(&DeviceRow::from(v.device.clone()), v.now)
    });
    let times = Derived::of(view, |v| (v.device.last_handshake, v.now));
    let may_lose_large_packets = Derived::of(view, |v| {
        v.device.last_handshake.is_some() && !v.device.options.small_packets
    });
    let handshake = move || {
        let (at, now) = times.get();
        at.map(|at| view! { <RelativeTime at=at now=now/> })
    };
    view! {
        <ProblemBanners problems=Derived::of(view, |v| problems(&v.status))/>
        <div class="card flex items-center gap-3 px-3.5 py-3">
            <span class=move || connection.get().tone().dot() aria-hidden="true"></span>
            <div>
                // A live region announces each change, so it holds only this text
                // and not the times below, which change every second.
                <p class="font-semibold" role="status">
                    {move || match connection.get() {
                        Connection::Online => "Connected",
                        Connection::Away => "Not connected now",
                        Connection::Never => "Waiting for the first handshake",
                    }}
                </p>
                <p class="xs">
                    {move || match connection.get() {
                        Connection::Never => {
                            "This turns green by itself. Nothing after a minute? Switch the tunnel \
                             on in the WireGuard app, and check that the device is online."
                                .into_any()
                        }
                        _ => view! { "Last handshake " {handshake()} }.into_any(),
                    }}
                </p>
                <Show when=move || may_lose_large_packets.get()>
                    <p class="xs mt-1">
                        "Connected, and pages or downloads stall? The line loses large packets: switch on “Small packets” in the settings, under “Advanced”."
                    </p>
                </Show>
            </div>
            <span class="ms-auto"><Reconnecting connected=connected/></span>
        </div>
    }
}

/// Copies the text of the element `target`. Browsers allow it on HTTPS and on
/// localhost only; on other addresses the text is selected, ready for Ctrl+C.
#[island]
pub fn CopyConfig(
    /// The id of the element whose text is copied.
    target: String,
    /// What is in the clipboard then, for example "the key".
    holds: String,
) -> impl IntoView {
    let result = RwSignal::new(String::new());
    let copy = move |_| {
        #[cfg(feature = "hydrate")]
        copy_or_select(&target, holds.clone(), result);
        #[cfg(not(feature = "hydrate"))]
        let _ = (&target, &holds, result);
    };
    view! {
        <button type="button" class="btn live-only" on:click=copy>
            <crate::ui::Icon glyph=crate::ui::Glyph::Copy class="icon-s"/>
            "Copy"
        </button>
        <span class="s w-full text-center empty:hidden" role="status">
            {result}
        </span>
    }
}

#[cfg(feature = "hydrate")]
fn copy_or_select(target: &str, holds: String, result: RwSignal<String>) {
    use wasm_bindgen::JsValue;
    let Some(element) = document().get_element_by_id(target) else {
        return;
    };
    let text = element.text_content().unwrap_or_default();
    let navigator = window().navigator();
    // `clipboard` is undefined on a page loaded over plain HTTP from another host.
    let allowed = js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard"))
        .is_ok_and(|c| c.is_object());
    leptos::task::spawn_local(async move {
        if allowed {
            let written = navigator.clipboard().write_text(&text);
            if wasm_bindgen_futures::JsFuture::from(written).await.is_ok() {
                result.set(format!(
                    "Copied. Clear your clipboard when you are done: it holds {holds}."
                ));
                return;
            }
        }
        // Hidden text cannot be selected.
        if let Ok(Some(details)) = element.closest("details") {
            // Fails only for a malformed name.
            let _ = details.set_attribute("open", "");
        }
        let selected = window()
            .get_selection()
            .ok()
            .flatten()
            .is_some_and(|s| s.select_all_children(&element).is_ok());
        let text = if selected {
            "Selected. Press Ctrl+C (⌘C on a Mac) to copy."
        } else {
            "Copy the text below."
        };
        result.set(text.to_owned());
    });
}
