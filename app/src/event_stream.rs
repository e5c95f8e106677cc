//! The browser's side of the server-sent events: one stream for each island. It
//! is reopened when it is lost and closed while the page is not shown. On the
//! server this module does nothing.

use domain::Topic;
use leptos::prelude::*;

/// Receives the data of each event, as JSON text.
pub type EventHandler = Box<dyn Fn(String)>;

/// Calls `on_event` with the data of every event of the topic's stream, from
/// hydration until the island is disposed. `connected` tells whether the stream is
/// open; while it is not, the page shows old data.
///
/// If the session or the topic's device ends meanwhile, the page is reloaded, which
/// leads to the sign-in or says that there is nothing.
pub fn subscribe(topic: Topic, connected: RwSignal<bool>, on_event: EventHandler) {
    let on_event = StoredValue::new_local(on_event);
    Effect::new(move |_| {
        #[cfg(feature = "hydrate")]
        browser::subscribe(topic, connected, on_event);
        #[cfg(not(feature = "hydrate"))]
        let _ = (topic, connected, on_event);
    });
}

/// Parses the data of an event. Returns `None` for data of another version of
/// the server; the next page load brings the matching script.
pub fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Shows "reconnecting…" while the stream is lost. The element exists from the
/// beginning, so that screen readers announce the text when it appears.
#[component]
pub fn Reconnecting(
    /// Whether the stream is open.
    connected: RwSignal<bool>,
) -> impl IntoView {
    view! {
        <span role="status" class="chip chip-warn empty:hidden">
            {move || (!connected.get()).then_some("reconnecting…")}
        </span>
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::EventHandler;
    use domain::Topic;
    use leptos::prelude::*;
    use std::{cell::RefCell, rc::Rc, time::Duration};
    use wasm_bindgen::{JsCast, prelude::Closure};
    use web_sys::{EventSource, MessageEvent};

    /// How long the browser may retry a lost stream before it is reopened.
    const RETRY_DELAY: Duration = Duration::from_secs(8);

    /// An open stream with its listeners. Dropping it closes it.
    struct Stream {
        source: EventSource,
        _on_event: [Closure<dyn FnMut(MessageEvent)>; 2],
        _on_state: [Closure<dyn FnMut()>; 2],
    }

    impl Drop for Stream {
        fn drop(&mut self) {
            self.source.close();
        }
    }

    #[derive(Clone)]
    struct Subscription {
        topic: Topic,
        connected: RwSignal<bool>,
        on_event: StoredValue<EventHandler, LocalStorage>,
        stream: Rc<RefCell<Option<Stream>>>,
    }

    /// Opens the stream while the page is seen. A page that is left or in a hidden tab
    /// closes it, because over HTTP/1.1 a browser allows six connections to a host: the
    /// seventh tab would wait forever. It reopens it when it is seen again, also when it
    /// is restored from the back/forward cache; the first event then is the newest state.
    pub fn subscribe(
        topic: Topic,
        connected: RwSignal<bool>,
        on_event: StoredValue<EventHandler, LocalStorage>,
    ) {
        let subscription = Subscription {
            topic,
            connected,
            on_event,
            stream: Rc::default(),
        };
        if !document().hidden() {
            subscription.connect();
        }
        let hidden = subscription.clone();
        let on_hide = window_event_listener(leptos::ev::pagehide, move |_| hidden.close());
        let restored = subscription.clone();
        let on_show = window_event_listener(leptos::ev::pageshow, move |event| {
            if event.persisted() {
                restored.connect();
            }
        });
        let turned = subscription.clone();
        let on_turn =
            window_event_listener_untyped("visibilitychange", move |_| match document().hidden() {
                true => turned.close(),
                false => turned.connect(),
            });
        let stored = StoredValue::new_local(subscription);
        on_cleanup(move || {
            on_hide.remove();
            on_show.remove();
            on_turn.remove();
            stored.try_with_value(Subscription::close);
        });
    }

    impl Subscription {
        fn close(&self) {
            drop(self.stream.take());
        }

        /// Opens the stream, and closes one that is open. A browser retries a
        /// lost connection by itself, but stops for good when the answer is not
        /// a stream (a proxy's 502 while the server restarts). `retry` covers
        /// that case.
        fn connect(&self) {
            self.close();
            let Ok(source) = EventSource::new(&self.topic.path()) else {
                self.connected.set(false);
                return;
            };
            let on_event = self.on_event;
            let message = Closure::<dyn FnMut(_)>::new(move |event: MessageEvent| {
                if let Some(text) = event.data().as_string() {
                    on_event.try_with_value(|on_event| on_event(text));
                }
            });
            let signed_out = Closure::<dyn FnMut(_)>::new(|_: MessageEvent| {
                // Fails only without a document.
                let _ = window().location().reload();
            });
            let connected = self.connected;
            let opened = Closure::<dyn FnMut()>::new(move || connected.set(true));
            let this = self.clone();
            let lost = Closure::<dyn FnMut()>::new(move || {
                // Every retry of the browser ends here too: only the first
                // failure and the last one start a timer.
                if connected.get_untracked() || this.is_closed() {
                    connected.set(false);
                    let this = this.clone();
                    set_timeout(move || this.retry(), RETRY_DELAY);
                }
            });
            for (name, listener) in [(self.topic.event(), &message), ("signed_out", &signed_out)] {
                // Fails only for a listener that is null.
                let _ = source
                    .add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
            }
            source.set_onopen(Some(opened.as_ref().unchecked_ref()));
            source.set_onerror(Some(lost.as_ref().unchecked_ref()));
            self.stream.replace(Some(Stream {
                source,
                _on_event: [message, signed_out],
                _on_state: [opened, lost],
            }));
        }

        /// Returns whether the browser has given up on the stream.
        fn is_closed(&self) -> bool {
            let closed = |s: &Stream| s.source.ready_state() == EventSource::CLOSED;
            self.stream.borrow().as_ref().is_some_and(closed)
        }

        fn retry(&self) {
            // A page that was left meanwhile has no stream.
            let has_stream = self.stream.borrow().is_some();
            if has_stream && self.connected.try_get_untracked() == Some(false) {
                self.connect();
            }
        }
    }
}
