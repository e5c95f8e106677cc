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
