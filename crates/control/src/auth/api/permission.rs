//! What a request of the API may do.

use super::access_token::subject;
use domain::{Access, ErrorCode, Failure, Message, OperatorScope, TenantScope};
use store::TicketHolder;

/// Whom a request acts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiCaller {
    Tenant(TenantScope),
    Operator(OperatorScope),
}

impl ApiCaller {
    /// Returns the actor as the audit log records it.
    pub fn actor(&self) -> String {
        match self {
            Self::Tenant(scope) => scope.actor().to_owned(),
            Self::Operator(scope) => scope.actor(),
        }
    }
}

/// The permission of a request of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiPermission {
    pub(super) caller: ApiCaller,
    pub(super) access: Access,
    pub(super) holder: TicketHolder,
    /// The credential that it follows from.
    pub(super) credential: String,
    /// The password's value.
    pub(super) proof: String,
}

fn refused(message: Message) -> Failure {
    Failure::new(ErrorCode::NotPermitted, message)
}

impl ApiPermission {
    /// Returns whom the request acts for.
    pub fn caller(&self) -> &ApiCaller {
        &self.caller
    }

    /// Returns a text that is the holder's alone, even after another one has its name.
    pub fn subject(&self) -> String {
        subject(self.holder)
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
        let ApiCaller::Tenant(scope) = &self.caller else {
            return Err(refused(Message::AccessTenantOnly));
        };
        self.allow(needed).map(|()| scope)
    }

    /// Returns the operator's permission.
    ///
    /// # Errors
    /// `NotPermitted` for a tenant, and for a token that may do less.
    pub fn operator(&self, needed: Access) -> Result<&OperatorScope, Failure> {
        let ApiCaller::Operator(scope) = &self.caller else {
            return Err(refused(Message::AccessOperatorOnly));
        };
        self.allow(needed).map(|()| scope)
    }
}
