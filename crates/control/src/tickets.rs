//! Tickets: they carry a person from one host of the installation to another.

use crate::{
    Control,
    failures::store_failure,
    requests::{Arrival, Audience, Redeemed},
};
use domain::{ErrorCode, Failure, Secret, TenantId, TenantName, TenantScope};
use store::{AuditEntry, NewTicket, SessionKey, TenantRecord, TicketHolder, TokenHash};

/// How long a ticket is good for.
const TICKET_MILLIS: i64 = 60_000;

impl Control {
    /// A ticket for the tenant's dashboard, and the line that says so, if any.
    pub(crate) async fn arrival(
        &self,
        tenant: &TenantRecord,
        entry: Option<AuditEntry>,
    ) -> Result<Arrival, Failure> {
        let ticket = self
            .ticket(tenant.id, Audience::Dashboard, None, entry)
            .await?;
        Ok(Arrival {
            name: tenant.name.clone(),
            ticket,
        })
    }

    async fn ticket(
        &self,
        tenant: TenantId,
        audience: Audience,
        parent: Option<&SessionKey>,
        entry: Option<AuditEntry>,
    ) -> Result<Secret, Failure> {
        let ticket = self.0.entropy.token()?;
        let now = self.0.clock.now();
        let new = NewTicket {
            token: &TokenHash::of(&ticket),
            holder: TicketHolder::Tenant(tenant),
            audience: audience.as_str(),
            parent,
            now,
            expires: now.plus_millis(TICKET_MILLIS),
            entry,
        };
        let made = self.0.store.create_ticket(new);
        made.await.map_err(store_failure)?;
        Ok(ticket)
    }

    /// A ticket for the tenant's AdGuard Home host. What is made of it ends
    /// with the dashboard's session it was asked with.
    ///
    /// # Errors
    /// `NotFound`, `TooManyTries`, `DatabaseUnavailable`.
    pub async fn dns_ticket(
        &self,
        scope: &TenantScope,
        session: &SessionKey,
    ) -> Result<Secret, Failure> {
        self.count_change(scope)?;
        self.ticket(scope.tenant(), Audience::Dns, Some(session), None)
            .await
    }

    /// Uses a ticket up, on the host of the tenant it must belong to.
    ///
    /// # Errors
    /// `TicketInvalid` for one that was used, has expired, never was, or
    /// belongs to another tenant or host.
    pub async fn redeem_tenant(
        &self,
        audience: Audience,
        host: &TenantName,
        ticket: &str,
    ) -> Result<Redeemed, Failure> {
        let invalid = || {
            Failure::new(
                ErrorCode::TicketInvalid,
                "This link was used already or is too old. Sign in to go on.",
            )
        };
        if ticket.len() > 64 {
            return Err(invalid());
        }
        let hash = TokenHash::of(&Secret::new(ticket));
        let redeemed = self
            .0
            .store
            .redeem_ticket(&hash, audience.as_str(), self.0.clock.now());
        let taken = redeemed.await.map_err(store_failure)?.ok_or_else(invalid)?;
        let TicketHolder::Tenant(id) = taken.holder else {
            return Err(invalid());
        };
        match self.tenant_exists(id, host).await? {
            true => Ok(Redeemed {
                scope: TenantScope::issue(id, host.clone(), host.as_str()),
                parent: taken.parent,
            }),
            false => Err(invalid()),
        }
    }
}
