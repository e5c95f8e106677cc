//! What people ask with, and what they get that is no view.

use domain::{
    FilterPolicy, OperatorScope, Routing, Secret, TenantName, TenantScope, view::DeviceView,
};
use std::net::SocketAddr;
use store::SessionKey;

/// What a sign-up form sends.
#[derive(Debug)]
pub struct SignUp {
    /// The wanted name, as typed.
    pub name: String,
    /// The password, as typed.
    pub password: Secret,
    /// The plan's id, as sent.
    pub plan: String,
}

/// Somebody who may enter a tenant's dashboard: the browser goes to
/// `<name>.<base>/arrive?ticket=…`, which makes the session there.
#[derive(Debug)]
pub struct Arrival {
    /// The tenant.
    pub name: TenantName,
    /// The one-time ticket, good for a minute.
    pub ticket: Secret,
}

/// A ticket that was used up: whom it lets in.
#[derive(Debug)]
pub struct Redeemed {
    /// The tenant, on the host asked.
    pub scope: TenantScope,
    /// The session the ticket came from: what is made of it ends with that one.
    pub parent: Option<SessionKey>,
}

/// An operator whose password was right.
#[derive(Debug)]
pub struct OperatorArrival {
    /// The permission.
    pub scope: OperatorScope,
    /// What a session keeps of the password: it fits until the next one is set
    /// ([`crate::Control::operator_holds`]), and tells nothing of it.
    pub proof: String,
}

/// A device that was changed.
#[derive(Clone, Debug)]
pub struct ChangedDevice {
    /// As it is now.
    pub device: DeviceView,
    /// Whether the tunnel does what was asked. Where not, it is saved all the
    /// same, and the server keeps trying.
    pub in_force: bool,
}

/// What a ticket or session is good for.
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
    /// Its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Dns => "dns",
            Self::Operator => "operator",
        }
    }
}

/// A new device, as the form sends it.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// The label, as typed.
    pub label: String,
    /// What it routes.
    pub routing: Routing,
    /// What its DNS filter does.
    pub policy: FilterPolicy,
    /// Whether it is part of the mesh.
    pub mesh: bool,
}

/// A change of a device; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default)]
pub struct DeviceChange {
    /// A new label, as typed.
    pub label: Option<String>,
    /// A new DNS policy.
    pub policy: Option<FilterPolicy>,
    /// Into or out of the mesh.
    pub mesh: Option<bool>,
}

/// Where our proxy finds a tenant's AdGuard Home, and how it signs in.
#[derive(Clone, Debug)]
pub struct DnsTarget {
    /// Address and port of its API and UI.
    pub address: SocketAddr,
    /// The user, for Basic auth.
    pub user: &'static str,
    /// The password.
    pub password: Secret,
}
