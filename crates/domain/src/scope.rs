//! Who is asking, for which tenant: the permission a call holds in its hand.

use crate::{id::TenantId, name::TenantName};

/// Permission to act for one tenant. Every tenant call of `control` and
/// `store` takes one, so a call without a checked session does not compile.
///
/// Invariant: issued from Host and session in one place of the server
/// (`server/src/web/scope.rs`), and by `control` to an operator or for a ticket
/// that was redeemed. Nothing deserialises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantScope {
    tenant: TenantId,
    name: TenantName,
    actor: String,
}

impl TenantScope {
    /// Issues a permission. The caller has checked that `actor` (a tenant's
    /// name, or `operator:<name>`) may act for this tenant on this host.
    pub fn issue(tenant: TenantId, name: TenantName, actor: impl Into<String>) -> Self {
        Self {
            tenant,
            name,
            actor: actor.into(),
        }
    }

    /// The tenant acted for.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's name.
    pub fn name(&self) -> &TenantName {
        &self.name
    }

    /// Who acts, as the audit log writes it.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}

/// Permission to run the installation. Built where [`TenantScope`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorScope {
    name: String,
}

impl OperatorScope {
    /// Issues a permission to the operator of that name, whose session was checked.
    pub fn issue(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The operator's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who acts, as the audit log writes it.
    pub fn actor(&self) -> String {
        format!("operator:{}", self.name)
    }
}
