//! Devices (`peers`). This file reads their records.

mod changes;

use crate::{
    Result, Store, StoreError,
    db::{Tx, fetch_all, fetch_optional, unsigned},
    statistics::{TenantCounters, counters_in},
};
use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Routing,
    TenantReadScope, TenantScope, Timestamp, TunnelOptions,
};
use seal::Purpose;
use std::net::Ipv4Addr;

/// A device to add. The store chooses the address.
#[derive(Clone, Debug)]
pub struct NewDevice {
    pub label: DeviceLabel,
    /// Which traffic the device sends through the tunnel.
    pub routing: Routing,
    /// What else its configuration says.
    pub options: TunnelOptions,
    pub policy: FilterPolicy,
    /// Whether the device can reach other mesh devices and they can reach it.
    pub mesh: bool,
    /// The private key; `None` if it was generated in the browser.
    pub private_key: Option<PrivateKey>,
    pub public_key: PublicKey,
    pub preshared_key: PresharedKey,
    /// The id of the device's client in AdGuard Home, unique within the tenant:
    /// `mn-` and 16 random hexadecimal digits.
    pub client_id: String,
    pub now: Timestamp,
}

/// A stored device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The id, which is never reused.
    pub id: DeviceId,
    pub label: DeviceLabel,
    /// The address inside the tunnel.
    pub address: Ipv4Addr,
    pub public_key: PublicKey,
    /// Whether the private key is stored, so that the complete configuration can
    /// be shown again.
    pub has_private_key: bool,
    pub policy: FilterPolicy,
    /// Whether the device can reach other mesh devices and they can reach it.
    pub mesh: bool,
    /// Which traffic the device sends through the tunnel.
    pub routing: Routing,
    /// What else its configuration says.
    pub options: TunnelOptions,
    /// The id of the device's client in AdGuard Home.
    pub client_id: String,
    pub created_at: Timestamp,
    /// When the present keys were made.
    pub key_made_at: Timestamp,
    /// The latest recorded handshake.
    pub last_handshake: Option<Timestamp>,
    /// The address and port from which the device last sent packets.
    pub endpoint: Option<String>,
    /// The bytes received from the device in all.
    pub rx_total: u64,
    /// The bytes sent to the device in all.
    pub tx_total: u64,
    /// What of the interface's counters is in the totals: received and sent.
    pub counted: (u64, u64),
}

/// A device's secret keys, for its owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSecret {
    /// The private key; `None` if it was generated in the browser.
    pub private_key: Option<PrivateKey>,
    pub preshared_key: PresharedKey,
}

/// Keys that replace a device's present ones.
#[derive(Clone, Debug)]
pub struct NewDeviceKeys {
    pub private_key: PrivateKey,
    pub preshared_key: PresharedKey,
    pub now: Timestamp,
}

/// Changes to a device; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    pub label: Option<DeviceLabel>,
    pub policy: Option<FilterPolicy>,
    pub mesh: Option<bool>,
    pub routing: Option<Routing>,
    pub small_packets: Option<bool>,
    pub ipv4_only: Option<bool>,
}

impl DeviceRecord {
    /// Returns what of it can be changed.
    pub fn settings(&self) -> DeviceSettings {
        DeviceSettings {
            label: self.label.to_string(),
            policy: self.policy,
            mesh: self.mesh,
            routing: self.routing,
            options: self.options,
        }
    }
}

/// What of a device can be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSettings {
    pub label: String,
    pub policy: FilterPolicy,
    pub mesh: bool,
    pub routing: Routing,
    pub options: TunnelOptions,
}

#[derive(sqlx::FromRow)]
pub(crate) struct PeerRow {
    id: i64,
    device_label: String,
    vpn_ip: String,
    public_key: String,
    has_private_key: i64,
    dns_filtering_policy: String,
    mesh_routing: i64,
    routing: String,
    home_direct: i64,
    small_packets: i64,
    ipv4_only: i64,
    adguard_client_id: String,
    created_at: i64,
    key_made_at: Option<i64>,
    last_handshake: Option<i64>,
    endpoint: Option<String>,
    rx_total: i64,
    tx_total: i64,
    last_rx: i64,
    last_tx: i64,
}

macro_rules! peer_columns {
    () => {
        "id, device_label, vpn_ip, public_key, \
         CAST(CASE WHEN private_key = '' THEN 0 ELSE 1 END AS BIGINT) AS has_private_key, \
         dns_filtering_policy, mesh_routing, routing, home_direct, small_packets, ipv4_only, \
         adguard_client_id, created_at, key_made_at, last_handshake, endpoint, rx_total, tx_total, last_rx, last_tx"
    };
}

pub(crate) const DEVICES: &str = concat!(
    "SELECT ",
    peer_columns!(),
    " FROM peers WHERE user_id = $1 ORDER BY id"
);

const ONE: &str = concat!(
    "SELECT ",
    peer_columns!(),
    " FROM peers WHERE user_id = $1 AND id = $2"
);

pub(crate) fn corrupt(column: &str, id: i64) -> StoreError {
    StoreError::Corrupt(format!("peers.{column} of peer {id}"))
}

impl PeerRow {
    /// Combines the row with the tenant's counters. Until the first reading of
    /// the device its totals are in the columns, where the previous version
    /// stored them.
    pub(crate) fn into_record(self, counters: &TenantCounters) -> Result<DeviceRecord> {
        let mut r = self;
        let (mut rx_total, mut tx_total) = (unsigned(r.rx_total), unsigned(r.tx_total));
        let mut counted = (unsigned(r.last_rx), unsigned(r.last_tx));
        if let Some(d) = counters.device(r.id) {
            (rx_total, tx_total) = (d.total.rx, d.total.tx);
            counted = (d.last.rx, d.last.tx);
            r.last_handshake = d.handshake;
            r.endpoint = d.endpoint.map(|e| e.to_string());
        }
        let bad = |column| corrupt(column, r.id);
        Ok(DeviceRecord {
            id: DeviceId(r.id),
            label: DeviceLabel::stored(&r.device_label),
            address: r.vpn_ip.parse().map_err(|_| bad("vpn_ip"))?,
            public_key: PublicKey::parse(&r.public_key).map_err(|_| bad("public_key"))?,
            has_private_key: r.has_private_key != 0,
            policy: r
                .dns_filtering_policy
                .parse()
                .map_err(|_| bad("dns_filtering_policy"))?,
            mesh: r.mesh_routing != 0,
            routing: match r.routing.parse().map_err(|_| bad("routing"))? {
                Routing::Everything if r.home_direct != 0 => Routing::Internet,
                routing => routing,
            },
            options: TunnelOptions {
                small_packets: r.small_packets != 0,
                ipv4_only: r.ipv4_only != 0,
            },
            client_id: r.adguard_client_id,
            created_at: Timestamp(r.created_at),
            key_made_at: Timestamp(r.key_made_at.unwrap_or(r.created_at)),
            last_handshake: r.last_handshake.map(Timestamp),
            endpoint: r.endpoint,
            rx_total,
            tx_total,
            counted,
        })
    }
}

/// Returns the values of `routing` and `home_direct`. A release that does not know
/// `home_direct` reads a choice that it knows.
fn routing_columns(routing: Routing) -> (&'static str, i64) {
    match routing {
        Routing::Internet => (Routing::Everything.as_str(), 1),
        routing => (routing.as_str(), 0),
    }
}

impl Store {
    /// Lists the tenant's devices, oldest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn devices(&self, scope: &TenantReadScope) -> Result<Vec<DeviceRecord>> {
        let rows = fetch_all!(self.db.reader(), PeerRow, DEVICES, scope.tenant().0)?;
        let counters = self.counters(scope).await?;
        rows.into_iter().map(|r| r.into_record(&counters)).collect()
    }

    /// Lists the tenant's devices with their labels and addresses alone, oldest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn device_labels(
        &self,
        scope: &TenantReadScope,
    ) -> Result<Vec<(DeviceId, DeviceLabel, Ipv4Addr)>> {
        let sql = "SELECT id, device_label, vpn_ip FROM peers WHERE user_id = $1 ORDER BY id";
        let rows = fetch_all!(
            self.db.reader(),
            (i64, String, String),
            sql,
            scope.tenant().0
        )?;
        let read = |(id, label, address): (i64, String, String)| {
            let address = address.parse().map_err(|_| corrupt("vpn_ip", id))?;
            Ok((DeviceId(id), DeviceLabel::stored(&label), address))
        };
        rows.into_iter().map(read).collect()
    }

    /// Returns one of the tenant's devices.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], also for another tenant's device.
    pub async fn device(&self, scope: &TenantReadScope, id: DeviceId) -> Result<DeviceRecord> {
        let row = fetch_optional!(self.db.reader(), PeerRow, ONE, scope.tenant().0, id.0)?;
        let row = row.ok_or(StoreError::NotFound)?;
        row.into_record(&self.counters(scope).await?)
    }

    /// Returns the secret keys of one of the tenant's devices.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], also for another tenant's device.
    pub async fn device_secret(&self, scope: &TenantScope, id: DeviceId) -> Result<DeviceSecret> {
        let sql = "SELECT public_key, private_key, preshared_key FROM peers \
                   WHERE user_id = $1 AND id = $2";
        let row = fetch_optional!(
            self.db.reader(),
            (String, String, String),
            sql,
            scope.tenant().0,
            id.0
        )?;
        let (public_key, private_key, preshared_key) = row.ok_or(StoreError::NotFound)?;
        let private_key = match private_key.as_str() {
            "" => None,
            sealed => {
                let bytes = self.open_key(Purpose::DeviceKey, &public_key, sealed)?;
                Some(PrivateKey::from_random(*bytes))
            }
        };
        let preshared_key = self.open_preshared_key(&public_key, &preshared_key)?;
        Ok(DeviceSecret {
            private_key,
            preshared_key,
        })
    }
}

/// Does what [`Store::device`] does, within a transaction.
async fn device_in(tx: &mut Tx, scope: &TenantScope, id: DeviceId) -> Result<DeviceRecord> {
    let row = fetch_optional!(tx.connection(), PeerRow, ONE, scope.tenant().0, id.0)?;
    let row = row.ok_or(StoreError::NotFound)?;
    row.into_record(&counters_in(tx, scope).await?)
}
