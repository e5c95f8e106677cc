//! A failure of a request: a stable code, the form field it belongs to, and a
//! message that says what to do. Causes stay on the server. The edges render it
//! (the crate `texts`) and have their own form of it on the wire.

use crate::{code::ErrorCode, message::Message};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form field that a failure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    Name,
    Password,
    /// A password that replaces another one.
    NewPassword,
    /// A code of an authenticator app, or a recovery code.
    Code,
    Plan,
    Label,
    /// The traffic a device sends through the tunnel.
    Routing,
    /// The device's filter policy.
    Policy,
    /// A plan's id.
    PlanId,
    /// A plan's number of devices.
    Devices,
    /// A plan's data per month.
    Data,
    /// A plan's speed towards the devices.
    Down,
    /// A plan's speed from the devices.
    Up,
    /// What happens once a plan's data are used up.
    AtLimit,
    /// The speed once a plan's data are used up.
    Slow,
    /// The day on which a plan's month begins.
    MonthDay,
    /// A tenant's time zone.
    TimeZone,
    /// The host that a node's devices connect to.
    Host,
    /// An operator's role.
    Role,
    /// The invitation of a sign-up.
    Invitation,
    /// How often an invitation may be used.
    Uses,
    /// How long an invitation is valid.
    Lifetime,
    /// The operator's note on an invitation.
    Note,
    /// A mail address.
    Mail,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened, for programs to compare.
    pub code: ErrorCode,
    /// The form field, if the failure belongs to one.
    pub field: Option<Field>,
    /// What happened and what to do, for people.
    pub message: Message,
}

impl Failure {
    /// Creates a failure of the whole request.
    pub const fn new(code: ErrorCode, message: Message) -> Self {
        Self {
            code,
            field: None,
            message,
        }
    }

    /// Creates a failure of one form field.
    pub const fn at(field: Field, code: ErrorCode, message: Message) -> Self {
        Self {
            code,
            field: Some(field),
            message,
        }
    }

    /// Returns the failure for an object that does not exist and for one that
    /// belongs to another tenant, so that a client cannot distinguish the two.
    pub const fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, Message::NotFound)
    }

    /// Returns the failure for a request without a valid session.
    pub const fn signed_out() -> Self {
        Self::new(ErrorCode::SignedOut, Message::SignedOut)
    }

    /// Returns the failure for an owner who has to add a second factor first.
    pub const fn second_factor_required() -> Self {
        Self::new(
            ErrorCode::SecondFactorRequired,
            Message::SecondFactorRequired,
        )
    }
}

/// For logs and for developers: the message's code and arguments.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for Failure {}
