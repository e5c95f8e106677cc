//! How an entry of the audit log is written to a file.

use domain::{ErrorCode, Failure, Message, Timestamp, view::AuditRow};
use serde::Serialize;
use std::fmt::Write;

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
            _ => {
                let (code, message) = (ErrorCode::BadRequest, Message::AuditFormatUnknown);
                Err(Failure::new(code, message))
            }
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

    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Csv => "at,actor,action,object,origin,before,after,detail\r\n",
            Self::JsonLines => "",
        }
    }

    pub(super) fn line(self, row: &AuditRow, to: &mut String) {
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
