//! The browser's end of the server-sent events: one typed stream, closed with
//! the island that opened it. On the server it does nothing.

use serde::de::DeserializeOwned;

/// Calls `on` with every event `name` of the stream at `url`, decoded from
/// JSON. `on_state` hears `true` when the stream is open and `false` while the
/// browser is trying to reach it again (EventSource reconnects by itself).
/// Events that cannot be decoded are dropped: they come from another version
/// of the server, and the next page load brings the matching script.
///
/// Call it from an `Effect` of an island, so that it runs in the browser only
/// and is closed when the island goes.
#[cfg(feature = "hydrate")]
pub fn listen<T: DeserializeOwned + 'static>(
    url: &str,
    name: &str,
    on: impl Fn(T) + 'static,
    on_state: impl Fn(bool) + Clone + 'static,
) {
    use leptos::prelude::{StoredValue, on_cleanup, *};
    use wasm_bindgen::{JsCast, prelude::Closure};
    use web_sys::{EventSource, MessageEvent};

    let Ok(source) = EventSource::new(url) else {
        on_state(false);
        return;
    };
    let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let decoded = event
            .data()
            .as_string()
            .and_then(|text| serde_json::from_str(&text).ok());
        if let Some(value) = decoded {
            on(value);
        }
    });
    let opened = Closure::<dyn FnMut()>::new({
        let on_state = on_state.clone();
        move || on_state(true)
    });
    let lost = Closure::<dyn FnMut()>::new(move || on_state(false));
    // Only fails where the listener is null, which it is not.
    let _ = source.add_event_listener_with_callback(name, message.as_ref().unchecked_ref());
    source.set_onopen(Some(opened.as_ref().unchecked_ref()));
    source.set_onerror(Some(lost.as_ref().unchecked_ref()));

    // The closures live as long as the stream, the stream as long as its owner.
    let kept = StoredValue::new_local((source, message, opened, lost));
    on_cleanup(move || {
        kept.try_with_value(|(source, ..)| source.close());
    });
}

/// On the server there is nothing to listen to.
#[cfg(not(feature = "hydrate"))]
pub fn listen<T: DeserializeOwned + 'static>(
    _url: &str,
    _name: &str,
    _on: impl Fn(T) + 'static,
    _on_state: impl Fn(bool) + Clone + 'static,
) {
}
