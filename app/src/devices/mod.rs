//! A tenant's devices: the table, adding one, connecting it, changing and
//! deleting it.

mod actions;
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

pub use actions::{
    AddDevice, Back, ChangeDevice, DeleteDevice, SetDevice, add_device, change_device,
    delete_device, set_device,
};
pub use forms::{AddForm, ChangeForm, Typed};
#[cfg(feature = "ssr")]
pub use page::{DeleteDevicePage, DevicePage, DevicesPage, NewDevicePage};
pub use setup::{CopyConfig, FirstHandshake};
pub use table::DevicesCard;

use crate::dashboard::{
    Troubles,
    live::{Live, Reconnecting},
};
use domain::{Failure, view::DashboardView};
use leptos::prelude::*;

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
            <Reconnecting live=live/>
        </div>
        <Troubles live=live/>
        <DevicesCard live=live back=Back::Devices failure=failure/>
    }
}
