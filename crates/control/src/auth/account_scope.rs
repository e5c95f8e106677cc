//! The permission to change how an account signs in: its own holder's, with the session in
//! which it asks.

use super::{
    Auth,
    api::{ApiCaller, ApiPermission},
};
use domain::{Access, Failure, OperatorScope, TenantHolderScope};
use store::{SessionKey, SessionRef};

/// Permission to act on the own account, in a session. Only `control/auth` issues one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountScope {
    caller: AccountCaller,
    session: SessionRef,
}

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountCaller {
    Tenant(TenantHolderScope),
    Operator(OperatorScope),
}

impl AccountScope {
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
        AccountScope {
            caller: AccountCaller::Tenant(scope.clone()),
            session: SessionRef::Browser(session),
        }
    }

    /// Issues the permission of an operator for its own account, in that session.
    pub fn operator_account(self, scope: &OperatorScope, session: SessionKey) -> AccountScope {
        AccountScope {
            caller: AccountCaller::Operator(scope.clone()),
            session: SessionRef::Browser(session),
        }
    }
}

impl ApiPermission {
    /// Returns the permission for the own account.
    ///
    /// # Errors
    /// `NotPermitted` for a token that may do less, for an operator who acts for a tenant, and at
    /// the command line, which has no account.
    pub fn account(&self, needed: Access) -> Result<AccountScope, Failure> {
        self.allow(needed)?;
        let credential = self.own_credential()?;
        let caller = match self.caller() {
            ApiCaller::Tenant(permission) => AccountCaller::Tenant(permission.holder()?.clone()),
            ApiCaller::Operator(permission) => {
                let scope: &OperatorScope = permission;
                AccountCaller::Operator(scope.clone())
            }
        };
        Ok(AccountScope {
            caller,
            session: SessionRef::Api(credential.to_owned()),
        })
    }
}
