//! A tenant's devices.

use super::{
    choices::{Policy, Routing},
    problems::Problems,
    time::Time,
};
use crate::{
    http::{
        body::Body,
        cursor::{self, Page, PageParams},
        etag,
        idempotency::KeyParam,
        list,
        path::Named,
        permission::Permission,
        problem::Refusal,
        query::Params,
    },
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{DeviceChange, ListForm, NewDevice, PeerList};
use domain::{
    Access, ClientConfig, DeviceId, ErrorCode, Failure, Message, TenantScope, Timestamp,
    TunnelOptions,
    view::{DeviceView, ONLINE_MILLIS},
};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The list's name in cursors.
const LIST: &str = "devices";

/// A device. "Down" is towards it, "up" from it.
#[derive(Serialize, ToSchema)]
pub struct Device {
    id: i64,
    #[schema(example = "My phone")]
    label: String,
    /// Its address inside the tunnel.
    #[schema(example = "10.88.1.2")]
    address: String,
    /// The same of IPv6; none where tunnels have no IPv6 or it is set to IPv4 only.
    #[schema(example = "fd12:3456:789a:1::2")]
    ipv6: Option<String>,
    /// Its name inside the tunnel, which the tenant's DNS answers with its addresses.
    #[schema(example = "my-phone.alice.internal")]
    host_name: String,
    /// Its public key in base64.
    public_key: String,
    policy: Policy,
    /// Whether it and the other devices of the mesh may reach each other.
    mesh: bool,
    routing: Routing,
    /// Whether its configuration asks for packets of at most 1280 bytes.
    small_packets: bool,
    /// Whether its configuration has no IPv6.
    ipv4_only: bool,
    created_at: Time,
    last_handshake: Option<Time>,
    /// Whether it is connected, judged by its last handshake.
    online: bool,
    /// The address and port that its packets came from last.
    endpoint: Option<String>,
    down_bytes: u64,
    up_bytes: u64,
    down_bps: u64,
    up_bps: u64,
}

impl Device {
    fn new(d: DeviceView, now: Timestamp) -> Self {
        let is_recent = |at: Timestamp| now.millis_since(at) < ONLINE_MILLIS;
        Self {
            id: d.id.0,
            online: d.last_handshake.is_some_and(is_recent),
            label: d.label,
            address: d.address,
            ipv6: d.ipv6,
            host_name: d.host_name,
            public_key: d.public_key,
            policy: d.policy.into(),
            mesh: d.mesh,
            routing: d.routing.into(),
            small_packets: d.options.small_packets,
            ipv4_only: d.options.ipv4_only,
            created_at: d.created_at.into(),
            last_handshake: d.last_handshake.map(Time::from),
            endpoint: d.endpoint,
            down_bytes: d.down_bytes,
            up_bytes: d.up_bytes,
            down_bps: d.down_bps,
            up_bps: d.up_bps,
        }
    }
}

type Tagged = ([(HeaderName, HeaderValue); 1], Json<Device>);

/// Returns the ETag of what can be changed of a device.
fn tag(d: &DeviceView) -> String {
    etag::etag(&(d.id.0, &d.label, d.policy, d.mesh, d.routing, d.options))
}

impl ApiState {
    fn tagged(&self, device: DeviceView) -> Tagged {
        let tag = etag::header(&tag(&device));
        (tag, Json(Device::new(device, self.control.now())))
    }
}

/// Returns all devices of a tenant, oldest first.
pub(super) async fn all_devices(
    state: &ApiState,
    scope: &TenantScope,
) -> Result<Vec<Device>, Failure> {
    let devices = state.control.devices().list(scope).await?;
    let now = state.control.now();
    Ok(devices.into_iter().map(|d| Device::new(d, now)).collect())
}

/// Devices
///
/// Oldest first.
#[utoipa::path(
    get,
    path = "/v1/devices",
    tag = "devices",
    security(("bearer" = [])),
    params(PageParams),
    responses((status = 200, body = Page<Device>), Problems)
)]
pub async fn list_devices(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Params(params): Params<PageParams>,
) -> Result<Response, Refusal> {
    let scope = permission.tenant(Access::Read)?;
    let limit = cursor::limit(params.limit)?;
    let after = cursor::parse(LIST, params.cursor.as_deref())?;
    let devices = state.control.devices();
    let peers = devices.peers_at(scope, permission.revision()).await?;
    let now = state.control.now();
    let write = |after: i64| {
        let devices = peers.peers().iter().map(|peer| &peer.device);
        let rest = devices.filter(|d| d.id.0 > after).collect();
        let shown = |d: &DeviceView| Device::new(d.clone(), now);
        let page = cursor::page(LIST, rest, limit, |d| d.id.0, shown);
        list::json(&page, page.items.len())
    };
    let is_whole = after.is_none() && peers.peers().len() <= limit;
    if !is_whole {
        return Ok(list::answer(write(after.unwrap_or(i64::MIN))?));
    }
    let whole = || Ok((write(i64::MIN)?, online_until(&peers, now)));
    Ok(list::devices(&peers, ListForm::Devices, now, whole)?)
}

/// Returns until when the devices are online that are now, unless there is another handshake.
fn online_until(list: &PeerList, now: Timestamp) -> Timestamp {
    let heard = list.peers().iter().filter_map(|p| p.device.last_handshake);
    let until = heard.map(|at| at.plus_millis(ONLINE_MILLIS));
    let soonest = until.filter(|until| *until > now).min();
    soonest.unwrap_or(Timestamp(i64::MAX))
}

/// A device to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceToAdd {
    /// 1 to 64 visible characters, which no other device has.
    #[schema(example = "My phone")]
    label: String,
    /// Everything unless it says so.
    #[serde(default = "everything")]
    routing: Routing,
    /// Standard unless it says so.
    #[serde(default = "standard")]
    policy: Policy,
    /// Whether it is part of the mesh; it is not unless it says so.
    #[serde(default)]
    mesh: bool,
    /// For a way that loses large packets: the configuration asks for small ones.
    #[serde(default)]
    small_packets: bool,
    /// For a system without IPv6: the configuration has none.
    #[serde(default)]
    ipv4_only: bool,
}

const fn everything() -> Routing {
    Routing::Everything
}

const fn standard() -> Policy {
    Policy::Standard
}

/// Add a device
///
/// The tunnel has it when the answer comes, or soon after.
#[utoipa::path(
    post,
    path = "/v1/devices",
    tag = "devices",
    security(("bearer" = [])),
    params(KeyParam),
    request_body = DeviceToAdd,
    responses((status = 201, body = Device, headers(("ETag" = String), ("Location" = String))), Problems)
)]
pub async fn add_device(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Body(new): Body<DeviceToAdd>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Tagged), Refusal> {
    let scope = permission.tenant(Access::Write)?;
    let new = NewDevice {
        label: new.label,
        routing: new.routing.into(),
        policy: new.policy.into(),
        mesh: new.mesh,
        options: TunnelOptions {
            small_packets: new.small_packets,
            ipv4_only: new.ipv4_only,
        },
    };
    let device = state.control.devices().add(scope, new).await?;
    let location = [(header::LOCATION, format!("/v1/devices/{}", device.id))];
    Ok((StatusCode::CREATED, location, state.tagged(device)))
}

/// A device
///
/// The ETag covers what can be changed: all but keys, times and traffic.
#[utoipa::path(
    get,
    path = "/v1/devices/{id}",
    tag = "devices",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The device's id.")),
    responses((status = 200, body = Device, headers(("ETag" = String))), Problems)
)]
pub async fn get_device(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<DeviceId>,
) -> Result<Tagged, Refusal> {
    let scope = permission.tenant(Access::Read)?;
    let device = state.control.devices().get(scope, id).await?;
    Ok(state.tagged(device))
}

/// What is changed of a device. What is not named stays. After a change of `routing`,
/// `small_packets` or `ipv4_only` the device keeps its key and works as before until it has its
/// configuration again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceToChange {
    label: Option<String>,
    policy: Option<Policy>,
    mesh: Option<bool>,
    routing: Option<Routing>,
    small_packets: Option<bool>,
    ipv4_only: Option<bool>,
}

/// Change a device
///
/// Answers 202 where the change is saved and not yet in force. With `If-Match`, only the state
/// that you read is changed.
#[utoipa::path(
    patch,
    path = "/v1/devices/{id}",
    tag = "devices",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "The device's id."),
        ("If-Match" = Option<String>, Header, description = "The ETag that you read.")
    ),
    request_body = DeviceToChange,
    responses(
        (status = 200, body = Device, headers(("ETag" = String))),
        (status = 202, description = "Saved, and soon in force.", body = Device, headers(("ETag" = String))),
        Problems
    )
)]
pub async fn change_device(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<DeviceId>,
    headers: HeaderMap,
    Body(change): Body<DeviceToChange>,
) -> Result<(StatusCode, Tagged), Refusal> {
    let scope = permission.tenant(Access::Write)?;
    let devices = state.control.devices();
    let mut expected = None;
    if etag::is_conditional(&headers) {
        let now = devices.get(scope, id).await?;
        etag::check(&headers, &tag(&now))?;
        // Compared once more in the transaction of the change.
        expected = Some(now);
    }
    let change = DeviceChange {
        label: change.label,
        policy: change.policy.map(Into::into),
        mesh: change.mesh,
        routing: change.routing.map(Into::into),
        small_packets: change.small_packets,
        ipv4_only: change.ipv4_only,
    };
    let changed = devices
        .change_if(scope, id, change, expected.as_ref())
        .await?;
    let status = match changed.in_force {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok((status, state.tagged(changed.device)))
}

/// Make new keys for a device
///
/// The former ones stop working; address and settings stay. The new configuration can be read
/// in the next ten minutes. Answers 202 where the keys are saved and not yet in force.
#[utoipa::path(
    post,
    path = "/v1/devices/{id}/keys",
    tag = "devices",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The device's id.")),
    responses(
        (status = 200, body = Device, headers(("ETag" = String))),
        (status = 202, description = "Saved, and soon in force.", body = Device, headers(("ETag" = String))),
        Problems
    )
)]
pub async fn make_device_keys(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<DeviceId>,
) -> Result<(StatusCode, Tagged), Refusal> {
    let scope = permission.tenant(Access::Write)?;
    let changed = state.control.devices().new_key(scope, id).await?;
    let status = match changed.in_force {
        true => StatusCode::OK,
        false => StatusCode::ACCEPTED,
    };
    Ok((status, state.tagged(changed.device)))
}

/// Delete a device
///
/// Answers 202 where it is deleted and not yet cut off.
#[utoipa::path(
    delete,
    path = "/v1/devices/{id}",
    tag = "devices",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, description = "The device's id."),
        ("If-Match" = Option<String>, Header, description = "The ETag that you read.")
    ),
    responses(
        (status = 204, description = "It is deleted and cut off."),
        (status = 202, description = "It is deleted, and soon cut off."),
        Problems
    )
)]
pub async fn delete_device(
    State(state): State<ApiState>,
    Permission(permission): Permission,
    Named(id): Named<DeviceId>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    let scope = permission.tenant(Access::Write)?;
    let devices = state.control.devices();
    let mut expected = None;
    if etag::is_conditional(&headers) {
        let now = devices.get(scope, id).await?;
        etag::check(&headers, &tag(&now))?;
        // Compared once more in the transaction of the change.
        expected = Some(now);
    }
    match devices.delete_if(scope, id, expected.as_ref()).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(f) if f.code == ErrorCode::NotYetInForce => Ok(StatusCode::ACCEPTED),
        Err(f) => Err(f.into()),
    }
}

/// Returns a device's configuration, which only a token that may write reads: it holds the
/// private key.
async fn configuration(
    state: &ApiState,
    permission: &Permission,
    id: DeviceId,
) -> Result<(DeviceView, ClientConfig), Failure> {
    let devices = state.control.devices();
    devices.config_of_request(&permission.0, id).await
}

fn text(body: String, disposition: Option<String>) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(Ok(value)) = disposition.map(|d| HeaderValue::from_str(&d)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// The configuration of a device
///
/// The file that WireGuard's programs read, with the private key: it needs a token with the
/// access `write`.
#[utoipa::path(
    get,
    path = "/v1/devices/{id}/config",
    tag = "devices",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The device's id.")),
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
pub async fn get_device_config(
    State(state): State<ApiState>,
    permission: Permission,
    Named(id): Named<DeviceId>,
) -> Result<Response, Refusal> {
    let (device, config) = configuration(&state, &permission, id).await?;
    // A file's name has only letters, digits, hyphens and a dot, so it needs no quoting.
    let disposition = format!("attachment; filename=\"{}.conf\"", device.file_stem());
    Ok(text(config.render().as_str().to_owned(), Some(disposition)))
}

/// The QR code of a device
///
/// The configuration for the camera of a phone, drawn with characters for a terminal.
#[utoipa::path(
    get,
    path = "/v1/devices/{id}/qr",
    tag = "devices",
    security(("bearer" = [])),
    params(("id" = i64, Path, description = "The device's id.")),
    responses((status = 200, body = String, content_type = "text/plain"), Problems)
)]
pub async fn get_device_qr(
    State(state): State<ApiState>,
    permission: Permission,
    Named(id): Named<DeviceId>,
) -> Result<Response, Refusal> {
    let (_, config) = configuration(&state, &permission, id).await?;
    let code = QrCode::encode_text(&config.render(), QrCodeEcc::Low);
    let code = code.map_err(|_| Failure::new(ErrorCode::Internal, Message::Unexpected))?;
    Ok(text(drawn(&code), None))
}

/// Draws a code, two modules in a character, light on dark as most terminals are.
fn drawn(code: &QrCode) -> String {
    const QUIET_ZONE: i32 = 2;
    let mut all = String::new();
    let size = code.size() + QUIET_ZONE;
    for y in (-QUIET_ZONE..size).step_by(2) {
        for x in -QUIET_ZONE..size {
            all.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => ' ',
                (true, false) => '▄',
                (false, true) => '▀',
                (false, false) => '█',
            });
        }
        all.push('\n');
    }
    all
}

#[cfg(test)]
mod tests;
