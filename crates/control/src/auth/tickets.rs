//! One-time tickets, which carry a sign-in from one host of the installation to
//! another.

use super::{
    Auth, client::SignInClient, scopes::own_scope, sessions::proof, ticket_binding::PresentedTicket,
};
use crate::{
    failures::store_failure,
    inputs::{Audience, RedeemedTicket, SignInTicket},
};
use domain::{ErrorCode, Failure, Message, Secret, TenantHolderScope, TenantId, TenantName};
use store::{AuditEntry, NewTicket, SessionKey, TenantRecord, TicketHolder, TokenHash};

/// How long a ticket is valid.
const TICKET_LIFETIME_MILLIS: i64 = 60_000;

/// A ticket to issue.
struct TicketToIssue<'a> {
    tenant: TenantId,
    /// The value of the tenant's password.
    proof: String,
    audience: Audience,
    /// The session that the new one ends with.
    parent: Option<&'a SessionKey>,
    stays: bool,
    entry: Option<AuditEntry>,
}

impl Auth<'_> {
    /// Issues a ticket for the tenant's dashboard, with the audit entry of the
    /// session, if there is one. The session lasts a day.
    pub(crate) async fn sign_in_ticket(
        self,
        tenant: &TenantRecord,
        entry: Option<AuditEntry>,
    ) -> Result<SignInTicket, Failure> {
        let browser = self.0.entropy.token()?;
        self.ticket_of(tenant, false, browser, entry).await
    }

    /// Issues a ticket for the tenant's dashboard, to the browser with that cookie.
    pub(super) async fn ticket_of(
        self,
        tenant: &TenantRecord,
        stays: bool,
        browser: Secret,
        entry: Option<AuditEntry>,
    ) -> Result<SignInTicket, Failure> {
        let new = TicketToIssue {
            tenant: tenant.id,
            proof: proof(&tenant.password_hash),
            audience: Audience::Dashboard,
            parent: None,
            stays,
            entry,
        };
        Ok(SignInTicket {
            name: tenant.name.clone(),
            ticket: self.issue_ticket(new).await?,
            browser,
        })
    }

    async fn issue_ticket(self, issue: TicketToIssue<'_>) -> Result<Secret, Failure> {
        let ticket = self.0.entropy.token()?;
        let now = self.0.clock.now();
        let new = NewTicket {
            token: &TokenHash::of(&ticket),
            holder: TicketHolder::Tenant(issue.tenant),
            audience: issue.audience.as_str(),
            parent: issue.parent,
            proof: &issue.proof,
            stays: issue.stays,
            now,
            expires: now.plus_millis(TICKET_LIFETIME_MILLIS),
            entry: issue.entry,
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
        scope: &TenantHolderScope,
        session: &SessionKey,
    ) -> Result<Secret, Failure> {
        let now = self.0.clock.now();
        self.0.limits.count_change(scope.tenant(), now)?;
        let tenant = self.0.store.tenant(scope).await.map_err(store_failure)?;
        self.issue_ticket(TicketToIssue {
            tenant: tenant.id,
            proof: proof(&tenant.password_hash),
            audience: Audience::Dns,
            parent: Some(session),
            stays: false,
            entry: None,
        })
        .await
    }

    /// Uses up a ticket on the host of the tenant that it must belong to.
    ///
    /// # Errors
    /// `TicketInvalid` for one that was used, has expired, never existed, or
    /// belongs to another tenant, host or browser.
    pub async fn redeem(
        self,
        audience: Audience,
        host: &TenantName,
        ticket: PresentedTicket<'_>,
        client: impl Into<SignInClient>,
    ) -> Result<RedeemedTicket, Failure> {
        let client = client.into().checked();
        let invalid = || Failure::new(ErrorCode::TicketInvalid, Message::TicketInvalid);
        let hash = ticket.stored_hash().ok_or_else(invalid)?;
        let redeemed = self
            .0
            .store
            .redeem_ticket(&hash, audience.as_str(), self.0.clock.now());
        let taken = redeemed.await.map_err(store_failure)?.ok_or_else(invalid)?;
        let TicketHolder::Tenant(id) = taken.holder else {
            return Err(invalid());
        };
        let tenant = self.own_tenant(id, host, &taken.proof).await?;
        let tenant = tenant.ok_or_else(invalid)?;
        let browser = match audience {
            Audience::Dashboard => self.remember(taken.holder, &client).await?,
            // That host has no sign-in.
            Audience::Dns | Audience::Operator | Audience::LookIn => {
                self.browser_cookie(&client)?
            }
        };
        Ok(RedeemedTicket {
            session: self.tenant_details(&tenant, audience, &taken, &client),
            scope: own_scope(tenant),
            browser,
        })
    }
}
