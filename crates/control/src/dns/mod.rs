//! A tenant's DNS filter, which is an AdGuard Home of its own.

use crate::{failures::store_failure, inner::Inner, inputs::DnsTarget, nodes::location};
use domain::{ErrorCode, Failure, Message, Problem, TenantName, TenantScope, marks::DNS_USER};
use protocol::{DnsStream, Location};
use store::TenantState;

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
