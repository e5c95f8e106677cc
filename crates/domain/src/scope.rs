//! Permissions as values: who acts, and for which tenant.

use crate::{id::TenantId, tenant_name::TenantName};
use serde::{Deserialize, Serialize};

/// Permission to act for one tenant. Every tenant call of `control` and
/// `store` takes one, so a call without a checked session does not compile.
///
/// Invariant: `control` issues a scope only for a session that it has checked,
/// for a sign-in ticket that was redeemed, or to an operator. It cannot be
/// deserialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantScope {
    tenant: TenantId,
    name: TenantName,
    actor: String,
}

impl TenantScope {
    /// Issues a permission. The caller must have checked that `actor` (a tenant's
    /// name, or `operator:<name>`) may act for this tenant on this host.
    pub fn issue(tenant: TenantId, name: TenantName, actor: impl Into<String>) -> Self {
        Self {
            tenant,
            name,
            actor: actor.into(),
        }
    }

    /// Returns the tenant's id.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Returns the tenant's name.
    pub fn name(&self) -> &TenantName {
        &self.name
    }

    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}

/// Permission to administer the installation. Issued where [`TenantScope`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorScope {
    name: String,
}

impl OperatorScope {
    /// Issues a permission to the operator of this name. The caller must have
    /// checked the session.
    pub fn issue(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Returns the operator's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> String {
        format!("operator:{}", self.name)
    }
}

/// What a client of the API may do with its holder's permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Read, and change nothing. It reads no secret.
    Read,
    /// Do what the holder may do.
    Write,
}

impl Access {
    /// Returns its name in JSON and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// Parses the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write]
            .into_iter()
            .find(|a| a.as_str() == text)
    }
}
