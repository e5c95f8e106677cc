//! The browser's end of the server-sent events: one stream for an island,
//! opened again when it is lost and closed while nobody looks at the page. On
//! the server there is nothing to listen to.

use leptos::prelude::*;

/// What a reader of a stream gets: each event's data, as JSON text.
pub type Reader = Box<dyn Fn(String)>;

/// Calls `on` with the data of every event `name` of the stream at `url`, from
/// when the page is in a browser until its island goes. `open` tells whether
/// the stream is there; while it is not, what the page shows grows old.
///
/// Whoever is signed out meanwhile gets the page anew, which leads to the
/// sign-in.
pub fn follow(url: &'static str, name: &'static str, open: RwSignal<bool>, on: Reader) {
    let on = StoredValue::new_local(on);
    Effect::new(move |_| {
        #[cfg(feature = "hydrate")]
        browser::follow(url, name, open, on);
        #[cfg(not(feature = "hydrate"))]
        let _ = (url, name, open, on);
    });
}

/// What an event's data say; `None` where another version of the server wrote
/// them: the next page load brings the matching script.
pub fn decoded<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// "reconnecting…" while the stream is lost. The place is there from the
/// beginning, so that screen readers are told when it fills.
#[component]
pub fn Reconnecting(
    /// Whether the stream is there.
    open: RwSignal<bool>,
) -> impl IntoView {
    view! {
        <span role="status" class="chip chip-warn empty:hidden">
            {move || (!open.get()).then_some("reconnecting…")}
        </span>
    }
}

#[cfg(feature = "hydrate")]
mod browser {
    use super::Reader;
    use leptos::prelude::*;
    use std::{cell::RefCell, rc::Rc, time::Duration};
    use wasm_bindgen::{JsCast, prelude::Closure};
    use web_sys::{EventSource, MessageEvent};

    /// How long a lost stream may try by itself before it is opened anew.
    const RETRY: Duration = Duration::from_secs(8);

    /// An open stream with what listens to it. Dropping it closes it.
    struct Stream {
        source: EventSource,
        _heard: [Closure<dyn FnMut(MessageEvent)>; 2],
        _state: [Closure<dyn FnMut()>; 2],
    }

    impl Drop for Stream {
        fn drop(&mut self) {
            self.source.close();
        }
    }

    #[derive(Clone)]
    struct Follower {
        url: &'static str,
        name: &'static str,
        open: RwSignal<bool>,
        on: StoredValue<Reader, LocalStorage>,
        stream: Rc<RefCell<Option<Stream>>>,
    }

    /// A page that is left closes its stream (a browser allows six connections
    /// to a host, and a page kept for "back" would hold one) and opens it again
    /// when the person comes back to it.
    pub fn follow(
        url: &'static str,
        name: &'static str,
        open: RwSignal<bool>,
        on: StoredValue<Reader, LocalStorage>,
    ) {
        let follower = Follower {
            url,
            name,
            open,
            on,
            stream: Rc::default(),
        };
        follower.listen();
        let leaving = follower.clone();
        let left = window_event_listener(leptos::ev::pagehide, move |_| leaving.close());
        let returning = follower.clone();
        let back = window_event_listener(leptos::ev::pageshow, move |event| {
            if event.persisted() {
                returning.listen();
            }
        });
        let kept = StoredValue::new_local(follower);
        on_cleanup(move || {
            left.remove();
            back.remove();
            kept.try_with_value(Follower::close);
        });
    }

    impl Follower {
        fn close(&self) {
            drop(self.stream.take());
        }

        /// Opens the stream anew. A browser tries a lost connection again by
        /// itself, but gives up for good on an answer that is no stream, such
        /// as a proxy's 502 while the server restarts: after a while we do.
        fn listen(&self) {
            self.close();
            let Ok(source) = EventSource::new(self.url) else {
                self.open.set(false);
                return;
            };
            let on = self.on;
            let message = Closure::<dyn FnMut(_)>::new(move |event: MessageEvent| {
                if let Some(text) = event.data().as_string() {
                    on.try_with_value(|on| on(text));
                }
            });
            // Fails only where there is no page to load.
            let signed_out = Closure::<dyn FnMut(_)>::new(|_: MessageEvent| {
                let _ = window().location().reload();
            });
            let open = self.open;
            let opened = Closure::<dyn FnMut()>::new(move || open.set(true));
            let again = self.clone();
            let lost = Closure::<dyn FnMut()>::new(move || {
                // Told once: every try of the browser's own ends here too.
                if open.get_untracked() || again.is_over() {
                    open.set(false);
                    let again = again.clone();
                    set_timeout(move || again.retry(), RETRY);
                }
            });
            for (name, heard) in [(self.name, &message), ("signed_out", &signed_out)] {
                // Only fails where the listener is null, which it is not.
                let _ =
                    source.add_event_listener_with_callback(name, heard.as_ref().unchecked_ref());
            }
            source.set_onopen(Some(opened.as_ref().unchecked_ref()));
            source.set_onerror(Some(lost.as_ref().unchecked_ref()));
            self.stream.replace(Some(Stream {
                source,
                _heard: [message, signed_out],
                _state: [opened, lost],
            }));
        }

        /// Whether the browser has given up.
        fn is_over(&self) -> bool {
            let closed = |s: &Stream| s.source.ready_state() == EventSource::CLOSED;
            self.stream.borrow().as_ref().is_some_and(closed)
        }

        fn retry(&self) {
            // A page that was left meanwhile has no stream.
            let there = self.stream.borrow().is_some();
            if there && self.open.try_get_untracked() == Some(false) {
                self.listen();
            }
        }
    }
}
