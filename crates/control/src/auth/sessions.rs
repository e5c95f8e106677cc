//! What a session stores of an operator's password, and what the audit log says
//! of sessions. The server stores the sessions themselves.

use super::{Auth, limiter::address_key};
use domain::{Secret, TenantId};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use store::AuditEntry;

/// Returns a value that changes with an operator's password: 64 bits of a hash
/// of its salted hash. It reveals neither.
pub(super) fn proof(password_hash: &Secret) -> String {
    let digest = Sha256::digest(password_hash.expose());
    digest[..8].iter().map(|b| format!("{b:02x}")).collect()
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
            detail: address_key(from),
            tenant,
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
            action: "session.refused".to_owned(),
            object: account.to_owned(),
            detail: format!("too many wrong passwords, {}", address_key(from)),
            tenant: None,
        };
        if let Err(e) = self.0.store.audit(entry).await {
            tracing::warn!(error = ?e, "a lock-out could not be written to the audit log");
        }
    }
}
