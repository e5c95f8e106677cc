//! Plans: what a tenant may use. They live in the database; this is one row.

use serde::{Deserialize, Serialize};

/// What a tenant signed up for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stable key that sign-up forms send, e.g. `home`.
    pub id: String,
    /// What people read, e.g. "Home".
    pub name: String,
    /// Most devices at one time, 1..=253 (a /24 less gateway and broadcast).
    pub devices: u16,
    /// Bytes a month, down and up together; `None` is no limit.
    pub monthly_bytes: Option<u64>,
    /// Bits a second, each way; `None` is no limit.
    pub speed_bps: Option<u64>,
    /// The one the landing page recommends.
    pub recommended: bool,
}

impl Plan {
    /// "500 GB a month", "2 TB a month", "No data limit".
    pub fn data_text(&self) -> String {
        match self.monthly_bytes {
            None => "No data limit".to_owned(),
            Some(b) if b >= 1_000_000_000_000 && b % 1_000_000_000_000 == 0 => {
                format!("{} TB a month", b / 1_000_000_000_000)
            }
            Some(b) => format!("{} GB a month", b / 1_000_000_000),
        }
    }

    /// "200 Mb/s", "No speed limit".
    pub fn speed_text(&self) -> String {
        match self.speed_bps {
            None => "No speed limit".to_owned(),
            Some(b) if b >= 1_000_000_000 && b % 1_000_000_000 == 0 => {
                format!("{} Gb/s", b / 1_000_000_000)
            }
            Some(b) => format!("{} Mb/s", b / 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_as_on_the_landing_page() {
        let mut p = Plan {
            id: "home".into(),
            name: "Home".into(),
            devices: 10,
            monthly_bytes: Some(500_000_000_000),
            speed_bps: Some(200_000_000),
            recommended: true,
        };
        assert_eq!(
            (p.data_text().as_str(), p.speed_text().as_str()),
            ("500 GB a month", "200 Mb/s")
        );
        p.monthly_bytes = Some(2_000_000_000_000);
        p.speed_bps = None;
        assert_eq!(
            (p.data_text().as_str(), p.speed_text().as_str()),
            ("2 TB a month", "No speed limit")
        );
    }
}
