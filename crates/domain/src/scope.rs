//! Permissions as values: who acts, and for which tenant.

use crate::{
    code::ErrorCode, failure::Failure, id::TenantId, message::Message, tenant_name::TenantName,
};
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// Permission to read what a tenant sees of its network. No call with it changes anything,
/// and none returns a secret.
///
/// Invariant: `control` issues a scope only for a session that it has checked,
/// for a sign-in ticket that was redeemed, or to an operator. It cannot be
/// deserialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantReadScope {
    tenant: TenantId,
    name: TenantName,
    actor: String,
    origin: String,
}

impl TenantReadScope {
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

/// Permission to act for one tenant: what it has, it may also change. Every tenant call
/// of `control` and `store` that changes something takes one, so a call without a checked
/// session does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantScope(TenantReadScope);

impl TenantScope {
    /// Issues a permission. The caller must have checked that `actor` (a tenant's
    /// name, or `operator:<name>`) may act for this tenant on this host.
    pub fn issue(tenant: TenantId, name: TenantName, actor: impl Into<String>) -> Self {
        Self(TenantReadScope {
            tenant,
            name,
            actor: actor.into(),
            origin: String::new(),
        })
    }

    /// Says where the request came from, for the audit log: a prefix of its address.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.0.origin = origin.into();
        self
    }
}

impl Deref for TenantScope {
    type Target = TenantReadScope;

    fn deref(&self) -> &TenantReadScope {
        &self.0
    }
}

/// Permission of the tenant itself: to read its devices' keys, to sign on to its AdGuard
/// Home, to change or delete its account. No operator holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantHolderScope(TenantScope);

impl TenantHolderScope {
    /// Issues the permission of a tenant for itself. The caller must have checked that it is
    /// the tenant who asks.
    pub fn issue(tenant: TenantId, name: TenantName) -> Self {
        let actor = name.to_string();
        Self(TenantScope::issue(tenant, name, actor))
    }

    /// Names another actor for the audit log, e.g. a client of the tenant's.
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.0.0.actor = actor.into();
        self
    }

    /// Says where the request came from, for the audit log: a prefix of its address.
    #[must_use]
    pub fn with_origin(self, origin: impl Into<String>) -> Self {
        Self(self.0.with_origin(origin))
    }
}

impl Deref for TenantHolderScope {
    type Target = TenantScope;

    fn deref(&self) -> &TenantScope {
        &self.0
    }
}

/// The permission of a request for a tenant, by who asks. As a [`TenantReadScope`] it is
/// there for each; what needs more is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantPermission {
    /// An operator who looks in and changes nothing.
    Look(TenantReadScope),
    /// An operator who may also change things.
    Change(TenantScope),
    /// The tenant itself.
    Holder(TenantHolderScope),
}

impl TenantPermission {
    /// Takes the permission to change anything away.
    #[must_use]
    pub fn read_only(self) -> Self {
        match self {
            Self::Look(scope) => Self::Look(scope),
            Self::Change(scope) => Self::Look(scope.0),
            Self::Holder(scope) => Self::Look(scope.0.0),
        }
    }

    /// Says where the request came from, for the audit log: a prefix of its address.
    #[must_use]
    pub fn with_origin(self, origin: impl Into<String>) -> Self {
        match self {
            Self::Look(mut scope) => {
                scope.origin = origin.into();
                Self::Look(scope)
            }
            Self::Change(scope) => Self::Change(scope.with_origin(origin)),
            Self::Holder(scope) => Self::Holder(scope.with_origin(origin)),
        }
    }

    /// Returns the permission to change what the tenant has.
    ///
    /// # Errors
    /// `NotPermitted` for an operator who only looks in.
    pub fn change(&self) -> Result<&TenantScope, Failure> {
        match self {
            Self::Holder(holder) => Ok(holder),
            Self::Change(scope) => Ok(scope),
            Self::Look(_) => Err(refused(Message::LookReadOnly)),
        }
    }

    /// Returns the tenant's own permission.
    ///
    /// # Errors
    /// `NotPermitted` for an operator.
    pub fn holder(&self) -> Result<&TenantHolderScope, Failure> {
        match self {
            Self::Holder(holder) => Ok(holder),
            Self::Change(_) | Self::Look(_) => Err(refused(Message::LookHolderOnly)),
        }
    }
}

impl Deref for TenantPermission {
    type Target = TenantReadScope;

    fn deref(&self) -> &TenantReadScope {
        match self {
            Self::Look(scope) => scope,
            Self::Change(scope) => scope,
            Self::Holder(scope) => scope,
        }
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
    /// checked the session and, for an owner, that it has a second factor.
    pub(crate) fn issue(role: OperatorRole, name: impl Into<String>) -> Self {
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
    fn who_looks_in_lends_no_more_than_it_has() {
        let name = TenantName::parse("lina").unwrap();
        let holder = TenantHolderScope::issue(TenantId(1), name.clone());
        let operator = TenantScope::issue(TenantId(1), name, "operator:ada");
        let may = |p: &TenantPermission| (p.change().is_ok(), p.holder().is_ok());
        let own = TenantPermission::Holder(holder).with_origin("192.0.2.7");
        assert_eq!(may(&own), (true, true));
        assert_eq!((own.actor(), own.origin()), ("lina", "192.0.2.7"));
        let change = TenantPermission::Change(operator);
        assert_eq!(may(&change), (true, false));
        let look = change.read_only().with_origin("192.0.2.8");
        assert_eq!(may(&look), (false, false));
        assert_eq!((look.actor(), look.origin()), ("operator:ada", "192.0.2.8"));
        assert_eq!(look.change().unwrap_err().code, ErrorCode::NotPermitted);
    }

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
