//! How the own account is protected: password, second factors, recovery codes, sessions, and the
//! proof of presence that changes of these need. Tenants and operators have the same.

mod deletion;
mod passkeys;
mod password;
mod presence;
mod recovery;
mod reset;
mod sessions;
mod totp;

pub use passkeys::{MAX_PASSKEY_NAME, MAX_PASSKEYS};
pub use reset::{ResetLink, ResetTarget};

use crate::{
    auth::{AccountCaller, AccountScope, Auth, FactorScope, Presence, SignInClient, logged},
    failures::store_failure,
    inner::Inner,
};
use domain::{
    Failure, Timestamp,
    view::{ActivityRow, PasskeyRow, SecurityView},
};
use std::net::IpAddr;
use store::{AccountRecord, AuditEntry, FactorKind, FactorRecord, TicketHolder};

/// The lines of an account's activity.
const ACTIVITY_LINES: u32 = 50;

/// The handle on the own account.
#[derive(Clone, Copy)]
pub struct Account<'a>(pub(crate) &'a Inner);

impl<'a> Account<'a> {
    fn auth(self) -> Auth<'a> {
        Auth(self.0)
    }

    fn now(self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the account of a permission.
    ///
    /// # Errors
    /// `SignedOut` once it is deleted.
    pub(crate) async fn record(self, scope: &FactorScope) -> Result<AccountRecord, Failure> {
        let store = &self.0.store;
        let found = match scope.caller() {
            AccountCaller::Tenant(tenant) => {
                store.account(TicketHolder::Tenant(tenant.tenant())).await
            }
            AccountCaller::Operator(operator) => {
                let found = store.operator_by_name(operator).await;
                found.map(|o| {
                    o.map(|o| AccountRecord {
                        holder: TicketHolder::Operator(o.id),
                        name: o.name,
                        password_hash: o.password_hash,
                    })
                })
            }
        };
        found
            .map_err(store_failure)?
            .ok_or_else(Failure::signed_out)
    }

    /// Returns the audit entry of an act of the account's holder.
    pub(crate) fn entry(
        self,
        account: &AccountRecord,
        action: &str,
        from: Option<IpAddr>,
    ) -> AuditEntry {
        let client = from.map(SignInClient::from);
        match client {
            Some(client) => self.auth().account_entry(account, action, &client),
            None => {
                let tenant = match account.holder {
                    TicketHolder::Tenant(id) => Some(id),
                    TicketHolder::Operator(_) => None,
                };
                AuditEntry {
                    at: self.now(),
                    actor: logged(account),
                    action: action.to_owned(),
                    object: logged(account),
                    tenant,
                    ..AuditEntry::default()
                }
            }
        }
    }

    /// Counts a change of a tenant's account.
    pub(crate) fn count_change(self, account: &AccountRecord) -> Result<(), Failure> {
        match account.holder {
            TicketHolder::Tenant(id) => self.0.limits.count_change(id, self.now()),
            TicketHolder::Operator(_) => Ok(()),
        }
    }

    /// Returns how the account is protected.
    ///
    /// # Errors
    /// `SignedOut`, `DatabaseUnavailable`.
    pub async fn security(self, scope: &FactorScope) -> Result<SecurityView, Failure> {
        let account = self.record(scope).await?;
        let store = &self.0.store;
        let read = tokio::try_join!(
            store.factors(account.holder),
            store.recovery_codes(account.holder),
            store.present_at(account.holder, scope.session())
        );
        let (factors, (left, made), present_at) = read.map_err(store_failure)?;
        let totp = factors.iter().find(|f| f.kind == FactorKind::Totp);
        let until = present_at.map(Presence::until);
        Ok(SecurityView {
            totp_since: totp.and_then(|f| f.confirmed_at),
            recovery_codes_left: left,
            recovery_codes_made: made,
            present_until: until.filter(|until| *until > self.now()),
            passkeys: passkey_rows(&factors),
            name: account.name,
        })
    }

    /// Returns what the audit log says of the account, newest first.
    ///
    /// # Errors
    /// `SignedOut`, `DatabaseUnavailable`.
    pub async fn activity(self, scope: &AccountScope) -> Result<Vec<ActivityRow>, Failure> {
        let account = self.record(scope).await?;
        let (store, name) = (&self.0.store, logged(&account));
        let read = store.activity(account.holder, &name, ACTIVITY_LINES);
        read.await.map_err(store_failure)
    }
}

/// Returns the passkeys among factors.
fn passkey_rows(factors: &[FactorRecord]) -> Vec<PasskeyRow> {
    let passkeys = factors.iter().filter(|f| f.kind == FactorKind::Passkey);
    let rows = passkeys.map(|f| PasskeyRow {
        id: f.id.clone(),
        name: f.name.clone(),
        added: f.created_at,
        used: f.used_at,
    });
    rows.collect()
}
