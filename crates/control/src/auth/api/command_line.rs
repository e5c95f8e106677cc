//! Permissions without a token: at the command line of the server; and those of an operator who
//! acts for a tenant.

use super::permission::{ApiCaller, ApiPermission};
use crate::{
    auth::{Auth, sessions::proof},
    failures::store_failure,
};
use domain::{
    Access, ErrorCode, Failure, Message, OperatorPermission, TenantName, TenantPermission,
    TenantScope,
};
use store::TicketHolder;

impl Auth<'_> {
    /// Issues the permission of a request at the command line. There is nothing to check: the
    /// kernel has said who asks, or who asks has opened the database. `user` is the person, if
    /// it is not root; the audit log names `operator:cli`, or `operator:cli:<user>`.
    pub fn command_line_request(self, user: Option<&str>) -> ApiPermission {
        let operator = self.command_line_user(user);
        ApiPermission {
            caller: ApiCaller::Operator(OperatorPermission::Owner(operator)),
            access: Access::Write,
            holder: None,
            credential: String::new(),
            proof: String::new(),
            is_session: false,
            acting: None,
            revision: None,
            acting_operator: None,
        }
    }

    /// Returns the permission of an operator who acts for the tenant of that name, as whom the
    /// audit log names the operator. A tenant acts for itself alone.
    ///
    /// # Errors
    /// `NotFound`; `NotPermitted` for a tenant, and for an operator who may only read;
    /// `SecondFactorRequired` for an owner without one;
    /// `DatabaseUnavailable`.
    pub async fn acting_for(
        self,
        permission: ApiPermission,
        tenant: &str,
    ) -> Result<ApiPermission, Failure> {
        let operator = match &permission.caller {
            ApiCaller::Operator(operator) => operator,
            ApiCaller::Tenant(_) => {
                let message = Message::AccessOperatorOnly;
                return Err(Failure::new(ErrorCode::NotPermitted, message));
            }
            ApiCaller::FactorNeeded(_) => return Err(Failure::second_factor_required()),
        };
        let actor = operator.support()?.actor();
        let acting_operator = Some(operator.clone());
        let unknown = || {
            let name = tenant.trim().to_owned();
            Failure::new(ErrorCode::NotFound, Message::TenantUnknown { name })
        };
        let name = TenantName::parse(tenant).map_err(|_| unknown())?;
        let found = self.0.store.tenant_by_name(&name).await;
        let found = found.map_err(store_failure)?.ok_or_else(unknown)?;
        let holder = TicketHolder::Tenant(found.id);
        let scope = TenantScope::issue(found.id, found.name, actor).with_origin(operator.origin());
        Ok(ApiPermission {
            caller: ApiCaller::Tenant(TenantPermission::Change(scope)),
            acting: Some((holder, proof(&found.password_hash))),
            revision: None,
            acting_operator,
            ..permission
        })
    }
}
