//! What connecting a device needs of a script: waiting for its first
//! handshake, and copying its configuration.

use crate::{
    dashboard::state::Connection,
    live::{Reconnecting, decoded, follow},
    ui::RelativeTime,
};
use domain::{
    DeviceId, Timestamp,
    view::{DashboardView, DeviceRow},
};
use leptos::prelude::*;

/// Waits for a device's handshake and turns green by itself.
#[island]
pub fn FirstHandshake(
    /// The device.
    device: DeviceRow,
    /// The server's clock when it was looked at.
    now: Timestamp,
) -> impl IntoView {
    let id: DeviceId = device.id;
    let seen = RwSignal::new((device, now));
    let open = RwSignal::new(true);
    let on = move |text: String| {
        let Some(view) = decoded::<DashboardView>(&text) else {
            return;
        };
        let now = view.now;
        if let Some(device) = view.devices.into_iter().find(|d| d.id == id) {
            seen.set((device, now));
        }
    };
    follow("/live", "dashboard", open, Box::new(on));
    let connection = Memo::new(move |_| seen.with(|(d, now)| Connection::of(d, *now)));
    let handshake = move || {
        seen.with(|(d, now)| {
            d.last_handshake
                .map(|at| view! { <RelativeTime at=at now=*now/> })
        })
    };
    view! {
        <div class="card flex items-center gap-3 px-3.5 py-3">
            <span class=move || connection.get().tone().dot() aria-hidden="true"></span>
            <div>
                // Only what changes once is told to screen readers, not every second.
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
            </div>
            <span class="ms-auto"><Reconnecting open=open/></span>
        </div>
    }
}

/// Copies the text of the element `target`. Browsers allow that on HTTPS and on
/// localhost only; elsewhere the text is selected, ready for Ctrl+C.
#[island]
pub fn CopyConfig(
    /// The id of the element whose text is copied.
    target: String,
) -> impl IntoView {
    let said = RwSignal::new("");
    let copy = move |_| {
        #[cfg(feature = "hydrate")]
        copy_or_select(&target, said);
        // On the server nobody clicks.
        #[cfg(not(feature = "hydrate"))]
        let _ = (&target, said);
    };
    view! {
        <button type="button" class="btn live-only" on:click=copy>
            <crate::ui::Icon glyph=crate::ui::Glyph::Copy class="icon-s"/>
            "Copy"
        </button>
        <span class="s w-full text-center empty:hidden" role="status">
            {said}
        </span>
    }
}

#[cfg(feature = "hydrate")]
fn copy_or_select(target: &str, said: RwSignal<&'static str>) {
    use wasm_bindgen::JsValue;
    let Some(element) = document().get_element_by_id(target) else {
        return;
    };
    let text = element.text_content().unwrap_or_default();
    let navigator = window().navigator();
    // Undefined where the page came over plain HTTP from elsewhere.
    let allowed = js_sys::Reflect::get(&navigator, &JsValue::from_str("clipboard"))
        .is_ok_and(|c| c.is_object());
    leptos::task::spawn_local(async move {
        if allowed {
            let written = navigator.clipboard().write_text(&text);
            if wasm_bindgen_futures::JsFuture::from(written).await.is_ok() {
                said.set("Copied. Clear your clipboard when you are done: it holds the key.");
                return;
            }
        }
        // Show it: what is not shown cannot be selected.
        if let Ok(Some(details)) = element.closest("details") {
            // Only fails for a malformed name.
            let _ = details.set_attribute("open", "");
        }
        let selected = window()
            .get_selection()
            .ok()
            .flatten()
            .is_some_and(|s| s.select_all_children(&element).is_ok());
        said.set(if selected {
            "Selected. Press Ctrl+C (⌘C on a Mac) to copy."
        } else {
            "Copy the text below."
        });
    });
}
