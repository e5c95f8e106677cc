//! A tenant's devices: the table, and the pages that add, connect, change and
//! delete a device.

#[cfg(feature = "ssr")]
mod actions;
mod choices;
mod confirm;
mod endpoints;
mod forms;
#[cfg(feature = "ssr")]
mod guide;
#[cfg(feature = "ssr")]
mod lock_note;
#[cfg(feature = "ssr")]
mod locked;
mod order;
#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
pub mod qr;
mod return_page;
mod row;
mod setup;
#[cfg(feature = "ssr")]
mod steps;
mod table;
mod table_state;

#[cfg(feature = "ssr")]
pub use actions::{
    AddDevice, ChangeDevice, DeleteDevice, NewDeviceKey, SetDevice, add_device, change_device,
    delete_device, new_device_key, set_device,
};
pub use forms::{AddForm, ChangeForm, DeviceInput};
#[cfg(feature = "ssr")]
pub use page::{DeleteDevicePage, DevicePage, DevicesPage, NewDevicePage};
pub use return_page::ReturnPage;
pub use setup::{CopyConfig, FirstHandshake};
pub use table::DevicesCard;

use crate::{
    event_stream::Reconnecting,
    forms::Refusal,
    tenant::{LiveData, ProblemBanners, status::problems},
};
use domain::view::NetworkView;
use leptos::prelude::*;

/// The devices page's content, live.
#[island]
pub fn LiveDevices(
    /// The data at the time the page was rendered.
    initial: NetworkView,
    /// What was refused, after a plain POST.
    failure: Option<Refusal>,
) -> impl IntoView {
    let live = LiveData::start(initial);
    view! {
        <div class="row">
            <h1>"Devices"</h1>
            <Reconnecting connected=live.connected/>
        </div>
        <ProblemBanners problems=live.derive(|v| problems(&v.status))/>
        <DevicesCard live=live return_page=ReturnPage::Devices failure=failure/>
    }
}
