//! Values of the API as people read them.

use app::ui::format;
use domain::Timestamp;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What stands for a value that is not there.
const NONE: &str = "-";

/// Returns a value as text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

/// Returns the number of an object of the API as a segment of a path.
pub(crate) fn id(object: &Value) -> String {
    text(&object["id"])
}

/// Returns a member that is a name, or the empty text.
pub(crate) fn name_of(object: &Value) -> &str {
    object["name"].as_str().unwrap_or_default()
}

/// Returns a number of bytes as "14.2 GB".
pub(crate) fn bytes(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| NONE.to_owned(), format::bytes)
}

/// Returns a number of bits per second as "12.4 Mb/s".
pub(crate) fn bits(value: &Value) -> String {
    value.as_u64().map_or_else(|| NONE.to_owned(), format::bits)
}

/// Returns a point in time as "2026-11-23 21:34:22 UTC".
pub(crate) fn date(value: &Value) -> String {
    timestamp(value).map_or_else(|| text(value), format::exact)
}

/// Parses a point in time of the API (RFC 3339).
pub(crate) fn timestamp(value: &Value) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    let millis = at.unix_timestamp_nanos() / 1_000_000;
    i64::try_from(millis).ok().map(Timestamp)
}

/// Replaces control characters, so that what a server says cannot direct the terminal.
pub(crate) fn plain(text: &str) -> String {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " "),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_for_people() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!("x"), "x"),
            (json!(true), "yes"),
            (json!(7), "7"),
        ] {
            assert_eq!(text(&value), expected);
        }
        let at = json!("2026-11-27T20:15:00.000Z");
        assert_eq!(date(&at), "2026-11-27 20:15:00 UTC");
        assert_eq!(date(&json!("tomorrow")), "tomorrow");
        assert_eq!(date(&json!(null)), "-");
        assert_eq!(timestamp(&at), Some(Timestamp(1_795_810_500_000)));
        assert_eq!(bytes(&json!(14_200_000_000_u64)), "14.2 GB");
        assert_eq!(bits(&json!(null)), "-");
    }
}
