//! The operators, as operators see them.

use crate::{scope::OperatorRole, time::Timestamp};
use serde::{Deserialize, Serialize};

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRow {
    pub name: String,
    pub role: OperatorRole,
    pub created_at: Timestamp,
}

/// An operator who was invited and has not chosen a password yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorInvitation {
    pub name: String,
    pub role: OperatorRole,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// The operators and those who are invited, each by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorsView {
    pub now: Timestamp,
    pub operators: Vec<OperatorRow>,
    pub invitations: Vec<OperatorInvitation>,
}
