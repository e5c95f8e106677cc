//! Rates of packets, in the steps in which the firewall has rules for them.

use std::fmt;

/// A rate of packets per second: 1,000 times a power of the square root of two, up to
/// about eight million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketRate(u8);

impl PacketRate {
    /// The lowest rate, 1,000 per second.
    pub const LEAST: Self = Self(0);
    /// The highest rate, 8,192,000 per second: more than any machine decrypts.
    pub const MOST: Self = Self(26);

    /// Iterates over all rates, from the lowest.
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::LEAST.0..=Self::MOST.0).map(Self)
    }

    /// Returns the lowest rate that suffices for so many packets per second, or the highest
    /// one. It exceeds them by less than a half.
    pub fn at_least(packets: u64) -> Self {
        Self::all()
            .find(|rate| u64::from(rate.per_second()) >= packets)
            .unwrap_or(Self::MOST)
    }

    /// Returns the rate that has exactly so many packets per second.
    pub fn of(packets: u32) -> Option<Self> {
        Self::all().find(|rate| rate.per_second() == packets)
    }

    /// Returns the packets per second.
    pub const fn per_second(self) -> u32 {
        let step = if self.0.is_multiple_of(2) {
            1_000
        } else {
            1_414
        };
        step << (self.0 / 2)
    }
}

impl fmt::Display for PacketRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.per_second().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_sufficient_and_not_much_higher() {
        for packets in [1_001, 1_414, 1_415, 18_028, 100_000, 8_000_000] {
            let rate = PacketRate::at_least(packets).per_second();
            assert!(u64::from(rate) >= packets && u64::from(rate) * 2 < packets * 3);
        }
        assert_eq!(PacketRate::at_least(0), PacketRate::LEAST);
        assert_eq!(PacketRate::at_least(u64::MAX), PacketRate::MOST);
        assert_eq!(PacketRate::MOST.per_second(), 8_192_000);
        for rate in PacketRate::all() {
            assert_eq!(PacketRate::of(rate.per_second()), Some(rate));
            assert_eq!(PacketRate::at_least(rate.per_second().into()), rate);
        }
        assert_eq!(PacketRate::of(18_028), None);
    }
}
