//! What the child tells in pages.

use super::{
    Userspace,
    protocol::{Reply, Request, WireDevice},
    unexpected,
};
use domain::Slot;
use provisioning::{observed::PeerStatistics, ports::PortResult};

impl Userspace {
    /// Every interface the child holds.
    pub(super) async fn devices(&self) -> PortResult<Vec<WireDevice>> {
        let mut all: Vec<WireDevice> = Vec::new();
        loop {
            let after = all.last().map(|d| d.slot);
            match self.child.call(&Request::Devices { after }).await? {
                Reply::Devices { devices, more } => {
                    // A page that does not get on would go on for ever.
                    let more = more && !devices.is_empty();
                    all.extend(devices);
                    if !more {
                        return Ok(all);
                    }
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Counters of the slots behind one, up to another.
    pub(super) async fn counters(
        &self,
        mut after: Option<Slot>,
        last: Option<Slot>,
    ) -> PortResult<Vec<PeerStatistics>> {
        let mut all = Vec::new();
        loop {
            match self.child.call(&Request::Statistics { after }).await? {
                Reply::Statistics { counters, next } => {
                    let ours = counters.into_iter();
                    let ours = ours.filter(|c| last.is_none_or(|last| c.slot <= last));
                    all.extend(ours.map(PeerStatistics::from));
                    // A page that does not get on would go on for ever.
                    if next <= after || last.is_some() && next >= last {
                        return Ok(all);
                    }
                    after = next;
                }
                other => return Err(unexpected(&other)),
            }
        }
    }
}
