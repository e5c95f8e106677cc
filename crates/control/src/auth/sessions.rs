//! What a session stores, and what the audit log says of sessions. The server
//! stores the sessions themselves.

use super::{Auth, client::SignInClient, limiter::address_prefix};
use crate::{failures::store_failure, inputs::Audience};
use domain::{ErrorCode, Failure, Field, Message, Secret, TenantId};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use store::{
    AuditEntry, OperatorRecord, RedeemedTicket, SessionDetails, TenantRecord, TicketHolder,
};

/// Returns a value that changes with a password: 64 bits of a hash of its salted
/// hash. It reveals neither.
pub(crate) fn proof(password_hash: &Secret) -> String {
    let digest = Sha256::digest(password_hash.expose());
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// What a wrong password or code is answered with, and how the audit log calls it.
pub(crate) struct Refusal<'a> {
    /// The account as the audit log names it.
    pub account: &'a str,
    action: &'static str,
    detail: &'static str,
    pub failure: Failure,
}

impl<'a> Refusal<'a> {
    /// A sign-in with a wrong password.
    pub fn password(account: &'a str) -> Self {
        Self {
            account,
            action: "session.refused",
            detail: "wrong password",
            failure: refused(),
        }
    }

    /// A wrong code of a second factor, or a wrong recovery code.
    pub fn code(account: &'a str) -> Self {
        Self {
            account,
            action: "session.refused",
            detail: "wrong code",
            failure: code_wrong(),
        }
    }

    /// A passkey's answer that is not right.
    pub fn passkey(account: &'a str) -> Self {
        Self {
            account,
            action: "session.refused",
            detail: "passkey refused",
            failure: super::webauthn::invalid(Message::PasskeyInvalid),
        }
    }
}

/// Returns the failure of an unknown name and of a wrong password.
pub(super) fn refused() -> Failure {
    Failure::at(
        Field::Password,
        ErrorCode::SignInRefused,
        Message::SignInRefused,
    )
}

/// Returns the failure of a wrong code.
pub(crate) fn code_wrong() -> Failure {
    Failure::at(Field::Code, ErrorCode::CodeInvalid, Message::CodeWrong)
}

impl Auth<'_> {
    /// Returns the audit entry of a session that begins.
    pub(super) fn session_entry(
        self,
        actor: &str,
        from: IpAddr,
        tenant: Option<TenantId>,
    ) -> AuditEntry {
        AuditEntry {
            at: self.0.clock.now(),
            actor: actor.to_owned(),
            action: "session.begin".to_owned(),
            object: actor.to_owned(),
            origin: address_prefix(from),
            tenant,
            ..AuditEntry::default()
        }
    }

    /// Returns what a session of the tenant stores that begins with a ticket.
    pub(super) fn tenant_details(
        self,
        tenant: &TenantRecord,
        audience: Audience,
        ticket: &RedeemedTicket,
        client: &SignInClient,
    ) -> SessionDetails {
        SessionDetails {
            holder: TicketHolder::Tenant(tenant.id),
            name: tenant.name.to_string(),
            audience: audience.as_str().to_owned(),
            parent: ticket.parent.clone(),
            proof: ticket.proof.clone(),
            stays: ticket.stays,
            client: client.description(),
            begun: self.0.clock.now(),
        }
    }

    /// Returns what a session of the operator stores.
    pub(super) fn operator_details(
        self,
        operator: &OperatorRecord,
        client: &SignInClient,
    ) -> SessionDetails {
        SessionDetails {
            holder: TicketHolder::Operator(operator.id),
            name: operator.name.clone(),
            audience: Audience::Operator.as_str().to_owned(),
            parent: None,
            proof: proof(&operator.password_hash),
            stays: false,
            client: client.description(),
            begun: self.0.clock.now(),
        }
    }

    /// Writes a refusal to the audit log, of an account that exists: their number an hour is
    /// limited. What is tried at made-up names is logged as lock-outs only.
    pub(super) async fn log_refusal(
        self,
        refusal: &Refusal<'_>,
        holder: Option<TicketHolder>,
        client: &SignInClient,
    ) {
        let tenant = match holder {
            Some(TicketHolder::Tenant(id)) => Some(id),
            Some(TicketHolder::Operator(_)) => None,
            None => return,
        };
        let entry = AuditEntry {
            at: self.0.clock.now(),
            actor: "visitor".to_owned(),
            action: refusal.action.to_owned(),
            object: refusal.account.to_owned(),
            detail: refusal.detail.to_owned(),
            origin: address_prefix(client.address),
            tenant,
            ..AuditEntry::default()
        };
        if let Err(e) = self.0.store.audit(entry).await.map_err(store_failure) {
            tracing::warn!(error = %e, "a refused sign-in could not be written to the audit log");
        }
    }

    /// Writes a lock-out to the audit log, once in ten minutes for an account
    /// or address, so that a client that tries for hours does not fill the log.
    pub(super) async fn log_lock_out(self, account: &str, locked: Vec<String>, from: IpAddr) {
        let now = self.0.clock.now();
        if locked.is_empty() {
            return;
        }
        // Without an answer of the database nothing is written either.
        if self
            .0
            .limits
            .logged_lock_outs
            .begin(locked, now)
            .await
            .is_err()
        {
            return;
        }
        let entry = AuditEntry {
            at: now,
            actor: "visitor".to_owned(),
            action: "session.limited".to_owned(),
            object: account.to_owned(),
            detail: "too many wrong passwords or codes".to_owned(),
            origin: address_prefix(from),
            ..AuditEntry::default()
        };
        if let Err(e) = self.0.store.audit(entry).await {
            tracing::warn!(error = ?e, "a lock-out could not be written to the audit log");
        }
    }
}
