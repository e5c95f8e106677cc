//! One-time tickets, which carry a sign-in from one host of the installation to
//! another.

use super::Auth;
use crate::{
    failures::store_failure,
    inputs::{Audience, RedeemedTicket, SignInTicket},
};
use domain::{ErrorCode, Failure, Message, Secret, TenantId, TenantName, TenantScope};
use store::{AuditEntry, NewTicket, SessionKey, TenantRecord, TicketHolder, TokenHash};

/// How long a ticket is valid.
const TICKET_LIFETIME_MILLIS: i64 = 60_000;
/// Longest ticket that is looked up, in bytes.
const MAX_TICKET_BYTES: usize = 64;

impl Auth<'_> {
    /// Issues a ticket for the tenant's dashboard, with the audit entry of the
    /// session, if there is one.
    pub(crate) async fn sign_in_ticket(
        self,
        tenant: &TenantRecord,
        entry: Option<AuditEntry>,
    ) -> Result<SignInTicket, Failure> {
        let ticket = self
            .issue_ticket(tenant.id, Audience::Dashboard, None, entry)
            .await?;
        Ok(SignInTicket {
            name: tenant.name.clone(),
            ticket,
        })
    }

    async fn issue_ticket(
        self,
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
            expires: now.plus_millis(TICKET_LIFETIME_MILLIS),
            entry,
        };
        let created = self.0.store.create_ticket(new);
        created.await.map_err(store_failure)?;
        Ok(ticket)
    }

    /// Issues a ticket for the tenant's AdGuard Home host. A session that begins
    /// with it ends with the dashboard session it was requested with.
    ///
    /// # Errors
    /// `NotFound`, `TooManyTries`, `DatabaseUnavailable`.
    pub async fn dns_ticket(
        self,
        scope: &TenantScope,
        session: &SessionKey,
    ) -> Result<Secret, Failure> {
        let now = self.0.clock.now();
        self.0.limits.count_change(scope.tenant(), now)?;
        self.issue_ticket(scope.tenant(), Audience::Dns, Some(session), None)
            .await
    }

    /// Uses up a ticket on the host of the tenant that it must belong to.
    ///
    /// # Errors
    /// `TicketInvalid` for one that was used, has expired, never existed, or
    /// belongs to another tenant or host.
    pub async fn redeem(
        self,
        audience: Audience,
        host: &TenantName,
        ticket: &str,
    ) -> Result<RedeemedTicket, Failure> {
        let invalid = || Failure::new(ErrorCode::TicketInvalid, Message::TicketInvalid);
        if ticket.len() > MAX_TICKET_BYTES {
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
        let scope = self.own_scope(id, host).await?.ok_or_else(invalid)?;
        Ok(RedeemedTicket {
            scope,
            parent: taken.parent,
        })
    }
}
