//! The server functions that add, change and delete devices. Each works by a
//! plain POST. Those that a script calls too answer the script with data instead
//! of a redirect.

use super::ReturnPage;
use crate::{
    context,
    forms::{self, AppError},
};
use domain::{
    DeviceId, ErrorCode, Failure, FilterPolicy, Message, Routing, TunnelOptions,
    view::{DeviceRow, DeviceView},
};
use leptos::prelude::*;

/// Parses "on" and "off", as forms send them.
fn parse_switch(value: &str) -> Result<bool, Failure> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Failure::new(
            ErrorCode::ChoiceUnknown,
            Message::SwitchUnknown,
        )),
    }
}

/// Returns a switch as [`parse_switch`] reads it.
const fn switch(is_on: bool) -> &'static str {
    match is_on {
        true => "on",
        false => "off",
    }
}

/// Adds a device and redirects to its page.
///
/// # Errors
/// The failures of `Devices::add`.
#[server(prefix = "/do", endpoint = "add_device")]
pub async fn add_device(
    label: String,
    routing: String,
    policy: String,
    mesh: Option<String>,
    small_packets: Option<String>,
    ipv4_only: Option<String>,
) -> Result<(), AppError> {
    let options = TunnelOptions {
        small_packets: small_packets.is_some(),
        ipv4_only: ipv4_only.is_some(),
    };
    let added = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        let new = control::NewDevice {
            label: label.clone(),
            routing: routing.parse::<Routing>()?,
            policy: policy.parse::<FilterPolicy>()?,
            mesh: mesh.is_some(),
            options,
        };
        control.devices().add(&scope, new).await
    }
    .await;
    let device = added.map_err(|failure| {
        let typed = [
            ("label", label.as_str()),
            ("routing", routing.as_str()),
            ("policy", policy.as_str()),
            ("mesh", switch(mesh.is_some())),
            ("small_packets", switch(options.small_packets)),
            ("ipv4_only", switch(options.ipv4_only)),
        ];
        forms::refuse(failure, "/devices/new", &typed)
    })?;
    forms::redirect(&format!("/devices/{}?new=1", device.id));
    Ok(())
}

/// Changes what can be changed, for the form on the device's page. An unchecked box is
/// not sent, so a missing one means off. A page that is open since before an upgrade sends
/// no `routing`: what its form does not have stays.
///
/// # Errors
/// The failures of `Devices::change`.
#[server(prefix = "/do", endpoint = "change_device")]
pub async fn change_device(
    id: DeviceId,
    label: String,
    policy: String,
    mesh: Option<String>,
    routing: Option<String>,
    small_packets: Option<String>,
    ipv4_only: Option<String>,
) -> Result<(), AppError> {
    let (small_packets, ipv4_only) = (small_packets.is_some(), ipv4_only.is_some());
    let has_all = routing.is_some();
    let changed = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        let before = control.devices().get(&scope, id).await?;
        let change = control::DeviceChange {
            label: Some(label.clone()),
            policy: Some(policy.parse()?),
            mesh: Some(mesh.is_some()),
            routing: routing.as_deref().map(str::parse).transpose()?,
            small_packets: has_all.then_some(small_packets),
            ipv4_only: has_all.then_some(ipv4_only),
        };
        let changed = control.devices().change(&scope, id, change).await?;
        let file = |d: &DeviceView| (d.routing, d.options);
        let has_new_file = file(&before) != file(&changed.device);
        Ok((changed, has_new_file))
    }
    .await;
    let page = format!("/devices/{id}");
    let (changed, has_new_file) = changed.map_err(|failure| {
        let typed = [
            ("label", label.as_str()),
            ("policy", policy.as_str()),
            ("mesh", switch(mesh.is_some())),
            ("routing", routing.as_deref().unwrap_or_default()),
            ("small_packets", switch(small_packets)),
            ("ipv4_only", switch(ipv4_only)),
        ];
        forms::refuse(failure, &page, &typed)
    })?;
    let saved = match (has_new_file, changed.in_force) {
        (true, _) => "file",
        (false, true) => "now",
        (false, false) => "later",
    };
    forms::redirect(&format!("{page}?saved={saved}"));
    Ok(())
}

/// Changes one setting in a row of the table. With `back` (a plain POST) the
/// browser is redirected to that page; a script receives the changed device.
///
/// # Errors
/// The failures of `Devices::change`.
#[server(prefix = "/do", endpoint = "set_device")]
pub async fn set_device(
    id: DeviceId,
    policy: Option<String>,
    mesh: Option<String>,
    back: Option<ReturnPage>,
) -> Result<DeviceRow, AppError> {
    let changed = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        let change = control::DeviceChange {
            label: None,
            policy: policy.map(|p| p.parse()).transpose()?,
            mesh: mesh.map(|m| parse_switch(&m)).transpose()?,
            ..control::DeviceChange::default()
        };
        control.devices().change(&scope, id, change).await
    }
    .await;
    let page = back.unwrap_or(ReturnPage::Overview).path();
    let device = changed
        .map_err(|failure| forms::refuse(failure, page, &[]))?
        .device;
    if back.is_some() {
        forms::redirect(page);
    }
    Ok(device.into())
}

/// Gives a device new keys and redirects to its page, which shows the new code. The
/// present key stops working.
///
/// # Errors
/// The failures of `Devices::new_key`.
#[server(prefix = "/do", endpoint = "new_device_key")]
pub async fn new_device_key(id: DeviceId) -> Result<(), AppError> {
    let made = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        control.devices().new_key(&scope, id).await
    };
    let page = format!("/devices/{id}");
    let made = made
        .await
        .map_err(|failure| forms::refuse(failure, &page, &[]))?;
    let key = if made.in_force { "now" } else { "later" };
    forms::redirect(&format!("{page}?key={key}"));
    Ok(())
}

/// Deletes a device. With `back` (the confirmation page sends it) the browser is
/// redirected to that page; a script stays on its page.
///
/// # Errors
/// The failures of `Devices::delete`.
#[server(prefix = "/do", endpoint = "delete_device")]
pub async fn delete_device(id: DeviceId, back: Option<ReturnPage>) -> Result<(), AppError> {
    let deleted = async {
        let (control, scope) = (context::control()?, context::tenant()?);
        control.devices().delete(&scope, id).await
    }
    .await;
    deleted.map_err(|failure| {
        // It is deleted but not yet disconnected, and its page does not exist any
        // more.
        let page = match failure.code {
            ErrorCode::NotYetInForce => ReturnPage::Devices.path().to_owned(),
            _ => format!("/devices/{id}/delete"),
        };
        forms::refuse(failure, &page, &[])
    })?;
    if let Some(back) = back {
        forms::redirect(back.path());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_on_or_off() {
        assert_eq!(parse_switch("on").ok(), Some(true));
        assert_eq!(parse_switch("off").ok(), Some(false));
        assert!(parse_switch("true").is_err());
    }
}
