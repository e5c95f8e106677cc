//! The permission to change how an account signs in: its own holder's, with the session in
//! which it asks. An owner who has no second factor yet has the part of it that adds one.

use super::{
    Auth,
    api::{ApiCaller, ApiPermission},
};
use domain::{Access, Failure, OperatorScope, OwnerWithoutFactor, TenantHolderScope};
use std::ops::Deref;
use store::{SessionKey, SessionRef};

/// Permission to add a second factor to the own account, in a session, and to prove that its
/// holder is present. Only `control/auth` issues one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorScope {
    caller: AccountCaller,
    session: SessionRef,
}

/// Permission to act on the own account, in a session. Only `control/auth` issues one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountScope(FactorScope);

impl Deref for AccountScope {
    type Target = FactorScope;

    fn deref(&self) -> &FactorScope {
        &self.0
    }
}

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountCaller {
    Tenant(TenantHolderScope),
    /// The operator of that name.
    Operator(String),
}

impl FactorScope {
    fn new(caller: AccountCaller, session: SessionRef) -> Self {
        Self { caller, session }
    }

    pub(crate) fn caller(&self) -> &AccountCaller {
        &self.caller
    }

    /// Returns the session in which the holder asks.
    pub(crate) fn session(&self) -> &SessionRef {
        &self.session
    }
}

impl Auth<'_> {
    /// Issues the permission of a tenant for its own account, in that dashboard's session. An
    /// operator who acts for the tenant has no scope that this takes.
    pub fn tenant_account(self, scope: &TenantHolderScope, session: SessionKey) -> AccountScope {
        let caller = AccountCaller::Tenant(scope.clone());
        AccountScope(FactorScope::new(caller, SessionRef::Browser(session)))
    }

    /// Issues the permission of an operator for its own account, in that session.
    pub fn operator_account(self, scope: &OperatorScope, session: SessionKey) -> AccountScope {
        let caller = AccountCaller::Operator(scope.name().to_owned());
        AccountScope(FactorScope::new(caller, SessionRef::Browser(session)))
    }

    /// Issues the permission of an owner to add the second factor that it needs, in that session.
    pub fn owner_enrolment(self, owner: &OwnerWithoutFactor, session: SessionKey) -> FactorScope {
        let caller = AccountCaller::Operator(owner.name().to_owned());
        FactorScope::new(caller, SessionRef::Browser(session))
    }
}

impl ApiPermission {
    /// Returns the permission for the own account.
    ///
    /// # Errors
    /// `NotPermitted` for a token that may do less, for an operator who acts for a tenant, and at
    /// the command line, which has no account; `SecondFactorRequired` for an owner without one.
    pub fn account(&self, needed: Access) -> Result<AccountScope, Failure> {
        if let ApiCaller::FactorNeeded(_) = self.caller() {
            return Err(Failure::second_factor_required());
        }
        self.enrolment(needed).map(AccountScope)
    }

    /// Returns the permission to add a second factor to the own account.
    ///
    /// # Errors
    /// `NotPermitted` for a token that may do less, for an operator who acts for a tenant, and at
    /// the command line, which has no account.
    pub fn enrolment(&self, needed: Access) -> Result<FactorScope, Failure> {
        self.allow(needed)?;
        let credential = self.own_credential()?;
        let caller = match self.caller() {
            ApiCaller::Tenant(permission) => AccountCaller::Tenant(permission.holder()?.clone()),
            ApiCaller::Operator(permission) => {
                AccountCaller::Operator(permission.name().to_owned())
            }
            ApiCaller::FactorNeeded(owner) => AccountCaller::Operator(owner.name().to_owned()),
        };
        let session = SessionRef::Api(credential.to_owned());
        Ok(FactorScope::new(caller, session))
    }
}
