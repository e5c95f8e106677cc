//! The audit log with a filter, and as a file.

use super::{Numbered, Operators};
use crate::failures::store_failure;
use domain::{
    ErrorCode, Failure, Message, OperatorScope, Timestamp, time::DAY_MILLIS, view::AuditRow,
};
use futures_util::{Stream, stream};
use serde::Serialize;
use std::fmt::Write;
use store::{AuditFilter, Store};

/// The entries that are read at a time for a file.
const BATCH: u32 = 1_000;

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

/// The form of an exported audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFormat {
    /// Comma-separated values (RFC 4180), with a head.
    Csv,
    /// A JSON object in each line.
    JsonLines,
}

impl AuditFormat {
    /// Parses the name: the extension of its files.
    ///
    /// # Errors
    /// `BadRequest`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err(bad(Message::AuditFormatUnknown)),
        }
    }

    /// Returns the extension of its files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
        }
    }

    /// Returns its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/jsonl",
        }
    }

    fn head(self) -> &'static str {
        match self {
            Self::Csv => "at,actor,action,object,origin,before,after,detail\r\n",
            Self::JsonLines => "",
        }
    }

    fn line(self, row: &AuditRow, to: &mut String) {
        let at = rfc_3339(row.at);
        match self {
            Self::Csv => {
                to.push_str(&at);
                for text in [
                    &row.actor,
                    &row.action,
                    &row.object,
                    &row.origin,
                    &row.before,
                    &row.after,
                    &row.detail,
                ] {
                    to.push(',');
                    csv_value(text, to);
                }
                to.push_str("\r\n");
            }
            Self::JsonLines => {
                let line = Line {
                    at: &at,
                    actor: &row.actor,
                    action: &row.action,
                    object: &row.object,
                    origin: &row.origin,
                    before: &row.before,
                    after: &row.after,
                    detail: &row.detail,
                };
                // Texts alone cannot fail.
                if let Ok(json) = serde_json::to_string(&line) {
                    to.push_str(&json);
                    to.push('\n');
                }
            }
        }
    }
}

/// A line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    at: &'a str,
    actor: &'a str,
    action: &'a str,
    object: &'a str,
    origin: &'a str,
    before: &'a str,
    after: &'a str,
    detail: &'a str,
}

/// Writes a value of a CSV file. A spreadsheet would carry out a text that begins like a
/// formula (OWASP, CSV Injection): such a text begins with an apostrophe.
fn csv_value(text: &str, to: &mut String) {
    to.push('"');
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        to.push('\'');
    }
    to.push_str(&text.replace('"', "\"\""));
    to.push('"');
}

fn rfc_3339(at: Timestamp) -> String {
    let (t, millis) = (at.utc(), at.0.rem_euclid(1_000));
    let mut text = String::with_capacity(24);
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    );
    text
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

fn text(typed: &str) -> Option<String> {
    Some(typed.trim().to_owned()).filter(|t| !t.is_empty())
}

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
        let filter = self.audit_filter(query).await?;
        let rows = self.0.store.audit_matching(&filter, before, limit).await;
        let rows = rows.map_err(store_failure)?.into_iter();
        Ok(rows.map(|(id, row)| Numbered { id, row }).collect())
    }

    /// Returns the entries that match as a file, newest first, a part at a time, so that a
    /// log of any length needs no memory.
    ///
    /// # Errors
    /// As [`Operators::audit`]. A database that goes away meanwhile ends the stream with a
    /// failure.
    pub async fn export_audit(
        self,
        _operator: &OperatorScope,
        query: &AuditQuery,
        format: AuditFormat,
    ) -> Result<impl Stream<Item = Result<String, Failure>> + Send + use<>, Failure> {
        let filter = self.audit_filter(query).await?;
        Ok(export(self.0.store.clone(), filter, format))
    }

    async fn audit_filter(self, query: &AuditQuery) -> Result<AuditFilter, Failure> {
        let mut until = time(&query.until)?;
        if !query.until.contains(':') {
            // Of a date, the whole day.
            until = until.map(|day| day.plus_millis(DAY_MILLIS));
        }
        Ok(AuditFilter {
            actor: text(&query.actor),
            action: text(&query.action),
            tenant: match text(&query.tenant) {
                Some(name) => Some(self.tenant_id(&name).await?),
                None => None,
            },
            since: time(&query.since)?,
            until,
        })
    }
}

fn export(
    store: Store,
    filter: AuditFilter,
    format: AuditFormat,
) -> impl Stream<Item = Result<String, Failure>> + Send {
    // Where the next part begins; `None` behind the last one.
    let begin = (store, filter, Some(i64::MAX));
    stream::try_unfold(begin, move |(store, filter, before)| async move {
        let Some(before) = before else {
            return Ok(None);
        };
        let rows = store.audit_matching(&filter, before, BATCH).await;
        let rows = rows.map_err(store_failure)?;
        let mut part = match before {
            i64::MAX => format.head().to_owned(),
            _ => String::new(),
        };
        for (_, row) in &rows {
            format.line(row, &mut part);
        }
        let is_full = rows.len() == BATCH as usize;
        let next = rows.last().filter(|_| is_full).map(|(id, _)| *id);
        Ok(Some((part, (store, filter, next))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_a_formula() {
        let value = |text| {
            let mut to = String::new();
            csv_value(text, &mut to);
            to
        };
        assert_eq!(value("lina/My \"phone\""), "\"lina/My \"\"phone\"\"\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"] {
            assert!(value(formula).starts_with("\"'"), "{formula}");
        }
        assert_eq!(value("a=1"), "\"a=1\"");
    }

    #[test]
    fn a_line_has_every_part_of_an_entry() {
        let row = AuditRow {
            at: Timestamp(1_795_478_400_123),
            actor: "operator:ada".to_owned(),
            action: "operator.role".to_owned(),
            object: "operator:ben".to_owned(),
            detail: String::new(),
            origin: "192.0.2.7".to_owned(),
            before: "owner".to_owned(),
            after: "support".to_owned(),
        };
        let line = |format: AuditFormat| {
            let mut to = String::new();
            format.line(&row, &mut to);
            to
        };
        assert_eq!(
            line(AuditFormat::Csv),
            "2026-11-24T00:00:00.123Z,\"operator:ada\",\"operator.role\",\"operator:ben\",\"192.0.2.7\",\"owner\",\"support\",\"\"\r\n"
        );
        let json: serde_json::Value = serde_json::from_str(&line(AuditFormat::JsonLines)).unwrap();
        assert_eq!(json["at"], "2026-11-24T00:00:00.123Z");
        assert_eq!(json["before"], "owner");
        assert_eq!(json.as_object().unwrap().len(), 8);
    }
}
