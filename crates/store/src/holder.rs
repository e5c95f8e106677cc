//! Whose account it is: the ids of operators, and of either tenants or operators.

use domain::TenantId;
use serde::{Deserialize, Serialize};

/// The id of a row in `operators`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorId(pub i64);

/// The account that a ticket signs in, or that a credential of the API acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TicketHolder {
    Tenant(TenantId),
    Operator(OperatorId),
}

impl TicketHolder {
    /// Returns the values of the columns `user_id` and `operator_id`.
    pub(crate) const fn columns(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Tenant(id) => (Some(id.0), None),
            Self::Operator(id) => (None, Some(id.0)),
        }
    }

    /// Returns the holder of a row. A CHECK of the tables excludes any other row.
    pub(crate) const fn of_columns(user: Option<i64>, operator: Option<i64>) -> Option<Self> {
        match (user, operator) {
            (Some(id), None) => Some(Self::Tenant(TenantId(id))),
            (None, Some(id)) => Some(Self::Operator(OperatorId(id))),
            _ => None,
        }
    }
}
