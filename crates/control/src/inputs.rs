//! What callers pass in, and the results that are not views.

use domain::{
    FilterPolicy, OperatorAdmission, Routing, Secret, TenantHolderScope, TenantName, Timestamp,
    TunnelOptions, view::DeviceView,
};
use protocol::Location;
use store::SessionDetails;

/// The content of a sign-up form.
#[derive(Debug)]
pub struct SignUp {
    /// The wanted name, as typed.
    pub name: String,
    /// The password, as typed.
    pub password: Secret,
    /// The plan's id, as sent. An invitation for a plan decides instead.
    pub plan: String,
    /// The invitation's code, as sent.
    pub invitation: Option<Secret>,
    /// The mail address, as typed; empty for none. It counts where mail is set up.
    pub mail: String,
}

/// Permission to enter a tenant's dashboard: the browser opens
/// `<name>.<base>/arrive?ticket=…`, which begins the session there.
#[derive(Debug)]
pub struct SignInTicket {
    /// The tenant.
    pub name: TenantName,
    /// The one-time ticket, valid for one minute.
    pub ticket: Secret,
    /// The cookie that the browser is known by from now on, on the host that was asked.
    pub browser: Secret,
}

/// A sign-in whose password was right and that waits for a second factor.
#[derive(Debug)]
pub struct PendingSignIn {
    /// What names it. By itself it is no sign-in.
    pub token: Secret,
    /// The cookie of the browser that it belongs to.
    pub browser: Secret,
    /// Until when it waits.
    pub expires_at: Timestamp,
}

/// By what a sign-in that waits can go on. A recovery code always does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingSignIn {
    /// The tenant's or operator's name.
    pub name: String,
    /// By a code of an authenticator app.
    pub has_totp: bool,
    /// By a passkey, on the account's own host.
    pub has_passkey: bool,
}

/// What a visitor's browser is asked for a sign-in with a passkey alone.
#[derive(Debug)]
pub struct PasskeyChallenge {
    /// `PublicKeyCredentialRequestOptions` in JSON.
    pub options: String,
    /// The cookie of the browser that may answer.
    pub browser: Secret,
}

/// What became of a tenant's right password.
#[derive(Debug)]
pub enum SignInStep {
    Done(SignInTicket),
    SecondFactor(PendingSignIn),
}

impl SignInStep {
    /// Returns the ticket, if nothing is left to do.
    pub fn done(self) -> Option<SignInTicket> {
        match self {
            Self::Done(ticket) => Some(ticket),
            Self::SecondFactor(_) => None,
        }
    }
}

/// What became of an operator's right password.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for a moment")]
pub enum OperatorStep {
    Done(OperatorSession),
    SecondFactor(PendingSignIn),
}

impl OperatorStep {
    /// Returns the session, if nothing is left to do.
    pub fn done(self) -> Option<OperatorSession> {
        match self {
            Self::Done(session) => Some(session),
            Self::SecondFactor(_) => None,
        }
    }
}

/// The permission that a used ticket gave.
#[derive(Debug)]
pub struct RedeemedTicket {
    /// The tenant whose host was asked.
    pub scope: TenantHolderScope,
    /// What the session that begins with the ticket stores.
    pub session: SessionDetails,
    /// The cookie that the browser is known by from now on, on this host.
    pub browser: Secret,
}

/// An operator who gave the right password and, where there is one, second factor.
#[derive(Debug)]
pub struct OperatorSession {
    /// What the session has.
    pub admission: OperatorAdmission,
    /// What the session stores.
    pub session: SessionDetails,
    /// The cookie that the browser is known by from now on.
    pub browser: Secret,
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
    /// `<name>.<base>`, for an operator who looks in.
    LookIn,
}

impl Audience {
    /// Returns the audience of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Dashboard, Self::Dns, Self::Operator, Self::LookIn]
            .into_iter()
            .find(|a| a.as_str() == text)
    }

    /// Returns its name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Dns => "dns",
            Self::Operator => "operator",
            Self::LookIn => "look",
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
    /// What else its configuration says.
    pub options: TunnelOptions,
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
    /// Other traffic that it sends through the tunnel. The device needs its file again.
    pub routing: Option<Routing>,
    /// Small packets, or not. The device needs its file again.
    pub small_packets: Option<bool>,
    /// No IPv6 in its file, or as there is. The device needs its file again.
    pub ipv4_only: Option<bool>,
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
