//! The name server of the operator's, and what the endpoints are called there.

use async_trait::async_trait;
use domain::{Message, TenantName};
use std::sync::Arc;

/// A name and the host that it stands for, an address or a name; `None` removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRecord {
    pub name: String,
    pub host: Option<String>,
}

/// The operator's name server.
#[async_trait]
pub trait NameServer: Send + Sync {
    /// Returns what the operator calls it, e.g. `ns1.example.org:53`.
    fn address(&self) -> &str;

    /// Sets records, all or none; without any it only tells whether the server accepts
    /// changes. At most [`RECORDS_AT_ONCE`].
    ///
    /// # Errors
    /// Why it does not. It may have done it all the same.
    async fn set(&self, records: &[EndpointRecord]) -> Result<(), Message>;

    /// Returns which of these records the server does not have so, and what it has. At most
    /// [`RECORDS_AT_ONCE`].
    ///
    /// # Errors
    /// Why it does not say.
    async fn compare(&self, expected: &[EndpointRecord]) -> Result<Vec<EndpointRecord>, Message>;
}

/// How many records a name server is given in one call.
pub const RECORDS_AT_ONCE: u32 = 40;

/// What endpoints are called.
#[derive(Clone)]
pub struct EndpointNames {
    /// What follows a tenant's `<name>-vpn.`, e.g. `vpn.example.org`.
    pub domain: String,
    pub server: Arc<dyn NameServer>,
}

impl EndpointNames {
    /// Returns the name of a tenant's endpoint.
    pub(super) fn name(&self, tenant: &str) -> String {
        format!("{tenant}{}.{}", TenantName::ENDPOINT_SUFFIX, self.domain)
    }

    /// Returns whether it is the name of an endpoint below the present domain.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        name.strip_suffix(&self.domain)
            .is_some_and(|rest| rest.ends_with(&format!("{}.", TenantName::ENDPOINT_SUFFIX)))
    }
}
