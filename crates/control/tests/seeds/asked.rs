//! What somebody asks for, and what they were told.

use std::collections::BTreeSet;

use domain::{DeviceId, ErrorCode, FilterPolicy, PublicKey, Slot, TenantId, TenantName};

/// A tenant as whoever acts for it knows it: it may be gone by now.
#[derive(Clone, Debug)]
pub struct Who {
    /// Its identity: the tunnel's public key.
    pub key: PublicKey,
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: TenantName,
    /// Its slot.
    pub slot: Slot,
}

/// A device by its identity and its id; it may be gone, or another tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Which {
    /// Its public key.
    pub key: PublicKey,
    /// Its id.
    pub id: DeviceId,
}

/// An operation.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Somebody signs up.
    SignUp {
        /// As typed.
        name: String,
        /// As typed.
        password: String,
        /// As sent.
        plan: &'static str,
        /// What is wrong with the form, if anything is.
        flaw: Option<ErrorCode>,
    },
    /// Somebody signs in.
    SignIn {
        /// As typed.
        name: String,
        /// As typed.
        password: String,
        /// Whose it is, if it is anybody's.
        of: Option<PublicKey>,
    },
    /// Somebody arrives with a ticket.
    Arrive {
        /// The ticket's value.
        ticket: String,
        /// The host.
        host: TenantName,
    },
    /// A device is added.
    Add {
        /// Whose.
        who: Who,
        /// As typed.
        label: String,
        /// Its policy.
        policy: FilterPolicy,
        /// Whether it is part of the mesh.
        mesh: bool,
    },
    /// A device is changed.
    Change {
        /// Who asks.
        who: Who,
        /// Which.
        device: Which,
        /// A new label, as typed.
        label: Option<String>,
        /// A new policy.
        policy: Option<FilterPolicy>,
        /// Into or out of the mesh.
        mesh: Option<bool>,
    },
    /// A device is deleted.
    Delete {
        /// Who asks.
        who: Who,
        /// Which.
        device: Which,
    },
    /// A device is shown.
    Show {
        /// Who asks.
        who: Who,
        /// Which.
        device: Which,
    },
    /// A device's configuration is taken away as a file.
    Download {
        /// Who asks.
        who: Who,
        /// Which.
        device: Which,
    },
    /// A dashboard is looked at.
    Look {
        /// Whose.
        who: Who,
    },
    /// The operator suspends a tenant, or resumes it.
    Suspend {
        /// Whom.
        who: Who,
        /// Which of the two.
        suspended: bool,
    },
    /// A tenant is deleted, by the operator or by itself.
    Leave {
        /// Who.
        who: Who,
        /// By whom.
        operator: bool,
    },
}

impl Wish {
    /// Whose things it is about.
    pub fn who(&self) -> Option<&Who> {
        match self {
            Self::SignUp { .. } | Self::SignIn { .. } | Self::Arrive { .. } => None,
            Self::Add { who, .. }
            | Self::Change { who, .. }
            | Self::Delete { who, .. }
            | Self::Show { who, .. }
            | Self::Download { who, .. }
            | Self::Look { who }
            | Self::Suspend { who, .. }
            | Self::Leave { who, .. } => Some(who),
        }
    }

    /// Which device it is about.
    pub fn device(&self) -> Option<Which> {
        match self {
            Self::Change { device, .. }
            | Self::Delete { device, .. }
            | Self::Show { device, .. }
            | Self::Download { device, .. } => Some(*device),
            _ => None,
        }
    }
}

/// A device as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub which: Which,
    /// Its label.
    pub label: String,
    /// Its address.
    pub address: String,
    /// Its policy.
    pub policy: FilterPolicy,
    /// Whether it is part of the mesh.
    pub mesh: bool,
}

/// What somebody got.
#[derive(Clone, Debug)]
pub enum Got {
    /// A ticket.
    Ticket(String),
    /// They are in: whose dashboard it is.
    In(TenantId),
    /// A device; and whether the change is in force, where one was made.
    Device(Shown, bool),
    /// A dashboard's devices, by label: label and address.
    Rows(Vec<(String, String)>),
    /// It is done; and whether it is in force.
    Done(bool),
    /// They have an account, and could not be let in.
    Account,
}

/// What somebody was told.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It happened.
    Ok(Got),
    /// It did not; also where the database could not be asked. (A database that
    /// fails in the middle of a commit could mean either, but there is none.)
    Refused(ErrorCode),
    /// Nothing: the process died, or they went away. It happened or it did not.
    Nothing,
}

/// An operation of a step.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its number in the history: what it draws and who asks follow from it.
    pub number: u64,
    /// The seed of its randomness.
    pub seed: u64,
    /// What is asked for.
    pub wish: Wish,
    /// When it began and ended, in the order of all beginnings and ends.
    pub began: Option<u64>,
    /// See `began`; also of one that ended without an answer.
    pub ended: Option<u64>,
    /// What they were told.
    pub answer: Answer,
    /// Whether the node, by the spec it had then, seemed to have no place.
    pub seemed_full: bool,
    /// Slots whose interface was somebody else's, as the node saw it then.
    pub foreign: BTreeSet<Slot>,
}

impl Asked {
    /// Who acts, as the audit log writes it: a name for each operation, so that
    /// what it wrote is told apart.
    pub fn actor(&self) -> String {
        let n = self.number;
        match &self.wish {
            Wish::SignUp { name, .. } | Wish::SignIn { name, .. } => name.clone(),
            Wish::Arrive { host, .. } => host.to_string(),
            Wish::Suspend { .. } | Wish::Leave { operator: true, .. } => format!("operator:op{n}"),
            wish => {
                let name = wish.who().map(|w| w.name.as_str()).unwrap_or_default();
                format!("{name}#{n}")
            }
        }
    }
}
