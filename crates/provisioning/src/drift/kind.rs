//! What an external change can be, and its message for the operator.

use domain::{Slot, TenantName};
use std::fmt;

/// An external change. Its text is a sentence for the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The tenant concerned; `None` where it concerns the whole node.
    pub tenant: Option<(Slot, TenantName)>,
    /// What was changed.
    pub kind: DriftKind,
}

/// The kind of an external change. Counts are of a tenant's own parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftKind {
    /// The interface was gone, or a foreign one had its name.
    InterfaceGone,
    /// The interface had another private key, or none.
    KeyChanged,
    /// The interface listened on another UDP port.
    PortChanged(u16),
    /// The interface was down.
    InterfaceDown,
    /// The interface had other addresses, or none.
    AddressChanged,
    /// The interface's peers were not the tenant's devices.
    PeersChanged {
        /// Peers that are not devices.
        unexpected: usize,
        /// Devices that were missing or changed.
        missing: usize,
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
        missing: usize,
        /// Clients with an id of ours that are not devices.
        unexpected: usize,
    },
}

impl DriftKind {
    /// Returns the kind's name, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InterfaceGone => "interface_gone",
            Self::KeyChanged => "key_changed",
            Self::PortChanged(_) => "port_changed",
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
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wg, name) = self.tenant.as_ref().map_or_else(
            || (String::new(), String::new()),
            |(slot, name)| (slot.interface(), name.to_string()),
        );
        match self.kind {
            DriftKind::InterfaceGone => {
                write!(f, "{name}'s interface {wg} was gone; it is made again.")
            }
            DriftKind::KeyChanged => {
                write!(f, "{wg} of {name} had another key; it gets its own back.")
            }
            DriftKind::PortChanged(port) => write!(
                f,
                "{wg} of {name} listened on port {port}; it gets its own back."
            ),
            DriftKind::InterfaceDown => write!(f, "{wg} of {name} was down; it is brought up."),
            DriftKind::AddressChanged => write!(
                f,
                "{wg} of {name} had other addresses or none; it gets its own back."
            ),
            DriftKind::PeersChanged {
                unexpected,
                missing,
            } => write!(
                f,
                "{wg} of {name} had {unexpected} unexpected peers, and {missing} devices were missing or changed; that is repaired."
            ),
            DriftKind::RulesGone => write!(
                f,
                "The firewall's table was gone or changed; it is written again."
            ),
            DriftKind::ElementsChanged => write!(
                f,
                "{name}'s entries in the firewall were gone or changed; they are written again."
            ),
            DriftKind::ImageGone => write!(f, "The AdGuard Home image was gone; it is fetched."),
            DriftKind::ContainerGone => {
                write!(f, "{name}'s DNS container was gone; it is made again.")
            }
            DriftKind::ContainerStopped => {
                write!(f, "{name}'s DNS container had stopped; it is started.")
            }
            DriftKind::ContainerPaused => {
                write!(f, "{name}'s DNS container was paused; it is made again.")
            }
            DriftKind::ConfChanged => write!(
                f,
                "{wg}.conf of {name} was edited or gone; it is written again."
            ),
            DriftKind::KeysDamaged => write!(
                f,
                "The keys in {name}'s folder were gone or damaged; they are written again."
            ),
            DriftKind::FolderGone => write!(f, "{name}'s folder was gone; it is written again."),
            DriftKind::DnsConfGone => write!(
                f,
                "The configuration of {name}'s AdGuard Home was gone; its container is made again with a new one."
            ),
            DriftKind::ClientsChanged {
                missing,
                unexpected,
            } => write!(
                f,
                "In {name}'s AdGuard Home {missing} devices were missing or changed and {unexpected} were unexpected; that is repaired."
            ),
        }
    }
}
