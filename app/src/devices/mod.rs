//! A tenant's devices: the table, adding one, connecting it, changing and
//! deleting it.

#[cfg(feature = "ssr")]
mod actions;
mod back;
mod confirm;
mod forms;
#[cfg(feature = "ssr")]
mod guide;
mod order;
#[cfg(feature = "ssr")]
mod page;
#[cfg(feature = "ssr")]
mod qr;
mod row;
mod setup;
mod table;

#[cfg(feature = "ssr")]
pub use actions::{
    AddDevice, ChangeDevice, DeleteDevice, SetDevice, add_device, change_device, delete_device,
    set_device,
};
pub use back::Back;
pub use forms::{AddForm, ChangeForm, Typed};
#[cfg(feature = "ssr")]
pub use page::{DeleteDevicePage, DevicePage, DevicesPage, NewDevicePage};
pub use setup::{CopyConfig, FirstHandshake};
pub use table::DevicesCard;

use crate::{
    dashboard::{Troubles, live::Live},
    live::Reconnecting,
};
use domain::{Failure, view::DashboardView};
use leptos::prelude::*;

/// Where a row's changes go.
const SET: &str = "/api/set_device";
/// Where a device is deleted.
const DELETE: &str = "/api/delete_device";

/// The devices page's content, live.
#[island]
pub fn LiveDevices(
    /// What the server knew when it rendered the page.
    initial: DashboardView,
    /// What was refused, after a plain POST.
    failure: Option<Failure>,
) -> impl IntoView {
    let live = Live::start(initial);
    view! {
        <div class="row">
            <h1>"Devices"</h1>
            <Reconnecting open=live.open/>
        </div>
        <Troubles live=live/>
        <DevicesCard live=live back=Back::Devices failure=failure/>
    }
}
