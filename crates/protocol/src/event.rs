//! What happens on a node and is worth telling a person: external changes, failures
//! and recoveries, as kinds with arguments. The event log stores the kind's name
//! ([`EventKind::code`]) and the arguments as JSON ([`EventKind::detail`]).

use domain::{ErrorCode, Message, Slot, TenantName, is_code};
use serde::{Deserialize, Serialize};

/// The length of [`EventKind::detail`] at most, in bytes: the log is bounded.
pub const MAX_DETAIL_BYTES: usize = 2_000;

/// The kind of an external change. Counts are of a tenant's own parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DriftKind {
    /// The interface was gone, or a foreign one had its name.
    InterfaceGone,
    /// The interface had another private key, or none.
    KeyChanged,
    /// The interface listened on another UDP port.
    PortChanged { port: u16 },
    /// The interface was down.
    InterfaceDown,
    /// The interface had other addresses, or none.
    AddressChanged,
    /// The interface's peers were not the tenant's devices.
    PeersChanged {
        /// Peers that are not devices.
        unexpected: u64,
        /// Devices that were missing or changed.
        missing: u64,
    },
    /// The firewall's table was gone or changed.
    RulesGone,
    /// A tenant's elements in the firewall were gone or changed.
    ElementsChanged,
    /// The engine had lost the image.
    ImageGone,
    /// The container was gone.
    ContainerGone,
    /// The container had stopped.
    ContainerStopped,
    /// The container was paused.
    ContainerPaused,
    /// `wg<n>.conf` was gone or edited.
    ConfChanged,
    /// The keys in the folder were gone or damaged.
    KeysDamaged,
    /// The whole folder was gone.
    FolderGone,
    /// AdGuard Home's configuration in the folder was gone.
    DnsConfGone,
    /// AdGuard Home's clients were not the tenant's devices.
    ClientsChanged {
        /// Devices that were missing or changed.
        missing: u64,
        /// Clients with an id of ours that are not devices.
        unexpected: u64,
    },
    /// AdGuard Home kept ending: its statistics were set aside.
    StatisticsDamaged,
    /// AdGuard Home kept ending: its log of queries was set aside.
    QueryLogDamaged,
    /// AdGuard Home kept ending: the tenant's own block lists were set aside.
    ListsDamaged,
    /// AdGuard Home kept ending: its configuration was set aside.
    DnsConfDamaged,
    /// AdGuard Home refused our password: its container ran with another one.
    DnsPasswordChanged,
    /// AdGuard's look-up service cannot be reached: for locked devices lists alone decide.
    LookupsAway,
    /// It can be reached again.
    LookupsBack,
}

impl DriftKind {
    /// Returns the kind's name, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InterfaceGone => "interface_gone",
            Self::KeyChanged => "key_changed",
            Self::PortChanged { .. } => "port_changed",
            Self::InterfaceDown => "interface_down",
            Self::AddressChanged => "address_changed",
            Self::PeersChanged { .. } => "peers_changed",
            Self::RulesGone => "rules_gone",
            Self::ElementsChanged => "elements_changed",
            Self::ImageGone => "image_gone",
            Self::ContainerGone => "container_gone",
            Self::ContainerStopped => "container_stopped",
            Self::ContainerPaused => "container_paused",
            Self::ConfChanged => "conf_changed",
            Self::KeysDamaged => "keys_damaged",
            Self::FolderGone => "folder_gone",
            Self::DnsConfGone => "dns_conf_gone",
            Self::ClientsChanged { .. } => "clients_changed",
            Self::StatisticsDamaged => "statistics_damaged",
            Self::QueryLogDamaged => "query_log_damaged",
            Self::ListsDamaged => "lists_damaged",
            Self::DnsConfDamaged => "dns_conf_damaged",
            Self::DnsPasswordChanged => "dns_password_changed",
            Self::LookupsAway => "lookups_away",
            Self::LookupsBack => "lookups_back",
        }
    }

    /// Returns the message for the operator. `tenant` is `None` where the change
    /// concerns the whole node.
    fn message(self, tenant: Option<&EventTenant>) -> Message {
        let name = tenant.map_or_else(String::new, |t| t.name.to_string());
        let interface = tenant.map_or_else(String::new, |t| t.slot.interface());
        match self {
            Self::InterfaceGone => Message::DriftInterfaceGone { name, interface },
            Self::KeyChanged => Message::DriftKeyChanged { name, interface },
            Self::PortChanged { port } => Message::DriftPortChanged {
                name,
                interface,
                port: port.into(),
            },
            Self::InterfaceDown => Message::DriftInterfaceDown { name, interface },
            Self::AddressChanged => Message::DriftAddressChanged { name, interface },
            Self::PeersChanged {
                unexpected,
                missing,
            } => Message::DriftPeersChanged {
                name,
                interface,
                unexpected,
                missing,
            },
            Self::RulesGone => Message::DriftRulesGone,
            Self::ElementsChanged => Message::DriftElementsChanged { name },
            Self::ImageGone => Message::DriftImageGone,
            Self::ContainerGone => Message::DriftContainerGone { name },
            Self::ContainerStopped => Message::DriftContainerStopped { name },
            Self::ContainerPaused => Message::DriftContainerPaused { name },
            Self::ConfChanged => Message::DriftConfChanged { name, interface },
            Self::KeysDamaged => Message::DriftKeysDamaged { name },
            Self::FolderGone => Message::DriftFolderGone { name },
            Self::DnsConfGone => Message::DriftDnsConfGone { name },
            Self::ClientsChanged {
                missing,
                unexpected,
            } => Message::DriftClientsChanged {
                name,
                missing,
                unexpected,
            },
            Self::StatisticsDamaged => Message::DriftStatisticsDamaged { name },
            Self::QueryLogDamaged => Message::DriftQueryLogDamaged { name },
            Self::ListsDamaged => Message::DriftListsDamaged { name },
            Self::DnsConfDamaged => Message::DriftDnsConfDamaged { name },
            Self::DnsPasswordChanged => Message::DriftDnsPasswordChanged { name },
            Self::LookupsAway => Message::DriftLookupsAway { name },
            Self::LookupsBack => Message::DriftLookupsBack { name },
        }
    }
}

/// A part of a tenant's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    Firewall,
    Tunnel,
    Dns,
}

impl PartKind {
    /// Returns the part's name, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::Tunnel => "tunnel",
            Self::Dns => "dns",
        }
    }
}

/// The tenant that an event concerns, at the time of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTenant {
    pub slot: Slot,
    pub name: TenantName,
}

/// What happened. An event that only another version has is read as
/// [`OtherVersion`](EventKind::OtherVersion).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", remote = "Self")]
pub enum EventKind {
    /// An external change was found; it is undone.
    Drift {
        /// `None` where it concerns the whole node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<EventTenant>,
        drift: DriftKind,
    },
    /// A tenant's part has been failing for longer than a moment.
    PartFailed {
        tenant: EventTenant,
        part: PartKind,
        reason: Message,
    },
    /// A tenant's part that had failed works again.
    PartBack { tenant: EventTenant, part: PartKind },
    /// The node itself has had a problem for longer than a moment.
    NodeFailed { code: ErrorCode, problem: Message },
    /// A problem of the node itself is over.
    NodeBack { code: ErrorCode, problem: Message },
    /// Of a tenant's query log so many bytes were removed, because its AdGuard Home
    /// used more of the disk than it should, or the disk was nearly full.
    DiskTrimmed { tenant: EventTenant, bytes: u64 },
    /// A tenant's AdGuard Home was stopped: it used `bytes` of the disk, more than
    /// `limit`.
    DiskFull {
        tenant: EventTenant,
        bytes: u64,
        limit: u64,
    },
    /// A tenant's AdGuard Home was stopped: it wrote while the node's disk was nearly
    /// full.
    DiskHeld { tenant: EventTenant },
    /// The block lists that a tenant added were removed, because nothing else made its
    /// AdGuard Home use less of the disk than it may.
    DiskLists { tenant: EventTenant },
    /// A tenant's AdGuard Home that was stopped because of the disk may run again.
    DiskBack { tenant: EventTenant },
    /// A tenant has used so much of its month's data.
    QuotaWarned {
        tenant: EventTenant,
        /// The share that is used at least.
        percent: u64,
        /// The date, in the tenant's time zone, on which its next month begins, e.g.
        /// `2026-12-01`.
        until: String,
    },
    /// A tenant has used up its month's data.
    QuotaReached {
        tenant: EventTenant,
        /// Whether it is stopped; otherwise it is slower.
        stopped: bool,
        /// The date on which its next month begins.
        until: String,
    },
    /// A tenant that was slower or stopped is not any more: its month began, or it has
    /// more data.
    QuotaReset { tenant: EventTenant },
    /// A tenant was moved here from another node, without the data of its AdGuard Home.
    TenantMoved {
        tenant: EventTenant,
        /// The name of the other node.
        from: String,
        /// The name of this node.
        to: String,
    },
    /// A tenant of which no device has connected yet: its AdGuard Home is stopped.
    TenantAsleep { tenant: EventTenant },
    /// A tenant that was asleep is used again.
    TenantAwake { tenant: EventTenant },
    /// A tenant was moved here from another node, with what its AdGuard Home had stored.
    TenantMovedWithData {
        tenant: EventTenant,
        /// The name of the other node.
        from: String,
        /// The name of this node.
        to: String,
        /// The bytes that were copied.
        bytes: u64,
    },
    /// A tenant could not be moved to another node. It is tried again.
    MoveFailed {
        tenant: EventTenant,
        problem: Message,
    },
    /// Events that were not recorded: there were too many.
    EventsLost { count: u64 },
    /// The database was restored from an earlier state, and the node follows it:
    /// so many are in force again that were not before.
    DatabaseRestored { tenants: u64, devices: u64 },
    /// A second machine with a node's certificate connected, and was refused.
    NodeCopied { address: String },
    /// A node reported an event of a tenant that another node holds; it was refused.
    ForeignTenant { name: TenantName },
    /// A node of another version reported an event that is not known here.
    OtherVersion {
        /// `None` where it concerns the node, or cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<EventTenant>,
        /// What the other version calls it, e.g. `moon_full`; `drift` with the kind, if that
        /// is what is not known.
        code: String,
    },
}

impl EventKind {
    /// The codes of the events that concern a tenant.
    pub const TENANT_CODES: [&str; 41] = [
        "drift.interface_gone",
        "drift.key_changed",
        "drift.port_changed",
        "drift.interface_down",
        "drift.address_changed",
        "drift.peers_changed",
        "drift.elements_changed",
        "drift.container_gone",
        "drift.container_stopped",
        "drift.container_paused",
        "drift.conf_changed",
        "drift.keys_damaged",
        "drift.folder_gone",
        "drift.dns_conf_gone",
        "drift.clients_changed",
        "drift.statistics_damaged",
        "drift.query_log_damaged",
        "drift.lists_damaged",
        "drift.dns_conf_damaged",
        "drift.dns_password_changed",
        "drift.lookups_away",
        "drift.lookups_back",
        "disk.trimmed",
        "disk.full",
        "disk.held",
        "disk.lists",
        "disk.back",
        "part.firewall.failed",
        "part.firewall.back",
        "part.tunnel.failed",
        "part.tunnel.back",
        "part.dns.failed",
        "part.dns.back",
        "quota.warned",
        "quota.reached",
        "quota.reset",
        "tenant.moved",
        "tenant.moved_with_data",
        "tenant.move_failed",
        "tenant.asleep",
        "tenant.awake",
    ];

    /// Returns the kind's name, e.g. `drift.interface_gone`, `part.dns.failed` or
    /// `node.docker_unavailable.back`.
    pub fn code(&self) -> String {
        match self {
            Self::Drift { drift, .. } => format!("drift.{}", drift.code()),
            Self::PartFailed { part, .. } => format!("part.{}.failed", part.code()),
            Self::PartBack { part, .. } => format!("part.{}.back", part.code()),
            Self::NodeFailed { code, .. } => format!("node.{code}.failed"),
            Self::NodeBack { code, .. } => format!("node.{code}.back"),
            Self::DiskTrimmed { .. } => "disk.trimmed".to_owned(),
            Self::DiskFull { .. } => "disk.full".to_owned(),
            Self::DiskHeld { .. } => "disk.held".to_owned(),
            Self::DiskLists { .. } => "disk.lists".to_owned(),
            Self::DiskBack { .. } => "disk.back".to_owned(),
            Self::QuotaWarned { .. } => "quota.warned".to_owned(),
            Self::QuotaReached { .. } => "quota.reached".to_owned(),
            Self::QuotaReset { .. } => "quota.reset".to_owned(),
            Self::TenantMoved { .. } => "tenant.moved".to_owned(),
            Self::TenantMovedWithData { .. } => "tenant.moved_with_data".to_owned(),
            Self::MoveFailed { .. } => "tenant.move_failed".to_owned(),
            Self::TenantAsleep { .. } => "tenant.asleep".to_owned(),
            Self::TenantAwake { .. } => "tenant.awake".to_owned(),
            Self::EventsLost { .. } => "events.lost".to_owned(),
            Self::DatabaseRestored { .. } => "database.restored".to_owned(),
            Self::NodeCopied { .. } => "node.copied".to_owned(),
            Self::ForeignTenant { .. } => "node.foreign_tenant".to_owned(),
            Self::OtherVersion { .. } => "version.other".to_owned(),
        }
    }

    /// Returns the tenant that the event concerns; `None` for the node itself.
    pub const fn tenant(&self) -> Option<&EventTenant> {
        match self {
            Self::Drift { tenant, .. } | Self::OtherVersion { tenant, .. } => tenant.as_ref(),
            Self::PartFailed { tenant, .. }
            | Self::PartBack { tenant, .. }
            | Self::DiskTrimmed { tenant, .. }
            | Self::DiskFull { tenant, .. }
            | Self::DiskHeld { tenant }
            | Self::DiskLists { tenant }
            | Self::DiskBack { tenant }
            | Self::QuotaWarned { tenant, .. }
            | Self::QuotaReached { tenant, .. }
            | Self::QuotaReset { tenant }
            | Self::TenantMoved { tenant, .. }
            | Self::TenantMovedWithData { tenant, .. }
            | Self::MoveFailed { tenant, .. }
            | Self::TenantAsleep { tenant }
            | Self::TenantAwake { tenant } => Some(tenant),
            Self::NodeFailed { .. }
            | Self::NodeBack { .. }
            | Self::EventsLost { .. }
            | Self::DatabaseRestored { .. }
            | Self::NodeCopied { .. }
            | Self::ForeignTenant { .. } => None,
        }
    }

    /// Returns the message for the operator.
    pub fn message(&self) -> Message {
        match self {
            Self::Drift { tenant, drift } => drift.message(tenant.as_ref()),
            Self::PartFailed {
                tenant,
                part,
                reason,
            } => {
                let (name, reason) = (tenant.name.to_string(), Box::new(reason.clone()));
                match part {
                    PartKind::Firewall => Message::FirewallPartFailed { name, reason },
                    PartKind::Tunnel => Message::TunnelPartFailed { name, reason },
                    PartKind::Dns => Message::DnsPartFailed { name, reason },
                }
            }
            Self::PartBack { tenant, part } => {
                let name = tenant.name.to_string();
                match part {
                    PartKind::Firewall => Message::FirewallPartBack { name },
                    PartKind::Tunnel => Message::TunnelPartBack { name },
                    PartKind::Dns => Message::DnsPartBack { name },
                }
            }
            Self::NodeFailed { problem, .. } => problem.clone(),
            Self::NodeBack { problem, .. } => Message::NodeProblemOver {
                problem: Box::new(problem.clone()),
            },
            Self::DiskTrimmed { tenant, bytes } => Message::DiskUseTrimmed {
                name: tenant.name.to_string(),
                mebibytes: bytes >> 20,
            },
            Self::DiskFull {
                tenant,
                bytes,
                limit,
            } => Message::DiskUseFull {
                name: tenant.name.to_string(),
                mebibytes: bytes >> 20,
                limit: limit >> 20,
            },
            Self::DiskHeld { tenant } => Message::DiskUseHeld {
                name: tenant.name.to_string(),
            },
            Self::DiskLists { tenant } => Message::DiskUseLists {
                name: tenant.name.to_string(),
            },
            Self::DiskBack { tenant } => Message::DiskUseBack {
                name: tenant.name.to_string(),
            },
            Self::QuotaWarned {
                tenant,
                percent,
                until,
            } => Message::QuotaWarned {
                name: tenant.name.to_string(),
                percent: *percent,
                until: until.clone(),
            },
            Self::QuotaReached {
                tenant,
                stopped,
                until,
            } => {
                let (name, until) = (tenant.name.to_string(), until.clone());
                match stopped {
                    true => Message::QuotaStopped { name, until },
                    false => Message::QuotaSlowed { name, until },
                }
            }
            Self::QuotaReset { tenant } => Message::QuotaReset {
                name: tenant.name.to_string(),
            },
            Self::TenantMoved { tenant, from, to } => Message::TenantMoved {
                name: tenant.name.to_string(),
                from: from.clone(),
                to: to.clone(),
            },
            Self::TenantAsleep { tenant } => Message::TenantAsleep {
                name: tenant.name.to_string(),
            },
            Self::TenantAwake { tenant } => Message::TenantAwake {
                name: tenant.name.to_string(),
            },
            Self::TenantMovedWithData {
                tenant,
                from,
                to,
                bytes,
            } => Message::TenantMovedWithData {
                name: tenant.name.to_string(),
                from: from.clone(),
                to: to.clone(),
                mebibytes: bytes.div_ceil(1 << 20),
            },
            Self::MoveFailed { tenant, problem } => Message::MoveFailed {
                name: tenant.name.to_string(),
                reason: Box::new(problem.clone()),
            },
            Self::EventsLost { count } => Message::EventsLost { count: *count },
            Self::DatabaseRestored { tenants, devices } => Message::DatabaseRestored {
                tenants: *tenants,
                devices: *devices,
            },
            Self::NodeCopied { address } => Message::WorkerCopied {
                address: address.clone(),
            },
            Self::ForeignTenant { name } => Message::WorkerForeignTenant {
                name: name.to_string(),
            },
            Self::OtherVersion { code, .. } => Message::OtherVersion { code: code.clone() },
        }
    }

    /// Returns the JSON that the log stores beside the code, of
    /// [`MAX_DETAIL_BYTES`] at most: long arguments of messages are cut.
    pub fn detail(&self) -> String {
        // The longest message has three texts, and JSON may double a byte.
        [200, 20, 0]
            .into_iter()
            .filter_map(|max| serde_json::to_string(&self.clone().cut(max)).ok())
            .find(|detail| detail.len() <= MAX_DETAIL_BYTES)
            .unwrap_or_default()
    }

    fn cut(mut self, max: usize) -> Self {
        match &mut self {
            Self::PartFailed { reason: m, .. }
            | Self::MoveFailed { problem: m, .. }
            | Self::NodeFailed { problem: m, .. }
            | Self::NodeBack { problem: m, .. } => *m = m.clone().cut(max),
            Self::Drift { .. }
            | Self::PartBack { .. }
            | Self::DiskTrimmed { .. }
            | Self::DiskFull { .. }
            | Self::DiskHeld { .. }
            | Self::DiskLists { .. }
            | Self::DiskBack { .. }
            | Self::QuotaWarned { .. }
            | Self::QuotaReached { .. }
            | Self::QuotaReset { .. }
            | Self::TenantMoved { .. }
            | Self::TenantMovedWithData { .. }
            | Self::TenantAsleep { .. }
            | Self::TenantAwake { .. }
            | Self::EventsLost { .. }
            | Self::DatabaseRestored { .. }
            | Self::NodeCopied { .. }
            | Self::ForeignTenant { .. }
            | Self::OtherVersion { .. } => {}
        }
        self
    }
}

/// Returns the message, for the operator, of an event of the log. Versions before
/// this one stored an English text, which is shown as it is. Of an event that a control
/// plane of another version has stored, the code is shown.
pub fn recorded_message(code: &str, detail: &str) -> Message {
    match serde_json::from_str::<EventKind>(detail) {
        Ok(event) if event.code() == code => event.message(),
        Ok(EventKind::OtherVersion { .. }) if is_code(code) => Message::OtherVersion {
            code: code.to_owned(),
        },
        _ => Message::Verbatim {
            text: detail.to_owned(),
        },
    }
}
