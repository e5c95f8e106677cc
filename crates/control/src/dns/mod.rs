//! A tenant's DNS filter, which is an AdGuard Home of its own.

use crate::{failures::store_failure, inner::Inner, inputs::DnsTarget, nodes::location};
use domain::{ErrorCode, Failure, Message, Problem, TenantName, TenantScope, marks::DNS_USER};
use protocol::{DnsStream, Location};
use store::{AuditEntry, TenantState};

/// The most of a request's path that is recorded, in bytes.
const MAX_PATH_BYTES: usize = 80;

/// The handle on the tenants' DNS filters.
#[derive(Clone, Copy)]
pub struct Dns<'a>(pub(crate) &'a Inner);

impl Dns<'_> {
    /// Returns where the proxy reaches the tenant's AdGuard Home.
    ///
    /// # Errors
    /// `DnsUnavailable` while it does not answer, with the code of its problem.
    pub async fn target(self, scope: &TenantScope) -> Result<DnsTarget, Failure> {
        let tenant = self.0.store.tenant(scope).await.map_err(store_failure)?;
        let status = self.0.status(&tenant);
        let is_active = tenant.state == TenantState::Active;
        match status.dns.is_ready() && is_active {
            true => {
                let password = self.0.store.dns_password(scope).await;
                Ok(DnsTarget {
                    at: location(&tenant),
                    name: tenant.name,
                    user: DNS_USER.to_owned(),
                    password: password.map_err(store_failure)?,
                })
            }
            false => {
                let message =
                    status
                        .dns
                        .problem()
                        .map_or(Message::DnsStarting, |p| Message::DnsNotReady {
                            problem: p.code,
                        });
                Err(Failure::new(ErrorCode::DnsUnavailable, message))
            }
        }
    }

    /// Counts a change inside the tenant's AdGuard Home as a change of the tenant.
    ///
    /// # Errors
    /// `TooManyTries`.
    pub fn count_change(self, scope: &TenantScope) -> Result<(), Failure> {
        let now = self.0.clock.now();
        self.0.limits.count_change(scope.tenant(), now)
    }

    /// Records that a setting inside the tenant's AdGuard Home was changed: by which request,
    /// and not to what, because its body may hold secrets. A database that is away loses the
    /// entry, because the change is made.
    pub async fn record_change(self, scope: &TenantScope, method: &str, path: &str) {
        let path = path.strip_prefix("/control/").unwrap_or(path);
        let path = &path[..path.floor_char_boundary(MAX_PATH_BYTES)];
        let entry = AuditEntry {
            at: self.0.clock.now(),
            actor: scope.actor().to_owned(),
            action: "dns.change".to_owned(),
            object: scope.name().to_string(),
            detail: format!("{method} {path}"),
            tenant: Some(scope.tenant()),
            origin: scope.origin().to_owned(),
            ..AuditEntry::default()
        };
        if let Err(error) = self.0.store.audit(entry).await {
            tracing::warn!(?error, tenant = %scope.name(), "a change inside AdGuard Home could not be recorded");
        }
    }

    /// Connects to the AdGuard Home of the tenant that is there under this name.
    /// Whether the caller may reach it was decided with its
    /// [`target`](Self::target).
    ///
    /// # Errors
    /// `DnsUnavailable`, as [`Nodes::dns_connect`](protocol::Nodes::dns_connect).
    pub async fn connect(self, at: Location, name: &TenantName) -> Result<DnsStream, Problem> {
        self.0.nodes.dns_connect(at, name).await
    }
}
