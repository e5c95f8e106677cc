//! The dashboard's data in the browser: rendered by the server first, then
//! replaced by every event of `/live`. Islands read it through memos, so an
//! event touches only what really changed: an open menu, a half-typed search
//! and the focus stay as they are.

use crate::live::listen;
use domain::{
    DeviceId,
    view::{DashboardView, DeviceView},
};
use leptos::prelude::*;
use std::{cell::Cell, rc::Rc, time::Duration};

/// How long a lost stream may try by itself before it is opened anew.
const RETRY: Duration = Duration::from_secs(8);

/// A page's live data.
#[derive(Clone, Copy)]
pub struct Live {
    /// What the server told last.
    pub view: RwSignal<DashboardView>,
    /// Whether the stream is open; while it is not, the view grows old.
    pub open: RwSignal<bool>,
}

impl Live {
    /// Takes what the page was rendered with and, in the browser, follows the
    /// stream from then on.
    pub fn start(initial: DashboardView) -> Self {
        let live = Self {
            view: RwSignal::new(initial),
            open: RwSignal::new(true),
        };
        Effect::new(move |_| live.follow());
        live
    }

    /// One device, for as long as a row of it is shown: once it is gone, its
    /// last state.
    pub fn device(self, first: DeviceView) -> Memo<DeviceView> {
        let id = first.id;
        Memo::new(move |before: Option<&DeviceView>| {
            self.view
                .with(|v| v.devices.iter().find(|d| d.id == id).cloned())
                .or_else(|| before.cloned())
                .unwrap_or_else(|| first.clone())
        })
    }

    /// A device as a server function returned it, before the stream tells.
    pub fn put(self, device: DeviceView) {
        self.view.update(|v| {
            if let Some(old) = v.devices.iter_mut().find(|d| d.id == device.id) {
                *old = device;
            }
        });
    }

    /// A device that was deleted, before the stream tells.
    pub fn remove(self, id: DeviceId) {
        self.view.update(|v| v.devices.retain(|d| d.id != id));
    }

    /// Opens the stream. A page that is left closes it (a browser allows six
    /// connections to a host, and a page kept for "back" would hold one) and
    /// opens it again when the person comes back to it.
    fn follow(self) {
        let stream = Owner::new();
        self.listen(stream.clone());
        let (leaving, returning) = (stream.clone(), stream);
        let left = window_event_listener(leptos::ev::pagehide, move |_| leaving.cleanup());
        let back = window_event_listener(leptos::ev::pageshow, move |event| {
            if event.persisted() {
                self.listen(returning.clone());
            }
        });
        on_cleanup(move || {
            left.remove();
            back.remove();
        });
    }

    /// Listens, with everything that needs kept by `stream`. A browser tries a
    /// lost connection again by itself, but gives up for good on an answer that
    /// is no stream, such as a proxy's 502 while the server restarts: then it
    /// is opened anew.
    fn listen(self, stream: Owner) {
        let waiting = Rc::new(Cell::new(false));
        let again = stream.clone();
        let state = move |open: bool| {
            self.open.set(open);
            if open || waiting.replace(true) {
                return;
            }
            let (waiting, again) = (waiting.clone(), again.clone());
            let retry = move || {
                waiting.set(false);
                if !self.open.get_untracked() {
                    again.cleanup();
                    self.listen(again);
                }
            };
            set_timeout(retry, RETRY);
        };
        stream.with(|| {
            listen::<DashboardView>("/live", "dashboard", move |view| self.view.set(view), state);
        });
    }
}

/// "reconnecting…" while the stream is lost. The place is there from the
/// beginning, so that screen readers are told when it fills.
#[component]
pub fn Reconnecting(
    /// The page's data.
    live: Live,
) -> impl IntoView {
    view! {
        <span role="status">
            {move || {
                (!live.open.get())
                    .then(|| view! { <span class="chip chip-warn">"reconnecting…"</span> })
            }}
        </span>
    }
}
