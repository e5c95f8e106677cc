//! Devices that wait for their first connection: where no device of the installation has
//! ever connected, the cause is the server's; where others have, it is the device's.

use crate::{
    Result, Store,
    db::fetch_all,
    statistics::{DeviceCounters, decode_counters},
};
use domain::Timestamp;
use std::collections::BTreeSet;

/// A device that was added a while ago and has never connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingDevice {
    /// The number of its row.
    pub id: i64,
    /// The tenant's name.
    pub tenant: String,
    /// The tenant's slot.
    pub slot: u16,
    /// The device's name.
    pub label: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Which devices have connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirstHandshakes {
    /// The number of devices that have.
    pub connected: u64,
    /// Those that have not, in the order in which they were added.
    pub waiting: Vec<WaitingDevice>,
}

/// Reads the devices that were added in a time, of tenants that are in force.
const ADDED: &str = "SELECT peers.id, users.username, users.slot, peers.device_label, peers.created_at \
     FROM peers JOIN users ON users.id = peers.user_id \
     WHERE users.state = 'active' AND peers.created_at > $1 AND peers.created_at <= $2 \
     ORDER BY peers.created_at, peers.id";
/// Reads the counters of all tenants, which tell of each device whether it has connected.
const ALL_COUNTERS: &str = "SELECT user_id, counters FROM tenant_traffic";

impl Store {
    /// Returns which devices have connected, and which of those that were added after
    /// `from`, until `to`, have not. It reads the counters of all tenants, so it is not for
    /// every request.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn first_handshakes(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<FirstHandshakes> {
        let rows = fetch_all!(self.db.reader(), (i64, Vec<u8>), ALL_COUNTERS)?;
        let mut connected = BTreeSet::new();
        for (tenant, bytes) in rows {
            // One whose counters cannot be read says nothing of the others.
            let Ok(counters) = decode_counters(tenant, Some(&bytes)) else {
                continue;
            };
            let has = |d: &&DeviceCounters| d.handshake.is_some();
            connected.extend(counters.devices.iter().filter(has).map(|d| d.id));
        }
        type Row = (i64, String, i64, String, i64);
        let added = fetch_all!(self.db.reader(), Row, ADDED, from.0, to.0)?;
        let waiting = added
            .into_iter()
            .filter(|(id, ..)| !connected.contains(id))
            .map(|(id, tenant, slot, label, created_at)| WaitingDevice {
                id,
                tenant,
                slot: u16::try_from(slot).unwrap_or_default(),
                label,
                created_at: Timestamp(created_at),
            });
        Ok(FirstHandshakes {
            waiting: waiting.collect(),
            connected: connected.len() as u64,
        })
    }
}
