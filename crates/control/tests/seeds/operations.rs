//! The operations of clients, and their answers.

use std::collections::BTreeSet;

use domain::{DeviceId, ErrorCode, FilterPolicy, PublicKey, Slot, TenantId, TenantName};

/// A tenant as its client knows it. It may be deleted by now.
#[derive(Clone, Debug)]
pub struct TenantRef {
    /// Its identity: the tunnel's public key.
    pub key: PublicKey,
    pub id: TenantId,
    pub name: TenantName,
    pub slot: Slot,
}

/// A device by its identity (the public key) and its id. It may be deleted, or
/// another tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceRef {
    pub key: PublicKey,
    pub id: DeviceId,
}

/// What a client requests. Names and labels are as typed.
#[derive(Clone, Debug)]
pub enum Request {
    SignUp {
        name: String,
        password: String,
        plan: &'static str,
        /// The error that the form must cause, if there is one.
        expected_error: Option<ErrorCode>,
    },
    SignIn {
        name: String,
        password: String,
        /// The tenant whose password it is, if it is one's.
        owner: Option<PublicKey>,
    },
    Redeem {
        ticket: String,
        host: TenantName,
    },
    AddDevice {
        tenant: TenantRef,
        label: String,
        policy: FilterPolicy,
        mesh: bool,
    },
    ChangeDevice {
        tenant: TenantRef,
        device: DeviceRef,
        label: Option<String>,
        policy: Option<FilterPolicy>,
        mesh: Option<bool>,
    },
    DeleteDevice {
        tenant: TenantRef,
        device: DeviceRef,
    },
    ViewDevice {
        tenant: TenantRef,
        device: DeviceRef,
    },
    DownloadConfig {
        tenant: TenantRef,
        device: DeviceRef,
    },
    ViewDashboard {
        tenant: TenantRef,
    },
    /// The operator suspends a tenant, or resumes it.
    SetSuspended {
        tenant: TenantRef,
        suspended: bool,
    },
    DeleteTenant {
        tenant: TenantRef,
        /// Whether the operator deletes it, or the tenant itself.
        operator: bool,
    },
}

impl Request {
    /// Returns the tenant that the request is about.
    pub fn tenant(&self) -> Option<&TenantRef> {
        match self {
            Self::SignUp { .. } | Self::SignIn { .. } | Self::Redeem { .. } => None,
            Self::AddDevice { tenant, .. }
            | Self::ChangeDevice { tenant, .. }
            | Self::DeleteDevice { tenant, .. }
            | Self::ViewDevice { tenant, .. }
            | Self::DownloadConfig { tenant, .. }
            | Self::ViewDashboard { tenant }
            | Self::SetSuspended { tenant, .. }
            | Self::DeleteTenant { tenant, .. } => Some(tenant),
        }
    }

    /// Returns the device that the request is about.
    pub fn device(&self) -> Option<DeviceRef> {
        match self {
            Self::ChangeDevice { device, .. }
            | Self::DeleteDevice { device, .. }
            | Self::ViewDevice { device, .. }
            | Self::DownloadConfig { device, .. } => Some(*device),
            _ => None,
        }
    }
}

/// A device as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSnapshot {
    pub device: DeviceRef,
    pub label: String,
    pub address: String,
    pub policy: FilterPolicy,
    pub mesh: bool,
}

/// The content of an answer.
#[derive(Clone, Debug)]
pub enum Payload {
    Ticket(String),
    /// The tenant whose dashboard the client has entered.
    SignedIn(TenantId),
    /// A device, and whether its change is in force, if there was one.
    Device(DeviceSnapshot, bool),
    /// A dashboard's devices, by label: label and address.
    Dashboard(Vec<(String, String)>),
    /// The request is done, and whether it is in force.
    Done(bool),
    /// An account was created, but without a ticket.
    AccountWithoutTicket,
}

#[derive(Clone, Debug)]
pub enum Answer {
    Ok(Payload),
    /// The request did not happen, also because the database was unavailable. (A
    /// database that fails in the middle of a commit could mean either, but there
    /// is none here.)
    Refused(ErrorCode),
    /// There is no answer, because the process died or the client went away. The
    /// request happened or did not.
    Lost,
}

/// An operation of a step.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its number in the history.
    pub number: u64,
    /// The seed of its randomness.
    pub seed: u64,
    pub request: Request,
    /// When it began, in the order of all beginnings and ends.
    pub began: Option<u64>,
    /// When it ended, with or without an answer.
    pub ended: Option<u64>,
    pub answer: Answer,
    /// Whether the node, by the spec it had then, seemed to have no free slot.
    pub seemed_full: bool,
    /// Slots whose interface belonged to another program, as the node saw it
    /// then.
    pub foreign: BTreeSet<Slot>,
}

impl Operation {
    /// Returns the actor in the audit log: a name for each operation, so that its
    /// entries can be told apart.
    pub fn actor(&self) -> String {
        let n = self.number;
        match &self.request {
            Request::SignUp { name, .. } | Request::SignIn { name, .. } => name.clone(),
            Request::Redeem { host, .. } => host.to_string(),
            Request::SetSuspended { .. } | Request::DeleteTenant { operator: true, .. } => {
                format!("operator:op{n}")
            }
            Request::DownloadConfig { .. } => format!("operator:cli:u{n}"),
            request => {
                let name = request.tenant().map(|t| t.name.as_str());
                format!("{}#{n}", name.unwrap_or_default())
            }
        }
    }
}
