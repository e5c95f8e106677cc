//! The status of a tenant on its node.

use crate::inner::Inner;
use domain::TenantStatus;
use store::TenantRecord;

impl Inner {
    /// Returns a tenant's status, as the node last published it.
    pub(crate) fn status(&self, t: &TenantRecord) -> TenantStatus {
        self.node
            .tenant(t.slot)
            .filter(|s| s.name == t.name)
            .map(|s| s.status)
            .unwrap_or_default()
    }
}
