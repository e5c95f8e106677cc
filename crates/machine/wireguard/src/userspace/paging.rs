//! Reads the child's lists page by page.

use super::{
    child::ChildProcess,
    connection::unexpected,
    protocol::{Reply, Request},
    wire::WireDevice,
};
use domain::Slot;
use protocol::PeerStatistics;
use provisioning::ports::PortResult;

/// Returns every interface of the child.
pub(super) async fn devices(child: &ChildProcess) -> PortResult<Vec<WireDevice>> {
    let mut all: Vec<WireDevice> = Vec::new();
    loop {
        let after = all.last().map(|d| d.slot);
        match child.call(&Request::Devices { after }).await? {
            Reply::Devices { devices, more } => {
                // An empty page that announces more would repeat forever.
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

/// Returns the counters of the slots after `after`, up to and including `last`.
pub(super) async fn counters(
    child: &ChildProcess,
    mut after: Option<Slot>,
    last: Option<Slot>,
) -> PortResult<Vec<PeerStatistics>> {
    let mut all = Vec::new();
    loop {
        match child.call(&Request::Statistics { after }).await? {
            Reply::Statistics { counters, next } => {
                let wanted = counters.into_iter();
                let wanted = wanted.filter(|c| last.is_none_or(|last| c.slot <= last));
                all.extend(wanted.map(PeerStatistics::from));
                // A page that does not advance would repeat forever.
                if next <= after || last.is_some() && next >= last {
                    return Ok(all);
                }
                after = next;
            }
            other => return Err(unexpected(&other)),
        }
    }
}
