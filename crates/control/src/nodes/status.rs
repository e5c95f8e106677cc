//! The status of a tenant on its node.

use crate::inner::Inner;
use domain::TenantStatus;
use protocol::Location;
use store::TenantRecord;

/// Returns where a tenant is.
pub(crate) const fn location(t: &TenantRecord) -> Location {
    Location {
        node: t.node,
        slot: t.slot,
    }
}

impl Inner {
    /// Returns a tenant's status, as its node last reported it.
    pub(crate) fn status(&self, t: &TenantRecord) -> TenantStatus {
        self.nodes
            .tenant(location(t))
            .filter(|s| s.name == t.name)
            .map(|s| s.status)
            .unwrap_or_default()
    }
}
