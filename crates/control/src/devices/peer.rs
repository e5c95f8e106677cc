//! A device as the published API lists it.

use domain::view::DeviceView;

/// A device with what else its row holds.
#[derive(Clone, Debug)]
pub struct Peer {
    pub device: DeviceView,
    /// The id of its client in AdGuard Home.
    pub client_id: String,
}
