//! Permissions as values: who acts, and for which tenant.

use crate::{
    code::ErrorCode, failure::Failure, id::TenantId, message::Message, tenant_name::TenantName,
};
use serde::{Deserialize, Serialize};
use std::ops::Deref;

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
    origin: String,
}

impl TenantScope {
    /// Issues a permission. The caller must have checked that `actor` (a tenant's
    /// name, or `operator:<name>`) may act for this tenant on this host.
    pub fn issue(tenant: TenantId, name: TenantName, actor: impl Into<String>) -> Self {
        Self {
            tenant,
            name,
            actor: actor.into(),
            origin: String::new(),
        }
    }

    /// Says where the request came from, for the audit log: a prefix of its address.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// Returns where the request came from; empty where that is nowhere.
    pub fn origin(&self) -> &str {
        &self.origin
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

/// Permission to read the whole installation, which every operator has. Issued where
/// [`TenantScope`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorScope {
    name: String,
    origin: String,
}

impl OperatorScope {
    /// Returns the operator's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> String {
        format!("operator:{}", self.name)
    }

    /// Returns where the request came from; empty where that is nowhere.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// Permission to act on tenants, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportScope(OperatorScope);

impl Deref for SupportScope {
    type Target = OperatorScope;

    fn deref(&self) -> &OperatorScope {
        &self.0
    }
}

/// Permission to administer the installation: plans, nodes, operators, settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerScope(SupportScope);

impl OwnerScope {
    /// Issues a permission to the owner of this name. The caller must have checked the
    /// session and the role.
    pub fn issue(name: impl Into<String>) -> Self {
        Self(SupportScope(OperatorScope {
            name: name.into(),
            origin: String::new(),
        }))
    }
}

impl Deref for OwnerScope {
    type Target = SupportScope;

    fn deref(&self) -> &SupportScope {
        &self.0
    }
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorRole {
    /// Read everything that operators read, and change nothing.
    ReadOnly,
    /// Also act on tenants.
    Support,
    /// Everything.
    Owner,
}

impl OperatorRole {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Support, Self::Owner];

    /// Returns its name in JSON, in the database and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Support => "support",
            Self::Owner => "owner",
        }
    }

    /// Parses the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// The permission of an operator, by its role. As an [`OperatorScope`] it is there for
/// each; what needs more is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorPermission {
    ReadOnly(OperatorScope),
    Support(SupportScope),
    Owner(OwnerScope),
}

impl OperatorPermission {
    /// Issues the permission of a role to the operator of this name. The caller must have
    /// checked the session.
    pub fn issue(role: OperatorRole, name: impl Into<String>) -> Self {
        let owner = OwnerScope::issue(name);
        match role {
            OperatorRole::ReadOnly => Self::ReadOnly(owner.0.0),
            OperatorRole::Support => Self::Support(owner.0),
            OperatorRole::Owner => Self::Owner(owner),
        }
    }

    /// Says where the request came from, for the audit log: a prefix of its address.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        let operator = match &mut self {
            Self::ReadOnly(operator) => operator,
            Self::Support(support) => &mut support.0,
            Self::Owner(owner) => &mut owner.0.0,
        };
        operator.origin = origin.into();
        self
    }

    /// Returns the role.
    pub const fn role(&self) -> OperatorRole {
        match self {
            Self::ReadOnly(_) => OperatorRole::ReadOnly,
            Self::Support(_) => OperatorRole::Support,
            Self::Owner(_) => OperatorRole::Owner,
        }
    }

    /// Returns the permission to act on tenants.
    ///
    /// # Errors
    /// `NotPermitted` for a role that may only read.
    pub fn support(&self) -> Result<&SupportScope, Failure> {
        match self {
            Self::Owner(owner) => Ok(owner),
            Self::Support(support) => Ok(support),
            Self::ReadOnly(_) => Err(refused(Message::RoleReadOnly)),
        }
    }

    /// Returns the permission to administer the installation.
    ///
    /// # Errors
    /// `NotPermitted` for another role than the owner's.
    pub fn owner(&self) -> Result<&OwnerScope, Failure> {
        match self {
            Self::Owner(owner) => Ok(owner),
            Self::Support(_) | Self::ReadOnly(_) => Err(refused(Message::RoleOwnerOnly)),
        }
    }
}

impl Deref for OperatorPermission {
    type Target = OperatorScope;

    fn deref(&self) -> &OperatorScope {
        match self {
            Self::ReadOnly(operator) => operator,
            Self::Support(support) => support,
            Self::Owner(owner) => owner,
        }
    }
}

fn refused(message: Message) -> Failure {
    Failure::new(ErrorCode::NotPermitted, message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_lends_what_is_below_it() {
        let may = |role| {
            let permission = OperatorPermission::issue(role, "ada");
            assert_eq!((permission.name(), permission.role()), ("ada", role));
            assert_eq!(OperatorRole::parse(role.as_str()), Some(role));
            (permission.support().is_ok(), permission.owner().is_ok())
        };
        assert_eq!(may(OperatorRole::ReadOnly), (false, false));
        assert_eq!(may(OperatorRole::Support), (true, false));
        assert_eq!(may(OperatorRole::Owner), (true, true));
        assert_eq!(OperatorRole::parse("root"), None);
        let refused = OperatorPermission::issue(OperatorRole::Support, "ada");
        let refused = refused.owner().unwrap_err();
        assert_eq!(refused.code, ErrorCode::NotPermitted);
    }
}
