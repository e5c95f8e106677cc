//! Plans (tariffs): the limits a tenant has. They are rows of the database.

use serde::{Deserialize, Serialize};

/// The tariff that a tenant signed up for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stable id that sign-up forms send, e.g. `home`.
    pub id: String,
    /// The name on pages, e.g. "Home".
    pub name: String,
    /// The most devices at one time, 1..=253 (a /24 without network, gateway and
    /// broadcast address).
    pub devices: u16,
    /// Bytes per month, both directions together; `None` is no limit.
    pub monthly_bytes: Option<u64>,
    /// Bits per second in each direction; `None` is no limit.
    pub speed_bps: Option<u64>,
    /// Whether the landing page recommends this plan.
    pub recommended: bool,
}

impl Plan {
    /// Returns "500 GB a month", "2 TB a month" or "No data limit".
    pub fn data_text(&self) -> String {
        match self.monthly_bytes {
            None => "No data limit".to_owned(),
            Some(b) if b >= 1_000_000_000_000 && b % 1_000_000_000_000 == 0 => {
                format!("{} TB a month", b / 1_000_000_000_000)
            }
            Some(b) => format!("{} GB a month", b / 1_000_000_000),
        }
    }

    /// Returns "200 Mb/s" or "No speed limit".
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
    fn limits_are_formatted_for_the_landing_page() {
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
