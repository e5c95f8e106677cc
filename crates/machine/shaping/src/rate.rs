//! A rate that a token bucket can have, and the sizes that follow from it.

use domain::{ErrorCode, Message};
use provisioning::ports::{PortError, PortResult};

/// The lowest rate in bit/s. Below it a single packet takes longer than TCP waits.
pub const LOWEST_BPS: u64 = 64_000;
/// The highest rate in bit/s, 10 Tb/s. The sizes in bytes, which the kernel takes as 32
/// bits, are still 2 ms of it.
pub const HIGHEST_BPS: u64 = 10_000_000_000_000;

/// The largest packet in bytes that is not segmented: an Ethernet frame. The tunnels'
/// MTU is 1,420.
const PACKET: u64 = 1514;
/// The burst as a part of a second, 10 ms. tc-tbf(8): the burst has to be at least the
/// rate divided by HZ, whose lowest value is 100. A virtual machine whose timers are late
/// needs it too: at 4 ms, one under emulation got 88 % of a rate.
const BURSTS_PER_SECOND: u64 = 100;
/// The queue as a part of a second, 50 ms: the longest delay of a packet at rates above
/// 1.5 Mb/s.
const QUEUES_PER_SECOND: u64 = 20;
/// The largest burst in bytes: 2.4 ms of the highest rate.
const MAX_BURST: u64 = 3_000_000_000;

/// A rate in the range that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Creates a rate from bits per second.
    ///
    /// # Errors
    /// `ShapingUnavailable` with `speed-out-of-range` below 64 kb/s and above 10 Tb/s.
    pub fn from_bps(bps: u64) -> PortResult<Self> {
        if (LOWEST_BPS..=HIGHEST_BPS).contains(&bps) {
            return Ok(Self(bps));
        }
        Err(PortError::new(
            ErrorCode::ShapingUnavailable,
            Message::SpeedOutOfRange {
                speed: bps,
                lowest: LOWEST_BPS,
                highest: HIGHEST_BPS,
            },
        ))
    }

    /// Returns the rate that the kernel holds, in bytes per second, rounded down.
    pub const fn bytes(self) -> u64 {
        self.0 / 8
    }

    /// Returns the bits that the kernel's unit leaves out, 0 to 7. The handle holds them,
    /// so that exactly the rate that was set is read.
    pub const fn remainder(self) -> u16 {
        (self.0 % 8) as u16
    }

    /// Returns the burst in bytes: how much may be sent at once. 10 ms of the rate, and two
    /// packets at least.
    pub fn burst(self) -> u64 {
        (self.bytes() / BURSTS_PER_SECOND).clamp(2 * PACKET, MAX_BURST)
    }

    /// Returns the length of the queue in bytes, tc's `limit`: 50 ms of the rate, and at
    /// least four packets more than the burst, so that a packet as large as the burst
    /// fits and TCP sees a loss by what follows. At 64 kb/s that is 1.1 s.
    pub fn queue(self) -> u64 {
        (self.bytes() / QUEUES_PER_SECOND)
            .max(self.burst() + 4 * PACKET)
            .min(u32::MAX.into())
    }

    /// Returns fq_codel's target in microseconds: 5 ms (tc-fq_codel(8)), and at low rates
    /// the time of one and a half packets, below which no queue can be.
    pub fn codel_target(self) -> u64 {
        (PACKET * 1_500_000 / self.bytes()).max(5_000)
    }

    /// Returns the number of packets that fq_codel may hold: the queue in packets of
    /// 128 bytes. Its default of 10,240 is the most.
    pub fn codel_limit(self) -> u64 {
        (self.queue() / 128).clamp(128, 10_240)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_outside_the_range_are_refused_with_the_range() {
        for bps in [0, 1, LOWEST_BPS - 1, HIGHEST_BPS + 1, u64::MAX] {
            let error = Rate::from_bps(bps).unwrap_err();
            assert_eq!(error.code, ErrorCode::ShapingUnavailable);
            let message = Message::SpeedOutOfRange {
                speed: bps,
                lowest: 64_000,
                highest: 10_000_000_000_000,
            };
            assert_eq!(error.message, message);
        }
        assert!(Rate::from_bps(LOWEST_BPS).is_ok() && Rate::from_bps(HIGHEST_BPS).is_ok());
    }

    #[test]
    fn sizes_follow_from_the_rate() {
        for (bps, burst, queue) in [
            (64_000, 3_028, 9_084),
            (5_000_000, 6_250, 31_250),
            (50_000_000, 62_500, 312_500),
            (200_000_000, 250_000, 1_250_000),
            (10_000_000_000_000, 3_000_000_000, 4_294_967_295),
        ] {
            let rate = Rate::from_bps(bps).unwrap();
            assert_eq!((rate.burst(), rate.queue()), (burst, queue), "{bps}");
        }
    }

    proptest! {
        #[test]
        fn a_burst_is_two_milliseconds_and_two_packets(bps in LOWEST_BPS..=HIGHEST_BPS) {
            let rate = Rate::from_bps(bps).unwrap();
            prop_assert!(rate.burst() >= rate.bytes() / 500 && rate.burst() >= 2 * PACKET);
            prop_assert!(rate.queue() >= rate.burst() + PACKET);
            prop_assert!(rate.queue() <= u64::from(u32::MAX));
            prop_assert_eq!(rate.bytes() * 8 + u64::from(rate.remainder()), bps);
        }
    }
}
