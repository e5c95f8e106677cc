//! What can be done to devices: the server functions behind every form. Each
//! works by a plain POST; what a script calls too answers with data instead of
//! a redirect.

use super::Back;
use crate::{
    context,
    forms::{self, AppError},
};
use domain::{DeviceId, ErrorCode, Failure, FilterPolicy, Routing, view::DeviceRow};
use leptos::prelude::*;

/// "on" and "off" as forms send them.
fn switch(value: &str) -> Result<bool, Failure> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Failure::new(ErrorCode::ChoiceUnknown, "Choose on or off.")),
    }
}

/// Adds a device and leads to its page.
///
/// # Errors
/// What `Control::add_device` refuses.
#[server(endpoint = "add_device")]
pub async fn add_device(
    label: String,
    routing: String,
    policy: String,
    mesh: Option<String>,
) -> Result<(), AppError> {
    let added = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        let new = control::NewDevice {
            label: label.clone(),
            routing: routing.parse::<Routing>()?,
            policy: policy.parse::<FilterPolicy>()?,
            mesh: mesh.is_some(),
        };
        control.add_device(&scope, new).await
    }
    .await;
    let device = added.map_err(|failure| {
        let typed = [
            ("label", label.as_str()),
            ("routing", routing.as_str()),
            ("policy", policy.as_str()),
            ("mesh", if mesh.is_some() { "on" } else { "off" }),
        ];
        forms::refuse(failure, "/devices/new", &typed)
    })?;
    forms::go(&format!("/devices/{}?new=1", device.id));
    Ok(())
}

/// Changes label, policy and mesh: the form on the device's page. An unticked
/// box sends nothing, so a missing `mesh` is off here.
///
/// # Errors
/// What `Control::change_device` refuses.
#[server(endpoint = "change_device")]
pub async fn change_device(
    id: DeviceId,
    label: String,
    policy: String,
    mesh: Option<String>,
) -> Result<(), AppError> {
    let changed = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        let change = control::DeviceChange {
            label: Some(label.clone()),
            policy: Some(policy.parse()?),
            mesh: Some(mesh.is_some()),
        };
        control.change_device(&scope, id, change).await
    }
    .await;
    let page = format!("/devices/{id}");
    let changed = changed.map_err(|failure| {
        let typed = [
            ("label", label.as_str()),
            ("policy", policy.as_str()),
            ("mesh", if mesh.is_some() { "on" } else { "off" }),
        ];
        forms::refuse(failure, &page, &typed)
    })?;
    let saved = if changed.in_force { "now" } else { "later" };
    forms::go(&format!("{page}?saved={saved}"));
    Ok(())
}

/// Changes one thing in a row of the table. With `back` (a plain POST) the
/// browser returns there; a script gets the device as it is now.
///
/// # Errors
/// What `Control::change_device` refuses.
#[server(endpoint = "set_device")]
pub async fn set_device(
    id: DeviceId,
    policy: Option<String>,
    mesh: Option<String>,
    back: Option<Back>,
) -> Result<DeviceRow, AppError> {
    let changed = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        let change = control::DeviceChange {
            label: None,
            policy: policy.map(|p| p.parse()).transpose()?,
            mesh: mesh.map(|m| switch(&m)).transpose()?,
        };
        control.change_device(&scope, id, change).await
    }
    .await;
    let page = back.unwrap_or(Back::Overview).path();
    let device = changed
        .map_err(|failure| forms::refuse(failure, page, &[]))?
        .device;
    if back.is_some() {
        forms::go(page);
    }
    Ok(device.into())
}

/// Deletes a device. With `back` (the page that asks) the browser goes there
/// afterwards; a script stays where it is.
///
/// # Errors
/// What `Control::delete_device` refuses.
#[server(endpoint = "delete_device")]
pub async fn delete_device(id: DeviceId, back: Option<Back>) -> Result<(), AppError> {
    let deleted = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        control.delete_device(&scope, id).await
    }
    .await;
    deleted.map_err(|failure| {
        // It is deleted, only not yet cut off, and its page is gone.
        let page = match failure.code {
            ErrorCode::NotYetInForce => Back::Devices.path().to_owned(),
            _ => format!("/devices/{id}/delete"),
        };
        forms::refuse(failure, &page, &[])
    })?;
    if let Some(back) = back {
        forms::go(back.path());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_on_or_off_and_nothing_else() {
        assert_eq!(switch("on").ok(), Some(true));
        assert_eq!(switch("off").ok(), Some(false));
        assert!(switch("true").is_err());
    }
}
