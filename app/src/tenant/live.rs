//! A tenant's data in the browser: rendered by the server first, then replaced
//! by every event of the page's stream. Islands derive their texts from it, so an event
//! updates only what really changed: an open menu, a half-typed search and the
//! focus stay as they are.

use crate::event_stream::{decode, subscribe};
use domain::{
    DeviceId, Topic,
    view::{DeviceRow, NetworkView},
};
use leptos::prelude::*;

/// A page's live data.
#[derive(Clone, Copy)]
pub struct LiveData {
    /// The data of the last event, or of the page itself before the first one.
    pub view: RwSignal<NetworkView>,
    /// Whether the stream is open; while it is not, `view` is out of date.
    pub connected: RwSignal<bool>,
}

impl LiveData {
    /// Holds the data the page was rendered with, which the caller updates.
    pub fn new(initial: NetworkView) -> Self {
        Self {
            view: RwSignal::new(initial),
            connected: RwSignal::new(true),
        }
    }

    /// Starts with the data the page was rendered with and, in a browser,
    /// subscribes to the network's stream.
    pub fn start(initial: NetworkView) -> Self {
        let live = Self::new(initial);
        let on_event = move |text: String| {
            if let Some(view) = decode(&text) {
                live.view.set(view);
            }
        };
        subscribe(Topic::Network, live.connected, Box::new(on_event));
        live
    }

    /// Returns what `compute` makes of the view, kept up to date.
    pub fn derive<T>(
        self,
        compute: impl Fn(&NetworkView) -> T + Send + Sync + 'static,
    ) -> Derived<T>
    where
        T: PartialEq + Send + Sync + 'static,
    {
        Derived::of(self.view, compute)
    }

    /// Returns what `compute` makes of the view and of other data beside it, kept
    /// up to date.
    pub fn derive_with<U, T>(
        self,
        other: RwSignal<U>,
        compute: impl Fn(&NetworkView, &U) -> T + Send + Sync + 'static,
    ) -> Derived<T>
    where
        U: Send + Sync + 'static,
        T: PartialEq + Send + Sync + 'static,
    {
        #[cfg(feature = "hydrate")]
        return Derived(Memo::new(move |_| {
            self.view.with(|v| other.with(|o| compute(v, o)))
        }));
        #[cfg(not(feature = "hydrate"))]
        return Derived(StoredValue::new(
            self.view
                .with_untracked(|v| other.with_untracked(|o| compute(v, o))),
        ));
    }

    /// Returns what `compute` makes of one device, kept up to date. Once the
    /// device is deleted the last value remains, for as long as it is shown.
    pub fn derive_device<T>(
        self,
        initial: DeviceRow,
        compute: impl Fn(&DeviceRow, &NetworkView) -> T + Send + Sync + 'static,
    ) -> Derived<T>
    where
        T: PartialEq + Clone + Send + Sync + 'static,
    {
        #[cfg(feature = "hydrate")]
        return Derived(Memo::new(move |previous: Option<&T>| {
            self.view.with(|view| {
                let current = view.devices.iter().find(|d| d.id == initial.id);
                match (current, previous) {
                    (None, Some(previous)) => previous.clone(),
                    (current, _) => compute(current.unwrap_or(&initial), view),
                }
            })
        }));
        #[cfg(not(feature = "hydrate"))]
        return Derived(StoredValue::new(
            self.view.with_untracked(|view| compute(&initial, view)),
        ));
    }

    /// Returns the device `id` as it is now, without subscribing to changes;
    /// `None` if it was deleted.
    pub fn find_device(self, id: DeviceId) -> Option<DeviceRow> {
        let find = |v: &NetworkView| v.devices.iter().find(|d| d.id == id).cloned();
        self.view.with_untracked(find)
    }

    /// Replaces a device by what a server function returned, before the next
    /// event arrives.
    pub fn replace_device(self, device: DeviceRow) {
        self.view.update(|v| {
            if let Some(old) = v.devices.iter_mut().find(|d| d.id == device.id) {
                *old = device;
            }
        });
    }

    /// Removes a deleted device, before the next event arrives.
    pub fn remove_device(self, id: DeviceId) {
        self.view.update(|v| v.devices.retain(|d| d.id != id));
    }
}

/// A value computed from the view. In a browser it follows the view; on the
/// server, where a page is rendered once, it is a plain value and costs no more.
pub struct Derived<T: Send + Sync + 'static>(
    #[cfg(feature = "hydrate")] Memo<T>,
    #[cfg(not(feature = "hydrate"))] StoredValue<T>,
);

impl<T: Send + Sync + 'static> Clone for Derived<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Derived<T> {}

impl<T: PartialEq + Send + Sync + 'static> Derived<T> {
    /// Returns what `compute` makes of a view, kept up to date.
    pub fn of<V>(view: RwSignal<V>, compute: impl Fn(&V) -> T + Send + Sync + 'static) -> Self
    where
        V: Send + Sync + 'static,
    {
        #[cfg(feature = "hydrate")]
        return Self(Memo::new(move |_| view.with(&compute)));
        #[cfg(not(feature = "hydrate"))]
        return Self(StoredValue::new(view.with_untracked(compute)));
    }

    /// Calls `read` with the value. In a browser the caller's effect runs again
    /// when the value changes.
    pub fn with<U>(self, read: impl FnOnce(&T) -> U) -> U {
        #[cfg(feature = "hydrate")]
        return self.0.with(read);
        #[cfg(not(feature = "hydrate"))]
        return self.0.with_value(read);
    }

    /// Calls `read` with the value as it is now, for what is drawn once: the caller does not
    /// run again.
    pub fn with_untracked<U>(self, read: impl FnOnce(&T) -> U) -> U {
        #[cfg(feature = "hydrate")]
        return self.0.with_untracked(read);
        #[cfg(not(feature = "hydrate"))]
        return self.0.with_value(read);
    }

    /// Returns a copy of the value.
    pub fn get(self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }
}
