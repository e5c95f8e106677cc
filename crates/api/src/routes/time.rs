//! Points in time as the interface writes them.

use domain::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time in UTC (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-27T20:15:00.000Z")]
pub struct Time(Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let t = self.0.utc();
        let millis = self.0.0.rem_euclid(1_000);
        serializer.collect_str(&format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            t.year, t.month, t.day, t.hour, t.minute, t.second
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_says() {
        let text = |millis| serde_json::to_string(&Time(Timestamp(millis))).unwrap();
        assert_eq!(text(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(text(1_795_478_400_123), "\"2026-11-24T00:00:00.123Z\"");
    }
}
