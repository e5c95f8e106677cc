//! The audit log with a filter, page by page and as a file: the whole one for operators
//! (`Operators::audit`), and to tenants what is about them (`Tenants::audit`).

mod format;

pub use format::AuditFormat;

use crate::{failures::store_failure, inner::Inner};
use domain::{ErrorCode, Failure, Message, TenantId, Timestamp, time::DAY_MILLIS, view::AuditRow};
use futures_util::{Stream, StreamExt, stream};
use std::io;
use store::{AuditFilter, Store};

/// The entries that are read at a time for a file.
const BATCH: u32 = 1_000;

/// An entry of a log with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered<T> {
    pub id: i64,
    pub row: T,
}

/// Which entries of the audit log are wanted, as typed. What is empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// A tenant's name, or `operator:` and an operator's.
    pub actor: String,
    /// An action's name, e.g. `device.add`.
    pub action: String,
    /// The name of the tenant that an entry is about.
    pub tenant: String,
    /// Entries from then on: a date or a time ([`Timestamp::parse_utc`]).
    pub since: String,
    /// Entries until then: a date, with the whole of that day, or a time.
    pub until: String,
}

/// The entries that match, as a file: newest first and a part at a time, so that a log of any
/// length needs no memory.
#[derive(Clone, Debug)]
pub struct AuditExport {
    store: Store,
    filter: AuditFilter,
    format: AuditFormat,
}

impl AuditExport {
    /// Returns the media type.
    pub const fn media_type(&self) -> &'static str {
        self.format.media_type()
    }

    /// Returns the value of a header `Content-Disposition` (RFC 6266).
    pub fn disposition(&self) -> String {
        let extension = self.format.extension();
        format!("attachment; filename=\"audit.{extension}\"")
    }

    /// Returns the parts of the file; the first one has been read. A database that goes away
    /// later ends them with an error, which cuts an answer off, so that it is not taken for
    /// the whole.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn parts(self) -> Result<impl Stream<Item = io::Result<String>> + Send, Failure> {
        let (entries, next) = self.part(i64::MAX).await?;
        let first = self.format.head().to_owned() + &entries;
        let rest = stream::try_unfold((self, next), |(export, before)| async move {
            let Some(before) = before else {
                return Ok(None);
            };
            let (part, next) = export.part(before).await.map_err(io::Error::other)?;
            Ok(Some((part, (export, next))))
        });
        Ok(stream::iter([Ok(first)]).chain(rest))
    }

    /// Returns the entries from before the one with an id, and the id before which the next
    /// part begins; `None` behind the last one.
    async fn part(&self, before: i64) -> Result<(String, Option<i64>), Failure> {
        let rows = self.store.audit_matching(&self.filter, before, BATCH).await;
        let rows = rows.map_err(store_failure)?;
        let mut part = String::new();
        for (_, row) in &rows {
            self.format.line(row, &mut part);
        }
        let is_full = rows.len() == BATCH as usize;
        let next = rows.last().filter(|_| is_full).map(|(id, _)| *id);
        Ok((part, next))
    }
}

/// Reads the entries about a tenant, or all.
pub(crate) struct AuditReader<'a> {
    inner: &'a Inner,
    filter: AuditFilter,
}

impl<'a> AuditReader<'a> {
    /// Returns what reads the entries that match, about `tenant` where it is given; the
    /// query's own does not matter.
    ///
    /// # Errors
    /// `BadRequest` for a time that cannot be read.
    pub(crate) fn new(
        inner: &'a Inner,
        tenant: Option<TenantId>,
        query: &AuditQuery,
    ) -> Result<Self, Failure> {
        let mut until = time(&query.until)?;
        if !query.until.contains(':') {
            // Of a date, the whole day.
            until = until.map(|day| day.plus_millis(DAY_MILLIS));
        }
        let filter = AuditFilter {
            actor: text(&query.actor),
            action: text(&query.action),
            tenant,
            since: time(&query.since)?,
            until,
        };
        Ok(Self { inner, filter })
    }

    /// Returns at most `limit` entries, newest first, from before the one with the id `before`.
    pub(crate) async fn page(
        self,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        let store = &self.inner.store;
        let rows = store.audit_matching(&self.filter, before, limit).await;
        Ok(numbered(rows.map_err(store_failure)?))
    }

    /// Returns at most `limit` entries, oldest first, from behind the one with the id `after`.
    pub(crate) async fn after(
        self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Numbered<AuditRow>>, Failure> {
        let store = &self.inner.store;
        let rows = store.audit_after(&self.filter, after, limit).await;
        Ok(numbered(rows.map_err(store_failure)?))
    }

    /// Returns the entries as a file.
    pub(crate) fn export(self, format: AuditFormat) -> AuditExport {
        AuditExport {
            store: self.inner.store.clone(),
            filter: self.filter,
            format,
        }
    }
}

fn numbered(rows: Vec<(i64, AuditRow)>) -> Vec<Numbered<AuditRow>> {
    let rows = rows.into_iter();
    rows.map(|(id, row)| Numbered { id, row }).collect()
}

fn bad(message: Message) -> Failure {
    Failure::new(ErrorCode::BadRequest, message)
}

fn time(typed: &str) -> Result<Option<Timestamp>, Failure> {
    match typed.trim() {
        "" => Ok(None),
        text => {
            let at = Timestamp::parse_utc(text);
            at.map(Some).ok_or_else(|| bad(Message::AuditTimeMalformed))
        }
    }
}

/// Returns what was typed, if it is not empty. PostgreSQL takes no text with NUL, so nothing that
/// is stored has it: what stands for it instead matches nothing either.
pub(crate) fn text(typed: &str) -> Option<String> {
    let text = typed.trim().replace('\0', "\u{fffd}");
    Some(text).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn a_filter_has_no_nul_and_none_where_nothing_was_typed() {
        assert_eq!(text(" device.add\n").as_deref(), Some("device.add"));
        assert_eq!(text("a\0b").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text("\0").as_deref(), Some("\u{fffd}"));
        assert_eq!(text(" \t"), None);
    }
}
