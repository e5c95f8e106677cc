//! The data that pages and the REST API show. Views contain no secrets, so they
//! can be serialised into a page as they are.

mod account;
mod checks;
mod mail;
mod nodes;
mod operators;

pub use account::{ActivityRow, PasskeyRow, SecurityView, SessionKind, SessionRow};
pub use checks::{CheckRow, CheckState, ChecksView};
pub use mail::{MailRow, MailView};
pub use nodes::{MoveRow, NodeFigures, NodeProblem, NodeRow, NodesView, WorkersAllowed};
pub use operators::{OperatorInvitation, OperatorRow, OperatorsView};

use crate::{
    client_config::{Routing, TunnelOptions},
    code::ErrorCode,
    device_label::DeviceLabel,
    id::{DeviceId, InvitationId, TenantId},
    message::Message,
    plan::{AtLimit, Plan},
    policy::FilterPolicy,
    quota::QuotaState,
    resources::ResourceLimits,
    status::TenantStatus,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// A device whose last handshake is more recent than this is connected:
/// WireGuard makes a new handshake every 120 s while there is traffic and rejects
/// a session after 180 s (REJECT_AFTER_TIME, WireGuard paper, 6.1).
pub const ONLINE_MILLIS: i64 = 180_000;

/// A device with every detail, for its own page. "Down" is towards the device,
/// "up" from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceView {
    pub id: DeviceId,
    /// The label that the tenant chose.
    pub label: String,
    /// The address inside the tunnel.
    pub address: String,
    /// The same of IPv6, if tunnels have it.
    #[serde(default)]
    pub ipv6: Option<String>,
    /// The name inside the tunnel, e.g. `phone.alice.internal`.
    #[serde(default)]
    pub host_name: String,
    /// The public key in base64.
    pub public_key: String,
    /// The DNS filtering policy.
    pub policy: FilterPolicy,
    /// Whether this device and the tenant's other mesh devices may reach each other.
    pub mesh: bool,
    /// The traffic it sends through the tunnel.
    pub routing: Routing,
    /// What else its configuration says.
    pub options: TunnelOptions,
    /// The time it was added.
    pub created_at: Timestamp,
    /// The time of the last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// The address and port its packets last came from.
    pub endpoint: Option<String>,
    /// Bytes to the device in total.
    pub down_bytes: u64,
    /// Bytes from the device in total.
    pub up_bytes: u64,
    /// Current bits per second to the device.
    pub down_bps: u64,
    /// Current bits per second from the device.
    pub up_bps: u64,
}

impl DeviceView {
    /// Returns the name of its configuration file, without the `.conf`, which no other
    /// device of the tenant has.
    pub fn file_stem(&self) -> String {
        let host = self.address.rsplit('.').next();
        let host = host.and_then(|host| host.parse().ok());
        DeviceLabel::stored(&self.label).file_stem(host.unwrap_or_default())
    }
}

/// A device in a list. It has only the fields that lists show, because every
/// event of a list's stream contains one for each device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceRow {
    pub id: DeviceId,
    /// The label that the tenant chose.
    pub label: String,
    /// The address inside the tunnel.
    pub address: String,
    /// The name inside the tunnel.
    #[serde(default)]
    pub host_name: String,
    /// The DNS filtering policy.
    pub policy: FilterPolicy,
    /// Whether this device and the tenant's other mesh devices may reach each other.
    pub mesh: bool,
    /// The time of the last handshake, if there was one.
    pub last_handshake: Option<Timestamp>,
    /// Bytes to the device in total.
    pub down_bytes: u64,
    /// Bytes from the device in total.
    pub up_bytes: u64,
    /// Current bits per second to the device.
    pub down_bps: u64,
    /// Current bits per second from the device.
    pub up_bps: u64,
}

impl DeviceRow {
    /// Returns whether the device is connected, judged by its last handshake.
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
            host_name: d.host_name,
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

/// The speed at one moment of all of a tenant's devices together. As JSON it is
/// `[at, down, up]`, because a page contains sixty of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(Timestamp, u64, u64)", into = "(Timestamp, u64, u64)")]
pub struct SpeedSample {
    /// The time of the sample.
    pub at: Timestamp,
    /// Bits per second towards the devices.
    pub down_bps: u64,
    /// Bits per second from the devices.
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

/// A problem in the words for its reader, as a page and its scripts receive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemView {
    /// The kind of problem, for programs to compare.
    pub code: ErrorCode,
    /// The problem and what to do, rendered.
    pub message: String,
}

/// A tenant's network: its status and its devices. The pages of the devices and of
/// the mesh render it, and their stream sends it again at every change. `P` is how
/// problems are given: as codes below the edges, in words above them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkView<P = ProblemView> {
    /// The server's time when this was created.
    pub now: Timestamp,
    pub name: String,
    pub plan: Plan,
    /// The gateway, where DNS answers.
    pub gateway: String,
    /// The status of the tenant's parts.
    pub status: TenantStatus<P>,
    /// The devices, oldest first.
    pub devices: Vec<DeviceRow>,
}

impl<P> NetworkView<P> {
    /// Returns the same view with every problem in another form.
    pub fn map_problems<Q>(self, f: impl FnMut(P) -> Q) -> NetworkView<Q> {
        NetworkView {
            now: self.now,
            name: self.name,
            plan: self.plan,
            gateway: self.gateway,
            status: self.status.map(f),
            devices: self.devices,
        }
    }
}

/// How much a tenant uses its network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageView {
    /// The speed of the last minute, oldest first.
    pub speed: Vec<SpeedSample>,
    /// Bytes since the tenant's month began, both directions together: the same as
    /// [`DataView::used_bytes`].
    pub month_bytes: u64,
    /// DNS queries of the last 24 hours, once AdGuard Home has reported them.
    pub queries: Option<QueryCounts>,
    /// The data of the month.
    pub data: DataView,
}

/// What a tenant has used of its month's data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataView {
    /// Bytes since the month began, both directions together.
    pub used_bytes: u64,
    /// The plan's bytes per month; `None` is no limit.
    pub limit_bytes: Option<u64>,
    /// How the two compare, as it is in force.
    pub state: QuotaState,
    /// What happens once the data are used up.
    pub at_limit: AtLimit,
    /// The speed in each direction, in bits per second, once they are
    /// ([`AtLimit::Slow`]).
    pub slow_bps: u64,
    /// When the month began.
    pub period_start: Timestamp,
    /// When the next month begins.
    pub period_end: Timestamp,
    /// Until when the network is slower or stopped; `None` if it is not.
    pub until: Option<Timestamp>,
    /// The tenant's time zone, e.g. `Europe/Berlin`.
    pub time_zone: String,
    /// How many seconds that zone is east of UTC at `period_end`: `period_end` plus
    /// this, read as UTC, is the date and time there.
    pub end_offset_secs: i32,
}

/// A plan in the operator's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanUse {
    pub plan: Plan,
    /// The number of tenants that have it.
    pub tenants: u32,
}

/// Whom a change of a plan would touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanImpact {
    /// The number of tenants that have the plan.
    pub tenants: u32,
    /// Those with more devices than the plan would allow. They keep them and can add
    /// none.
    pub over_devices: TenantNames,
    /// Those who have used more data this month than the plan would give, and have not
    /// used up what it gives now: they would be slower or stopped at once.
    pub over_data: TenantNames,
    /// Those who are slower or stopped now and would not be any more.
    pub reopened: TenantNames,
}

/// How many tenants there are of a kind, and the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantNames {
    pub count: u32,
    /// The first [`TenantNames::MAX`] names in alphabetical order.
    pub first: Vec<String>,
}

impl TenantNames {
    /// The most names that are listed.
    pub const MAX: usize = 10;
}

/// A tenant's dashboard: the content of the overview.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardView<P = ProblemView> {
    pub network: NetworkView<P>,
    pub usage: UsageView,
}

impl<P> DashboardView<P> {
    /// Returns the same view with every problem in another form.
    pub fn map_problems<Q>(self, f: impl FnMut(P) -> Q) -> DashboardView<Q> {
        DashboardView {
            network: self.network.map_problems(f),
            usage: self.usage,
        }
    }
}

/// The content of a device's page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DevicePageView<P = ProblemView> {
    /// The server's time when this was created.
    pub now: Timestamp,
    /// The status of the tenant's parts.
    pub status: TenantStatus<P>,
    pub device: DeviceView,
}

impl<P> DevicePageView<P> {
    /// Returns the same view with every problem in another form.
    pub fn map_problems<Q>(self, f: impl FnMut(P) -> Q) -> DevicePageView<Q> {
        DevicePageView {
            now: self.now,
            status: self.status.map(f),
            device: self.device,
        }
    }
}

/// The DNS queries that AdGuard Home counted in the last 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCounts {
    pub total: u64,
    /// Queries blocked by lists, safe browsing or parental control.
    pub blocked: u64,
}

/// The content of the progress page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressView<P = ProblemView> {
    pub name: String,
    /// The number of the slot.
    pub slot: u16,
    pub subnet: String,
    /// The tunnel's UDP port.
    pub port: u16,
    /// The name of the interface on the node.
    pub interface: String,
    /// The status of the parts.
    pub status: TenantStatus<P>,
}

impl<P> ProgressView<P> {
    /// Returns the same view with every problem in another form.
    pub fn map_problems<Q>(self, f: impl FnMut(P) -> Q) -> ProgressView<Q> {
        ProgressView {
            name: self.name,
            slot: self.slot,
            subnet: self.subnet,
            port: self.port,
            interface: self.interface,
            status: self.status.map(f),
        }
    }
}

/// A tenant in the operator's list.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantRow {
    pub id: TenantId,
    pub name: String,
    /// The name of the plan.
    pub plan: String,
    /// The plan's id.
    pub plan_id: String,
    /// The data of the month.
    pub data: DataView,
    /// The name of its node; `None` where there is only one node.
    pub node: Option<String>,
    /// The number of the slot.
    pub slot: u16,
    pub subnet: String,
    /// The address of its DNS container.
    pub dns_address: String,
    /// The public key of its tunnel, in base64.
    pub public_key: String,
    /// The number of devices.
    pub devices: u32,
    /// The number of connected devices.
    pub online: u32,
    /// The time of the sign-up.
    pub created_at: Timestamp,
    /// The invitation that it signed up with.
    pub invitation: Option<InvitationId>,
    /// Since when it sleeps, because no device has connected yet.
    pub asleep_since: Option<Timestamp>,
    /// The status of the tenant's parts.
    pub status: TenantStatus,
}

/// A name that an operator has reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedName {
    pub name: String,
    /// Who reserved it, as the audit log names them.
    pub added_by: String,
    pub added_at: Timestamp,
}

/// The operator's first page.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorView {
    /// The server's time when this was created.
    pub now: Timestamp,
    /// The WireGuard implementation in use, in words.
    pub wireguard: String,
    /// The number of nodes.
    pub nodes: u32,
    /// How many more tenants fit on all nodes together.
    pub capacity: CapacityView,
    /// The nodes' own problems, of each node the most severe first.
    pub problems: Vec<NodeProblem>,
    /// All tenants, ordered by node and slot.
    pub tenants: Vec<TenantRow>,
    /// The newest events, newest first.
    pub events: Vec<EventRow>,
    /// The newest entries of the audit log, newest first.
    pub audit: Vec<AuditRow>,
}

/// What a tenant uses, in the operator's table. A figure that is not known is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceRow {
    pub id: TenantId,
    pub name: String,
    /// The name of the plan.
    pub plan: String,
    /// The name of its node; `None` where there is only one node.
    pub node: Option<String>,
    /// The number of the slot.
    pub slot: u16,
    /// Bytes of the disk that its AdGuard Home's files take up.
    pub disk_bytes: Option<u64>,
    /// The private memory of its AdGuard Home.
    pub memory_bytes: Option<u64>,
    /// The processor time of its AdGuard Home over the last minute, in percent of one
    /// processor.
    pub cpu_percent: Option<f64>,
    /// Entries of the node's connection table.
    pub connections: Option<u64>,
    /// How much of these the tenant may use.
    pub limits: ResourceLimits,
    /// The data of the month.
    pub data: DataView,
}

/// Who uses how much of the nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourcesView {
    /// The server's time when this was created.
    pub now: Timestamp,
    /// The nodes, by id.
    pub nodes: Vec<NodeFigures>,
    /// All tenants, ordered by node and slot.
    pub rows: Vec<ResourceRow>,
}

/// The node's disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskView {
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// Whether so little is free that tenants may write no more.
    pub low: bool,
}

/// The category of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventCategory {
    /// An external change was found; it is undone.
    Drift,
    /// Something has been failing for longer than a moment.
    Failed,
    /// Something that had failed works again.
    Recovered,
    /// A limit of the plan or of the disk is near or reached.
    Limit,
    /// Anything else.
    Note,
}

impl EventCategory {
    /// Every category, in the order in which pages offer them.
    pub const ALL: [Self; 5] = [
        Self::Drift,
        Self::Failed,
        Self::Recovered,
        Self::Limit,
        Self::Note,
    ];

    /// Returns its name in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Limit => "limit",
            Self::Note => "note",
        }
    }

    /// Parses the name in addresses.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }
}

/// One entry of the event log, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The time of the event.
    pub at: Timestamp,
    /// The name of the node that it happened on; `None` where there is only one node.
    pub node: Option<String>,
    pub category: EventCategory,
    /// What happened.
    pub message: Message,
}

/// One entry of the event log, for its tenant, who reads of it by its kind alone: so
/// no path, command or container's name reaches a tenant, whatever was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantEventRow {
    /// The time of the event.
    pub at: Timestamp,
    pub category: EventCategory,
    /// The kind, e.g. `drift.interface_gone`.
    pub kind: String,
}

/// The events of a tenant's network.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsView {
    /// The server's time when this was created.
    pub now: Timestamp,
    /// The current status of the tenant's parts.
    pub status: TenantStatus,
    /// The newest events, newest first.
    pub rows: Vec<TenantEventRow>,
}

/// How many more tenants fit on the node, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityView {
    /// The number of further tenants that fit: the least of what slots, memory
    /// and the operator's limit allow.
    pub more: u32,
    /// The number of free slots.
    pub slots_free: u32,
    /// The memory; `None` if it is not measured and only the slots count.
    pub memory: Option<MemoryView>,
    /// The most tenants the operator allows.
    pub limit: Option<u32>,
}

/// The node's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryView {
    pub total_bytes: u64,
    pub free_bytes: u64,
    /// The memory that has to stay free.
    pub reserve_bytes: u64,
    /// The memory that one more tenant is expected to use.
    pub each_bytes: u64,
    /// The number of tenants measured for that; with 0 it is an estimate.
    pub measured: u32,
}

/// One entry of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The time of the action.
    pub at: Timestamp,
    pub actor: String,
    /// The action, e.g. `device.add`.
    pub action: String,
    /// The object of the action, e.g. `abcd/My phone`.
    pub object: String,
    /// Further details as text.
    pub detail: String,
    /// The prefix of the address that the request came from; empty where there is none.
    pub origin: String,
    /// What was changed, as it was.
    pub before: String,
    /// What was changed, as it is.
    pub after: String,
}
