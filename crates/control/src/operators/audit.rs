//! The audit log of the installation.

use super::Operators;
use crate::audit::{AuditExport, AuditFormat, AuditQuery, AuditReader, Numbered, text};
use domain::{Failure, OperatorScope, view::AuditRow};

impl Operators<'_> {
    /// Returns at most `limit` entries of the audit log that match, newest first, from before
    /// the one with the id `before`.
    ///
    /// # Errors
    /// `BadRequest` for a time that cannot be read, `NotFound` for a tenant that does not
    /// exist, `DatabaseUnavailable`.
    pub async fn audit(
        self,
        _operator: &OperatorScope,
        query: &AuditQuery,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        self.audit_reader(query).await?.page(before, limit).await
    }

    /// Returns at most `limit` entries of the audit log that match, oldest first, from behind
    /// the one with the id `after`.
    ///
    /// # Errors
    /// As [`Operators::audit`].
    pub async fn audit_after(
        self,
        _operator: &OperatorScope,
        query: &AuditQuery,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        self.audit_reader(query).await?.after(after, limit).await
    }

    /// Returns the entries that match as a file.
    ///
    /// # Errors
    /// As [`Operators::audit`].
    pub async fn export_audit(
        self,
        _operator: &OperatorScope,
        query: &AuditQuery,
        format: AuditFormat,
    ) -> Result<AuditExport, Failure> {
        Ok(self.audit_reader(query).await?.export(format))
    }

    async fn audit_reader(&self, query: &AuditQuery) -> Result<AuditReader<'_>, Failure> {
        let name = text(&query.tenant);
        let tenant = self.tenant_named(name.as_deref()).await?;
        AuditReader::new(self.0, tenant, query)
    }
}
