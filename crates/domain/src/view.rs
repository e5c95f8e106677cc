//! What pages and the REST API show. Plain data, no secrets: a view can be
//! serialised into a page as it is.

use crate::{
    client_config::Routing,
    id::{DeviceId, TenantId},
    plan::Plan,
    policy::FilterPolicy,
    status::TenantStatus,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A handshake this recent means the device is connected: WireGuard makes a
/// new one every 120 s while there is traffic and gives up after 180 s
/// (REJECT_AFTER_TIME, WireGuard paper, 6.1).
pub const ONLINE_MILLIS: i64 = 180_000;

/// A device as its own page shows it, whole. "Down" is towards the device, "up" from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceView {
    /// The device's id.
    pub id: DeviceId,
    /// What the tenant calls it.
    pub label: String,
    /// Its address inside the tunnel.
    pub address: String,
    /// Its public key, base64.
    pub public_key: String,
    /// Its DNS policy.
    pub policy: FilterPolicy,
    /// Whether other mesh devices of the tenant may reach it and it them.
    pub mesh: bool,
    /// What it sends through the tunnel.
    pub routing: Routing,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// Where its packets came from last, address and port.
    pub endpoint: Option<String>,
    /// Bytes to the device, in all.
    pub down_bytes: u64,
    /// Bytes from the device, in all.
    pub up_bytes: u64,
    /// Bits a second to the device, now.
    pub down_bps: u64,
    /// Bits a second from the device, now.
    pub up_bps: u64,
}

/// A device in a list, with what lists show and no more: this is what every
/// event of the dashboard's stream carries for each device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// The device's id.
    pub id: DeviceId,
    /// What the tenant calls it.
    pub label: String,
    /// Its address inside the tunnel.
    pub address: String,
    /// Its DNS policy.
    pub policy: FilterPolicy,
    /// Whether other mesh devices of the tenant may reach it and it them.
    pub mesh: bool,
    /// Its last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// Bytes to the device, in all.
    pub down_bytes: u64,
    /// Bytes from the device, in all.
    pub up_bytes: u64,
    /// Bits a second to the device, now.
    pub down_bps: u64,
    /// Bits a second from the device, now.
    pub up_bps: u64,
}

impl DeviceRow {
    /// Whether it is connected, judged by its last handshake.
    pub fn is_online(&self, now: Timestamp) -> bool {
        self.last_handshake
            .is_some_and(|h| now.millis_since(h) < ONLINE_MILLIS)
    }
}

impl From<DeviceView> for DeviceRow {
    fn from(d: DeviceView) -> Self {
        Self {
            id: d.id,
            label: d.label,
            address: d.address,
            policy: d.policy,
            mesh: d.mesh,
            last_handshake: d.last_handshake,
            down_bytes: d.down_bytes,
            up_bytes: d.up_bytes,
            down_bps: d.down_bps,
            up_bps: d.up_bps,
        }
    }
}

/// Speed at one moment, all of a tenant's devices together. As JSON it is
/// `[at, down, up]`: a page carries sixty of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(Timestamp, u64, u64)", into = "(Timestamp, u64, u64)")]
pub struct SpeedSample {
    /// When.
    pub at: Timestamp,
    /// Bits a second towards the devices.
    pub down_bps: u64,
    /// Bits a second from the devices.
    pub up_bps: u64,
}

impl From<(Timestamp, u64, u64)> for SpeedSample {
    fn from((at, down_bps, up_bps): (Timestamp, u64, u64)) -> Self {
        Self {
            at,
            down_bps,
            up_bps,
        }
    }
}

impl From<SpeedSample> for (Timestamp, u64, u64) {
    fn from(s: SpeedSample) -> Self {
        (s.at, s.down_bps, s.up_bps)
    }
}

/// A tenant's dashboard, whole: what the page renders and what its event
/// stream sends again at every change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardView {
    /// The server's clock when this was made.
    pub now: Timestamp,
    /// The tenant's name.
    pub name: String,
    /// What the tenant signed up for.
    pub plan: Plan,
    /// The gateway, where DNS answers.
    pub gateway: String,
    /// How the tenant's parts are.
    pub status: TenantStatus,
    /// The devices, oldest first.
    pub devices: Vec<DeviceRow>,
    /// The last minute's speed, oldest first.
    pub speed: Vec<SpeedSample>,
    /// Bytes this calendar month (UTC), both ways.
    pub month_bytes: u64,
    /// DNS queries in 24 hours and how many were blocked, once AdGuard Home told.
    pub queries: Option<QueryCounts>,
}

/// What AdGuard Home counted over the last 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCounts {
    /// All queries.
    pub total: u64,
    /// Blocked by lists, safe browsing or parental control.
    pub blocked: u64,
}

/// The progress page's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressView {
    /// The tenant's name.
    pub name: String,
    /// The slot's number.
    pub slot: u16,
    /// The tenant's subnet.
    pub subnet: String,
    /// The tunnel's UDP port.
    pub port: u16,
    /// The interface on the node.
    pub interface: String,
    /// How the parts are.
    pub status: TenantStatus,
}

/// A tenant in the operator's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TenantRow {
    /// The tenant's id.
    pub id: TenantId,
    /// The tenant's name.
    pub name: String,
    /// The plan's name.
    pub plan: String,
    /// The slot's number.
    pub slot: u16,
    /// The tenant's subnet.
    pub subnet: String,
    /// Devices there are.
    pub devices: u32,
    /// Devices that are connected.
    pub online: u32,
    /// When the tenant signed up.
    pub created_at: Timestamp,
    /// How its parts are.
    pub status: TenantStatus,
}

/// The operator's first page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorView {
    /// The server's clock when this was made.
    pub now: Timestamp,
    /// Which WireGuard is used, in words.
    pub wireguard: String,
    /// How many more tenants fit.
    pub capacity: CapacityView,
    /// Problems of the node itself, the worst first.
    pub problems: Vec<crate::status::Problem>,
    /// All tenants, by slot.
    pub tenants: Vec<TenantRow>,
    /// The newest events, newest first.
    pub events: Vec<EventRow>,
    /// The newest entries of the audit log, newest first.
    pub audit: Vec<AuditRow>,
}

/// What sort of event it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventSort {
    /// Another hand had changed something, which is put right.
    Found,
    /// Something failed, and for longer than a moment.
    Failed,
    /// What had failed works again.
    Back,
    /// Anything else.
    Note,
}

/// One line of the event log, in the words of who reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// When it happened.
    pub at: Timestamp,
    /// What sort of event it was.
    pub sort: EventSort,
    /// What happened.
    pub sentence: String,
}

/// What happened to a tenant's network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsView {
    /// The server's clock when this was made.
    pub now: Timestamp,
    /// How the tenant's parts are by now.
    pub status: TenantStatus,
    /// The newest events, newest first.
    pub rows: Vec<EventRow>,
}

/// How many more tenants fit on the node, and what decides it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityView {
    /// Tenants that still fit: the least of what slots, memory and the
    /// operator's limit allow.
    pub more: u32,
    /// Slots that are free.
    pub slots_free: u32,
    /// The memory; `None` where it is not measured, and slots decide.
    pub memory: Option<MemoryView>,
    /// Tenants the operator allows in all.
    pub limit: Option<u32>,
}

/// The node's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryView {
    /// All there is.
    pub total_bytes: u64,
    /// What is free.
    pub free_bytes: u64,
    /// What is to stay free.
    pub reserve_bytes: u64,
    /// What one more tenant is taken to cost.
    pub each_bytes: u64,
    /// Tenants that was measured of; 0 is an estimate.
    pub measured: u32,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, e.g. `device.add`.
    pub action: String,
    /// To what, e.g. `abcd/My phone`.
    pub object: String,
}
