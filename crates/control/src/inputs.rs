//! What callers pass in, and the results that are not views.

use domain::{
    FilterPolicy, OperatorScope, Routing, Secret, TenantName, TenantScope, view::DeviceView,
};
use protocol::Location;
use store::SessionKey;

/// The content of a sign-up form.
#[derive(Debug)]
pub struct SignUp {
    /// The wanted name, as typed.
    pub name: String,
    /// The password, as typed.
    pub password: Secret,
    /// The plan's id, as sent.
    pub plan: String,
}

/// Permission to enter a tenant's dashboard: the browser opens
/// `<name>.<base>/arrive?ticket=…`, which begins the session there.
#[derive(Debug)]
pub struct SignInTicket {
    /// The tenant.
    pub name: TenantName,
    /// The one-time ticket, valid for one minute.
    pub ticket: Secret,
}

/// The permission that a used ticket gave.
#[derive(Debug)]
pub struct RedeemedTicket {
    /// The tenant whose host was asked.
    pub scope: TenantScope,
    /// The session that the ticket was requested with. A session that begins
    /// with the ticket ends with that one.
    pub parent: Option<SessionKey>,
}

/// An operator who gave the right password.
#[derive(Debug)]
pub struct OperatorSession {
    /// The permission.
    pub scope: OperatorScope,
    /// The part of the password's hash that a session stores. It matches until
    /// the operator's password is replaced (`Auth::operator_session`), and reveals
    /// nothing of it.
    pub proof: String,
}

/// A device after a change.
#[derive(Clone, Debug)]
pub struct ChangedDevice {
    /// The device as it is now.
    pub device: DeviceView,
    /// Whether the change is in force in the tunnel. If not, it is saved all
    /// the same and the node keeps trying.
    pub in_force: bool,
}

/// The kind of host that a ticket or session is valid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// `<name>.<base>`.
    Dashboard,
    /// `<name>-dns.<base>`.
    Dns,
    /// `admin.<base>`.
    Operator,
}

impl Audience {
    /// Returns its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Dns => "dns",
            Self::Operator => "operator",
        }
    }
}

/// The content of the form for a new device.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// The label, as typed.
    pub label: String,
    /// Which traffic the device sends through the tunnel.
    pub routing: Routing,
    /// What its DNS filter blocks.
    pub policy: FilterPolicy,
    /// Whether it is part of the mesh.
    pub mesh: bool,
}

/// A change of a device. `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct DeviceChange {
    /// A new label, as typed.
    pub label: Option<String>,
    /// A new DNS policy.
    pub policy: Option<FilterPolicy>,
    /// Into or out of the mesh.
    pub mesh: Option<bool>,
}

/// A tenant's AdGuard Home, and how the proxy signs in there.
#[derive(Clone, Debug)]
pub struct DnsTarget {
    /// Where the tenant is.
    pub at: Location,
    /// The tenant.
    pub name: TenantName,
    /// The user, for Basic authentication.
    pub user: String,
    /// The password.
    pub password: Secret,
}
