//! Traffic: speeds, totals, and graphs of past traffic.

mod meter;
mod readings;
#[cfg(test)]
mod tests;

pub(crate) use meter::Meter;

use crate::{failures::store_failure, inner::Inner};
use domain::{DeviceId, Failure, Span, TenantReadScope, TrafficPoint};

/// The handle on past traffic.
#[derive(Clone, Copy)]
pub struct Traffic<'a>(pub(crate) &'a Inner);

impl Traffic<'_> {
    /// Returns a graph of the traffic of a device, or of all of the tenant's
    /// devices: every step of the span up to now.
    ///
    /// # Errors
    /// `NotFound`, also for another tenant's device.
    pub async fn series(
        self,
        scope: &TenantReadScope,
        device: Option<DeviceId>,
        span: Span,
    ) -> Result<Vec<TrafficPoint>, Failure> {
        let now = self.0.clock.now();
        let points = self.0.store.series(scope, device, span, now).await;
        points.map_err(store_failure)
    }
}
