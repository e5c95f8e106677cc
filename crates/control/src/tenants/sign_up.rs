//! Sign-up: a new account with its slot and keys.

use super::Tenants;
use crate::{
    auth::{Auth, address_key, check_length},
    failures::store_failure,
    inputs::{SignInTicket, SignUp},
    nodes::{NodesHandle, by_share},
};
use domain::{ErrorCode, Failure, Field, Message, TenantName};
use std::net::IpAddr;
use store::{NewTenant, Placement, StoreError, TenantRecord};

/// Returns whether a failed sign-up is not counted: the cause was not the
/// client's, or another client took the name first. Everything else counts,
/// because a client could repeat it to keep the server busy.
fn is_free_of_charge(f: &Failure) -> bool {
    matches!(
        f.code,
        ErrorCode::NameTaken
            | ErrorCode::Busy
            | ErrorCode::DatabaseUnavailable
            | ErrorCode::DiskUnavailable
            | ErrorCode::Internal
    )
}

impl Tenants<'_> {
    /// Creates a tenant: account, slot and keys in one transaction. The node is
    /// nudged to set up the rest, and not waited for.
    ///
    /// # Errors
    /// What is wrong with the form, at its field; `NodeFull` with nothing
    /// created; `TooManyTries`. If the tenant was created and only the ticket
    /// failed, the message says so.
    pub async fn sign_up(self, form: SignUp, from: IpAddr) -> Result<SignInTicket, Failure> {
        let inner = self.0;
        let name = self.check_name(&form.name).await?;
        check_length(&form.password)?;
        let plan = inner.store.plan(&form.plan).await.map_err(store_failure)?;
        if !plan.is_some_and(|p| p.visible) {
            return Err(Failure::at(
                Field::Plan,
                ErrorCode::PlanUnknown,
                Message::PlanNotChosen,
            ));
        }
        // Counted before anything that takes processor time.
        let sign_ups = &inner.limits.sign_ups;
        let keys = vec![address_key(from)];
        let attempt = sign_ups.begin(keys, inner.clock.now()).await?;
        let tenant = match self.create_tenant(&form, name).await {
            Ok(tenant) => tenant,
            Err(f) => {
                if is_free_of_charge(&f) {
                    sign_ups.refund(attempt).await;
                }
                return Err(f);
            }
        };
        inner.nodes.nudge(tenant.node);
        // Committed: whatever fails from here on, the account exists.
        Auth(inner)
            .sign_in_ticket(&tenant, None)
            .await
            .map_err(|f| match f.code {
                // It was deleted again meanwhile.
                ErrorCode::NotFound => f,
                code => {
                    let name = tenant.name.to_string();
                    Failure::new(code, Message::CreatedWithoutTicket { name })
                }
            })
    }

    async fn create_tenant(self, form: &SignUp, name: TenantName) -> Result<TenantRecord, Failure> {
        let inner = self.0;
        if NodesHandle(inner).is_full().await? {
            return Err(store_failure(StoreError::NodeFull));
        }
        inner
            .hasher
            .check_strength(&form.password, name.as_str())
            .await?;
        let password_hash = inner.hasher.hash(&form.password).await?;
        let dns_password = inner.entropy.token()?;
        let dns_password_hash = inner.hasher.dns_hash(&dns_password).await?;
        let new = NewTenant {
            name,
            password_hash,
            plan: form.plan.clone(),
            private_key: inner.entropy.private_key()?,
            dns_password,
            dns_password_hash,
            time_zone: inner.settings.time_zone.clone(),
            now: inner.clock.now(),
        };
        let created = self.place(new).await.map_err(store_failure)?;
        // What it uses is compared with its plan from the first reading on.
        inner.quotas.forget(created.node);
        Ok(created)
    }

    /// Creates a tenant on the emptiest node that takes it. A node may have become full
    /// or closed meanwhile; the next one is tried then.
    async fn place(self, new: NewTenant) -> Result<TenantRecord, StoreError> {
        let inner = self.0;
        for known in by_share(inner.known_nodes().await?) {
            let node = known.record.id;
            let placement = Placement {
                node,
                excluded: &inner.unusable_slots(node),
                max_tenants: known.capacity.max_tenants(),
            };
            let addresses = &inner.settings.addresses;
            let created = inner.store.create_tenant(new.clone(), addresses, placement);
            match created.await {
                Err(StoreError::NodeFull) => {}
                created => return created.map(|c| c.value),
            }
        }
        Err(StoreError::NodeFull)
    }
}
