//! The dashboard's data in the browser: rendered by the server first, then
//! replaced by every event of `/live`. Islands follow it, so an event touches
//! only what really changed: an open menu, a half-typed search and the focus
//! stay as they are.

use crate::live::{decoded, follow};
use domain::{
    DeviceId,
    view::{DashboardView, DeviceRow},
};
use leptos::prelude::*;

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
        let on = move |text: String| {
            if let Some(view) = decoded(&text) {
                live.view.set(view);
            }
        };
        follow("/live", "dashboard", live.open, Box::new(on));
        live
    }

    /// What `make` makes of the view, kept up to date.
    pub fn follow<T>(self, make: impl Fn(&DashboardView) -> T + Send + Sync + 'static) -> Follow<T>
    where
        T: PartialEq + Send + Sync + 'static,
    {
        #[cfg(feature = "hydrate")]
        return Follow(Memo::new(move |_| self.view.with(&make)));
        #[cfg(not(feature = "hydrate"))]
        return Follow(StoredValue::new(self.view.with_untracked(make)));
    }

    /// What `make` makes of one device, for as long as something of it is
    /// shown: once it is gone, the last there was.
    pub fn device<T>(
        self,
        first: DeviceRow,
        make: impl Fn(&DeviceRow, &DashboardView) -> T + Send + Sync + 'static,
    ) -> Follow<T>
    where
        T: PartialEq + Clone + Send + Sync + 'static,
    {
        #[cfg(feature = "hydrate")]
        return Follow(Memo::new(move |before: Option<&T>| {
            self.view.with(|view| {
                let now = view.devices.iter().find(|d| d.id == first.id);
                match (now, before) {
                    (None, Some(before)) => before.clone(),
                    (now, _) => make(now.unwrap_or(&first), view),
                }
            })
        }));
        #[cfg(not(feature = "hydrate"))]
        return Follow(StoredValue::new(
            self.view.with_untracked(|view| make(&first, view)),
        ));
    }

    /// The devices that `ids` tells, with what they are as their rows are made.
    pub fn first(self, id: DeviceId) -> Option<DeviceRow> {
        let find = |v: &DashboardView| v.devices.iter().find(|d| d.id == id).cloned();
        self.view.with_untracked(find)
    }

    /// A device as a server function returned it, before the stream tells.
    pub fn put(self, device: DeviceRow) {
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
}

/// Something made of the view. In a browser it changes with it; on the server,
/// where a page is written once, it is a value and costs no more.
pub struct Follow<T: Send + Sync + 'static>(
    #[cfg(feature = "hydrate")] Memo<T>,
    #[cfg(not(feature = "hydrate"))] StoredValue<T>,
);

impl<T: Send + Sync + 'static> Clone for Follow<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Follow<T> {}

impl<T: PartialEq + Send + Sync + 'static> Follow<T> {
    /// Reads it; in a browser, whoever does is run again when it changes.
    pub fn with<U>(self, read: impl FnOnce(&T) -> U) -> U {
        #[cfg(feature = "hydrate")]
        return self.0.with(read);
        #[cfg(not(feature = "hydrate"))]
        return self.0.with_value(read);
    }

    /// A copy of it.
    pub fn get(self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }
}
