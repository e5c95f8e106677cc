//! Speed limits. They vanish with their interface.

use super::{Extent, Machine, refuse};
use crate::expected;
use domain::{ErrorCode, Slot};
use protocol::SpeedLimits;
use provisioning::ports::PortResult;

impl Machine {
    pub(in crate::sim) fn limit_speed(
        &mut self,
        slot: Slot,
        speed: SpeedLimits,
        mut extent: Extent,
    ) -> PortResult<()> {
        if speed.is_unlimited() {
            if extent.happens() {
                self.speeds.remove(&slot);
            }
            return extent.result();
        }
        if !self.interfaces.contains_key(&slot) {
            return refuse(ErrorCode::Internal, "no such interface");
        }
        let mut now = expected::speed(speed);
        now.intact = matches!(extent, Extent::Complete);
        self.speeds.insert(slot, now);
        extent.result()
    }
}
