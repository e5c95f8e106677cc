//! The addresses of the server functions that the table's forms and scripts use.

/// Changes one setting of a device.
pub const SET_DEVICE: &str = "/do/set_device";
/// Deletes a device.
pub const DELETE_DEVICE: &str = "/do/delete_device";
