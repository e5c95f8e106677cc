//! Plans (tariffs): what a tenant may use. They are rows of the database.

use crate::{
    code::ErrorCode,
    failure::{Failure, Field},
    message::Message,
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The least speed that a plan may give, in bits per second: below it, DNS and the
/// dashboard are of no use.
pub const MIN_SPEED_BPS: u64 = 64_000;
/// The greatest speed that can be given as a limit; a plan without a limit is no
/// limit at all.
pub const MAX_SPEED_BPS: u64 = 10_000_000_000_000;
/// The least data per month that a plan may give, in bytes.
pub const MIN_MONTHLY_BYTES: u64 = 1_000_000;
/// The most data per month that can be given as a limit, in bytes: 1 PB.
pub const MAX_MONTHLY_BYTES: u64 = 1_000_000_000_000_000;
/// The most devices of a plan: a /24 without network, gateway and broadcast address.
pub const MAX_DEVICES: u16 = 253;
/// The length of a plan's name at most, in characters.
pub const MAX_NAME_CHARS: usize = 40;
/// The length of a plan's id at most, in bytes.
pub const MAX_ID_BYTES: usize = 32;

/// The tariff that a tenant signed up for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The stable id that sign-up forms send, e.g. `home`.
    pub id: String,
    /// The name on pages, e.g. "Home".
    pub name: String,
    /// The most devices at one time, 1..=[`MAX_DEVICES`].
    pub devices: u16,
    /// Bytes per month, both directions together; `None` is no limit.
    pub monthly_bytes: Option<u64>,
    /// Bits per second towards all of the tenant's devices together; `None` is no
    /// limit.
    pub down_bps: Option<u64>,
    /// Bits per second from all of the tenant's devices together; `None` is no limit.
    pub up_bps: Option<u64>,
    /// What happens once the month's data are used up.
    pub at_limit: AtLimit,
    /// The speed in each direction, in bits per second, while [`AtLimit::Slow`] is in
    /// force.
    pub slow_bps: u64,
    /// The day on which the month begins, 1..=31. In a shorter month it is the last day.
    pub month_day: u8,
    /// Whether the landing page recommends this plan.
    pub recommended: bool,
    /// Whether a visitor may choose this plan. Tenants who have it keep it.
    pub visible: bool,
    /// The place among the plans, lowest first.
    pub position: u32,
}

/// What happens once a month's data are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    /// The network is slower until the next month begins.
    #[default]
    Slow,
    /// The devices reach DNS and each other only, until the next month begins.
    Stop,
}

impl AtLimit {
    /// Returns the name in forms and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Stop => "stop",
        }
    }
}

impl fmt::Display for AtLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AtLimit {
    type Err = Failure;
    /// Parses the name in forms.
    ///
    /// # Errors
    /// `ChoiceUnknown` at [`Field::AtLimit`].
    fn from_str(text: &str) -> Result<Self, Failure> {
        let all = [Self::Slow, Self::Stop];
        let found = all.into_iter().find(|a| a.as_str() == text);
        found.ok_or_else(|| {
            let message = Message::AtLimitUnknown;
            Failure::at(Field::AtLimit, ErrorCode::ChoiceUnknown, message)
        })
    }
}

impl Plan {
    /// Checks that every value is one that can be kept.
    ///
    /// # Errors
    /// `PlanMalformed` at the first field that cannot.
    pub fn check(&self) -> Result<(), Failure> {
        let id = self.id.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let is_id = (1..=MAX_ID_BYTES).contains(&id.len()) && id.iter().all(plain);
        ensure(is_id, Field::PlanId, || Message::PlanIdMalformed {
            most: MAX_ID_BYTES as u64,
        })?;
        let is_name = !self.name.trim().is_empty()
            && self.name.chars().count() <= MAX_NAME_CHARS
            && !self.name.chars().any(char::is_control);
        ensure(is_name, Field::Name, || Message::PlanNameMalformed {
            most: MAX_NAME_CHARS as u64,
        })?;
        let are_devices = (1..=MAX_DEVICES).contains(&self.devices);
        ensure(are_devices, Field::Devices, || Message::PlanDevicesRange {
            most: MAX_DEVICES.into(),
        })?;
        let data = MIN_MONTHLY_BYTES..=MAX_MONTHLY_BYTES;
        let is_data = self.monthly_bytes.is_none_or(|n| data.contains(&n));
        ensure(is_data, Field::Data, || Message::PlanDataRange)?;
        let speeds = MIN_SPEED_BPS..=MAX_SPEED_BPS;
        for (bps, field) in [(self.down_bps, Field::Down), (self.up_bps, Field::Up)] {
            let is_speed = bps.is_none_or(|n| speeds.contains(&n));
            ensure(is_speed, field, || Message::PlanSpeedRange)?;
        }
        let is_speed = speeds.contains(&self.slow_bps);
        ensure(is_speed, Field::Slow, || Message::PlanSpeedRange)?;
        let least = self.down_bps.into_iter().chain(self.up_bps).min();
        let is_slower = least.is_none_or(|n| self.slow_bps <= n);
        let is_slow = self.at_limit == AtLimit::Stop || self.monthly_bytes.is_none() || is_slower;
        ensure(is_slow, Field::Slow, || Message::PlanNotSlower)?;
        let is_day = (1..=31).contains(&self.month_day);
        ensure(is_day, Field::MonthDay, || Message::PlanDayRange)
    }
}

fn ensure(holds: bool, field: Field, message: impl FnOnce() -> Message) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(Failure::at(field, ErrorCode::PlanMalformed, message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            id: "home".to_owned(),
            name: "Home".to_owned(),
            devices: 10,
            monthly_bytes: Some(500_000_000_000),
            down_bps: Some(200_000_000),
            up_bps: Some(50_000_000),
            at_limit: AtLimit::Slow,
            slow_bps: 1_000_000,
            month_day: 1,
            recommended: true,
            visible: true,
            position: 2,
        }
    }

    fn field(change: impl FnOnce(&mut Plan)) -> Option<Field> {
        let mut changed = plan();
        change(&mut changed);
        let failure = changed.check().err()?;
        assert_eq!(failure.code, ErrorCode::PlanMalformed);
        failure.field
    }

    #[test]
    fn a_value_outside_its_range_is_refused() {
        assert_eq!(field(|_| ()), None);
        assert_eq!(field(|p| p.id = String::new()), Some(Field::PlanId));
        assert_eq!(field(|p| p.id = "Home!".to_owned()), Some(Field::PlanId));
        assert_eq!(field(|p| p.id = "a".repeat(33)), Some(Field::PlanId));
        assert_eq!(field(|p| p.name = "  ".to_owned()), Some(Field::Name));
        assert_eq!(field(|p| p.name = "a\nb".to_owned()), Some(Field::Name));
        assert_eq!(field(|p| p.name = "ä".repeat(40)), None);
        assert_eq!(field(|p| p.name = "ä".repeat(41)), Some(Field::Name));
        assert_eq!(field(|p| p.devices = 0), Some(Field::Devices));
        assert_eq!(field(|p| p.devices = 254), Some(Field::Devices));
        assert_eq!(field(|p| p.monthly_bytes = Some(0)), Some(Field::Data));
        assert_eq!(
            field(|p| p.monthly_bytes = Some(u64::MAX)),
            Some(Field::Data)
        );
        assert_eq!(field(|p| p.down_bps = Some(0)), Some(Field::Down));
        assert_eq!(field(|p| p.up_bps = Some(63_999)), Some(Field::Up));
        assert_eq!(field(|p| p.down_bps = Some(MAX_SPEED_BPS)), None);
        assert_eq!(
            field(|p| p.down_bps = Some(MAX_SPEED_BPS + 1)),
            Some(Field::Down)
        );
        assert_eq!(field(|p| p.slow_bps = 0), Some(Field::Slow));
        assert_eq!(field(|p| p.month_day = 0), Some(Field::MonthDay));
        assert_eq!(field(|p| p.month_day = 32), Some(Field::MonthDay));
    }

    #[test]
    fn slower_is_slower_than_the_plan() {
        assert_eq!(field(|p| p.slow_bps = 50_000_001), Some(Field::Slow));
        assert_eq!(field(|p| p.slow_bps = 50_000_000), None);
        let stop = field(|p| (p.at_limit, p.slow_bps) = (AtLimit::Stop, 50_000_001));
        assert_eq!(stop, None);
        let unlimited = field(|p| (p.down_bps, p.up_bps, p.slow_bps) = (None, None, 50_000_001));
        assert_eq!(unlimited, None);
    }

    #[test]
    fn what_happens_at_the_limit_has_a_name() {
        for at_limit in [AtLimit::Slow, AtLimit::Stop] {
            assert_eq!(at_limit.as_str().parse(), Ok(at_limit));
        }
        let unknown = "halt".parse::<AtLimit>().unwrap_err();
        assert_eq!(unknown.code, ErrorCode::ChoiceUnknown);
    }
}
