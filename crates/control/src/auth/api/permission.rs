//! What a request of the API may do.

use super::read_token::subject;
use crate::auth::address_prefix;
use domain::{
    Access, ErrorCode, Failure, Message, OperatorAdmission, OperatorPermission, OperatorScope,
    OwnerScope, OwnerWithoutFactor, SupportScope, TenantPermission, TenantScope,
};
use std::net::IpAddr;
use store::{Revision, TicketHolder};

/// Whom a request acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiCaller {
    Tenant(TenantPermission),
    Operator(OperatorPermission),
    /// An owner who has to add a second factor first.
    FactorNeeded(OwnerWithoutFactor),
}

impl From<OperatorAdmission> for ApiCaller {
    fn from(admission: OperatorAdmission) -> Self {
        match admission {
            OperatorAdmission::Admitted(permission) => Self::Operator(permission),
            OperatorAdmission::FactorNeeded(owner) => Self::FactorNeeded(owner),
        }
    }
}

impl ApiCaller {
    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> String {
        match self {
            Self::Tenant(scope) => scope.actor().to_owned(),
            Self::Operator(scope) => scope.actor(),
            Self::FactorNeeded(owner) => owner.actor(),
        }
    }
}

/// The permission of a request of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPermission {
    pub(super) caller: ApiCaller,
    pub(super) access: Access,
    /// Whose credential it follows from; `None` at the command line, which needs none.
    pub(super) holder: Option<TicketHolder>,
    /// The credential that it follows from.
    pub(super) credential: String,
    /// The password's value.
    pub(super) proof: String,
    /// Whether that is a session, which began with a password.
    pub(super) is_session: bool,
    /// The tenant for whom an operator acts, and the value of that one's password.
    pub(super) acting: Option<(TicketHolder, String)>,
    /// The permission of the operator who acts for a tenant.
    pub(super) acting_operator: Option<OperatorPermission>,
    /// What of the tenant had been changed last when its credential was read.
    pub(super) revision: Option<Revision>,
}

fn refused(message: Message) -> Failure {
    Failure::new(ErrorCode::NotPermitted, message)
}

impl ApiPermission {
    /// Says where the request came from, for the audit log.
    #[must_use]
    pub fn with_origin(mut self, from: IpAddr) -> Self {
        let origin = address_prefix(from);
        self.caller = match self.caller {
            ApiCaller::Tenant(permission) => ApiCaller::Tenant(permission.with_origin(origin)),
            ApiCaller::Operator(permission) => ApiCaller::Operator(permission.with_origin(origin)),
            ApiCaller::FactorNeeded(owner) => ApiCaller::FactorNeeded(owner),
        };
        self
    }

    /// Returns whom the request acts for.
    pub fn caller(&self) -> &ApiCaller {
        &self.caller
    }

    /// Returns a text that is the holder's alone, even after another one has its name.
    pub fn subject(&self) -> String {
        let holder = self.holder.map(subject);
        let holder = holder.unwrap_or_else(|| "command-line".to_owned());
        match &self.acting {
            Some((tenant, _)) => format!("{holder} {}", subject(*tenant)),
            None => holder,
        }
    }

    /// Returns whose API tokens are meant, and the value of that one's password.
    ///
    /// # Errors
    /// `BadRequest` at the command line, unless it acts for a tenant; `SecondFactorRequired` for
    /// an owner without one.
    pub(super) fn token_holder(&self) -> Result<(TicketHolder, &str), Failure> {
        if let ApiCaller::FactorNeeded(_) = &self.caller {
            return Err(Failure::second_factor_required());
        }
        let acting = self.acting.as_ref();
        let acting = acting.map(|(tenant, proof)| (*tenant, proof.as_str()));
        let own = || Some((self.holder?, self.proof.as_str()));
        let none = || Failure::new(ErrorCode::BadRequest, Message::CommandLineTokens);
        acting.or_else(own).ok_or_else(none)
    }

    /// Returns whether it is a session's that acts for its own holder.
    pub(crate) fn is_session(&self) -> bool {
        self.is_session && self.is_own()
    }

    /// Returns whether an operator who is no owner acts for a tenant.
    pub(crate) fn is_supports(&self) -> bool {
        let acting = self.acting_operator.as_ref();
        acting.is_some_and(|operator| operator.owner().is_err())
    }

    /// Returns the permission of the owner who acts for a tenant.
    ///
    /// # Errors
    /// `NotPermitted` for another role, and for a tenant.
    pub(crate) fn acting_owner(&self) -> Result<&OwnerScope, Failure> {
        let acting = self.acting_operator.as_ref();
        acting
            .ok_or_else(|| refused(Message::AccessOwnOnly))?
            .owner()
    }

    /// Returns whether it acts for its own holder: no operator's for a tenant, and not the
    /// command line's.
    pub(crate) fn is_own(&self) -> bool {
        self.acting.is_none() && self.holder.is_some()
    }

    /// Returns the credential that the permission follows from.
    ///
    /// # Errors
    /// `NotPermitted` for an operator who acts for a tenant, and at the command line.
    pub(in crate::auth) fn own_credential(&self) -> Result<&str, Failure> {
        match (&self.acting, self.holder) {
            (None, Some(_)) => Ok(&self.credential),
            _ => Err(refused(Message::AccessOwnOnly)),
        }
    }

    /// Returns what of the tenant had been changed last when the request began.
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// Returns what the token may do.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Checks that the token may do that much.
    ///
    /// # Errors
    /// `NotPermitted`.
    pub fn allow(&self, needed: Access) -> Result<(), Failure> {
        match self.access >= needed {
            true => Ok(()),
            false => Err(refused(Message::AccessReadOnly)),
        }
    }

    /// Returns the tenant's permission.
    ///
    /// # Errors
    /// `NotPermitted` for an operator, and for a token that may do less.
    pub fn tenant(&self, needed: Access) -> Result<&TenantScope, Failure> {
        let permission = match &self.caller {
            ApiCaller::Tenant(permission) => permission,
            ApiCaller::Operator(_) => return Err(refused(Message::AccessTenantOnly)),
            ApiCaller::FactorNeeded(_) => return Err(Failure::second_factor_required()),
        };
        self.allow(needed)?;
        permission.change()
    }

    /// Returns the operator's permission to read.
    ///
    /// # Errors
    /// `NotPermitted` for a tenant, and for a token that may do less.
    pub fn operator(&self, needed: Access) -> Result<&OperatorScope, Failure> {
        Ok(self.operator_permission(needed)?)
    }

    /// Returns the operator's permission to act on tenants.
    ///
    /// # Errors
    /// `NotPermitted` for a tenant, for a role or a token that may only read.
    pub fn support(&self) -> Result<&SupportScope, Failure> {
        self.operator_permission(Access::Write)?.support()
    }

    /// Returns the operator's permission to administer the installation.
    ///
    /// # Errors
    /// `NotPermitted` for a tenant, for another role than the owner's, and for a token that
    /// may only read.
    pub fn owner(&self) -> Result<&OwnerScope, Failure> {
        self.operator_permission(Access::Write)?.owner()
    }

    fn operator_permission(&self, needed: Access) -> Result<&OperatorPermission, Failure> {
        let permission = match &self.caller {
            ApiCaller::Operator(permission) => permission,
            ApiCaller::Tenant(_) => return Err(refused(Message::AccessOperatorOnly)),
            ApiCaller::FactorNeeded(_) => return Err(Failure::second_factor_required()),
        };
        self.allow(needed).map(|()| permission)
    }
}
