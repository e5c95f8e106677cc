//! The state that the devices table, its rows and its dialog share.

use super::{endpoints::SET_DEVICE, return_page::ReturnPage};
use crate::{event_stream::decode, forms::send, tenant::LiveData};
use domain::DeviceId;
use leptos::prelude::*;

/// The id of the form whose buttons switch the mesh on for a row.
pub const MESH_ON_FORM: &str = "mesh-on";
/// The id of the form whose buttons switch the mesh off for a row.
pub const MESH_OFF_FORM: &str = "mesh-off";

/// The state of the table.
#[derive(Clone, Copy)]
pub struct TableState {
    pub live: LiveData,
    /// The page that contains the table.
    pub return_page: ReturnPage,
    /// The message of the last request that failed.
    pub error: RwSignal<Option<String>>,
    /// The device whose deletion waits for confirmation, with its label.
    pub pending_delete: RwSignal<Option<(DeviceId, String)>>,
}

impl TableState {
    /// Changes one setting of a device and shows the result. Returns whether the
    /// server applied the change.
    pub async fn change(self, id: DeviceId, key: &str, value: &str) -> bool {
        // A number and constant words: nothing needs encoding.
        let body = format!("id={id}&{key}={value}");
        match send(SET_DEVICE.to_owned(), Some(body)).await {
            Ok(answer) => {
                self.error.set(None);
                if let Some(device) = decode(&answer.text) {
                    self.live.replace_device(device);
                }
                true
            }
            Err(failure) => {
                self.error.set(Some(failure.message));
                false
            }
        }
    }
}
