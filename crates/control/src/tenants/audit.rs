//! What the audit log says of a tenant.

use super::Tenants;
use crate::audit::{AuditExport, AuditFormat, AuditQuery, AuditReader, Numbered};
use domain::{Failure, TenantReadScope, view::AuditRow};

impl Tenants<'_> {
    /// Returns at most `limit` entries about the tenant that match, newest first, from before
    /// the one with the id `before`. [`AuditQuery::tenant`] does not matter.
    ///
    /// # Errors
    /// `BadRequest` for a time that cannot be read, `DatabaseUnavailable`.
    pub async fn audit(
        self,
        tenant: &TenantReadScope,
        query: &AuditQuery,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        let reader = AuditReader::new(self.0, Some(tenant.tenant()), query)?;
        reader.page(before, limit).await
    }

    /// Returns at most `limit` entries about the tenant that match, oldest first, from behind
    /// the one with the id `after`. [`AuditQuery::tenant`] does not matter.
    ///
    /// # Errors
    /// As [`Tenants::audit`].
    pub async fn audit_after(
        self,
        tenant: &TenantReadScope,
        query: &AuditQuery,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        let reader = AuditReader::new(self.0, Some(tenant.tenant()), query)?;
        reader.after(after, limit).await
    }

    /// Returns the entries about the tenant that match as a file.
    ///
    /// # Errors
    /// `BadRequest` for a time that cannot be read.
    pub fn export_audit(
        self,
        tenant: &TenantReadScope,
        query: &AuditQuery,
        format: AuditFormat,
    ) -> Result<AuditExport, Failure> {
        let reader = AuditReader::new(self.0, Some(tenant.tenant()), query)?;
        Ok(reader.export(format))
    }
}
