//! Devices: their records, read. [`crate::device_changes`] changes them.

use crate::{
    Purpose, Result, Store, StoreError,
    db::{Tx, fetch_all, fetch_optional},
    packed::Counters,
    series::counters_in,
};
use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Routing, TenantScope,
    Timestamp,
};
use std::net::Ipv4Addr;
use zeroize::Zeroizing;

/// A device to add. The address is found by the store.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// What the tenant calls it.
    pub label: DeviceLabel,
    /// What it sends through the tunnel.
    pub routing: Routing,
    /// What its DNS filter does.
    pub policy: FilterPolicy,
    /// Whether other mesh devices may reach it, and it them.
    pub mesh: bool,
    /// Its private key; `None` where the browser made and keeps it.
    pub private_key: Option<PrivateKey>,
    /// Its identity.
    pub public_key: PublicKey,
    /// Its symmetric layer.
    pub preshared_key: PresharedKey,
    /// The id of its client in AdGuard Home, unique within the tenant: `mn-`
    /// and 16 random hexadecimal digits.
    pub client_id: String,
    /// Now.
    pub now: Timestamp,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its id; never given twice.
    pub id: DeviceId,
    /// What the tenant calls it.
    pub label: DeviceLabel,
    /// Its address inside the tunnel.
    pub address: Ipv4Addr,
    /// Its identity.
    pub public_key: PublicKey,
    /// Whether its private key is kept here, so that its configuration can be
    /// shown again.
    pub has_private_key: bool,
    /// What its DNS filter does.
    pub policy: FilterPolicy,
    /// Whether other mesh devices may reach it, and it them.
    pub mesh: bool,
    /// What it sends through the tunnel.
    pub routing: Routing,
    /// The id of its client in AdGuard Home.
    pub client_id: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its last handshake, as last recorded.
    pub last_handshake: Option<Timestamp>,
    /// Where its packets came from last, address and port.
    pub endpoint: Option<String>,
    /// Bytes from it, in all.
    pub rx_total: u64,
    /// Bytes to it, in all.
    pub tx_total: u64,
}

/// A device's keys, for its owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSecret {
    /// Its private key; `None` where the browser made it.
    pub private_key: Option<PrivateKey>,
    /// Its symmetric layer.
    pub preshared_key: PresharedKey,
}

/// What should change of a device; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// A new label.
    pub label: Option<DeviceLabel>,
    /// A new DNS policy.
    pub policy: Option<FilterPolicy>,
    /// Whether it is reachable to other mesh devices.
    pub mesh: Option<bool>,
}

#[derive(sqlx::FromRow)]
pub(crate) struct DeviceRow {
    id: i64,
    device_label: String,
    vpn_ip: String,
    public_key: String,
    has_private_key: i64,
    dns_filtering_policy: String,
    mesh_routing: i64,
    routing: String,
    adguard_client_id: String,
    created_at: i64,
    last_handshake: Option<i64>,
    endpoint: Option<String>,
    rx_total: i64,
    tx_total: i64,
}

macro_rules! device_columns {
    () => {
        "id, device_label, vpn_ip, public_key, \
         CAST(CASE WHEN private_key = '' THEN 0 ELSE 1 END AS BIGINT) AS has_private_key, \
         dns_filtering_policy, mesh_routing, routing, adguard_client_id, created_at, \
         last_handshake, endpoint, rx_total, tx_total"
    };
}

pub(crate) const DEVICES: &str = concat!(
    "SELECT ",
    device_columns!(),
    " FROM peers WHERE user_id = $1 ORDER BY id"
);

const ONE: &str = concat!(
    "SELECT ",
    device_columns!(),
    " FROM peers WHERE user_id = $1 AND id = $2"
);

pub(crate) fn corrupt(column: &str, id: i64) -> StoreError {
    StoreError::Corrupt(format!("peers.{column} of peer {id}"))
}

impl DeviceRow {
    /// With what its tenant's counters say of it. The columns say what the
    /// version before counted, until the device is read for the first time.
    pub(crate) fn with(self, counters: &Counters) -> Result<DeviceRecord> {
        let mut r = self;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        let (mut rx_total, mut tx_total) = (count(r.rx_total), count(r.tx_total));
        if let Some(d) = counters.device(r.id) {
            (rx_total, tx_total) = (d.total.rx, d.total.tx);
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
            routing: r.routing.parse().map_err(|_| bad("routing"))?,
            client_id: r.adguard_client_id,
            created_at: Timestamp(r.created_at),
            last_handshake: r.last_handshake.map(Timestamp),
            endpoint: r.endpoint,
            rx_total,
            tx_total,
        })
    }
}

impl Store {
    /// The tenant's devices, oldest first.
    ///
    /// # Errors
    /// What the database said.
    pub async fn devices(&self, scope: &TenantScope) -> Result<Vec<DeviceRecord>> {
        let rows = fetch_all!(self.db.reader(), DeviceRow, DEVICES, scope.tenant().0)?;
        let counters = self.counters(scope).await?;
        rows.into_iter().map(|r| r.with(&counters)).collect()
    }

    /// One of the tenant's devices.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also where it is another tenant's.
    pub async fn device(&self, scope: &TenantScope, id: DeviceId) -> Result<DeviceRecord> {
        let row = fetch_optional!(self.db.reader(), DeviceRow, ONE, scope.tenant().0, id.0)?;
        let row = row.ok_or(StoreError::NotFound)?;
        row.with(&self.counters(scope).await?)
    }

    /// The keys of one of the tenant's devices, unsealed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], also where it is another tenant's.
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
        let preshared_key = self.open_preshared(&public_key, &preshared_key)?;
        Ok(DeviceSecret {
            private_key,
            preshared_key,
        })
    }

    pub(crate) fn open_key(
        &self,
        purpose: Purpose,
        public_key: &str,
        sealed: &str,
    ) -> Result<Zeroizing<[u8; 32]>> {
        let plain = self.sealer.open(purpose, public_key, sealed)?;
        let key = plain.as_slice().try_into().map(Zeroizing::new);
        key.map_err(|_| StoreError::Corrupt(format!("{purpose} of {public_key}")))
    }

    pub(crate) fn open_preshared(&self, public_key: &str, sealed: &str) -> Result<PresharedKey> {
        self.open_key(Purpose::DevicePresharedKey, public_key, sealed)
            .map(|bytes| PresharedKey::from_random(*bytes))
    }
}

/// The same as [`Store::device`] within a transaction.
pub(crate) async fn device_in(
    tx: &mut Tx,
    scope: &TenantScope,
    id: DeviceId,
) -> Result<DeviceRecord> {
    let row = fetch_optional!(tx.on(), DeviceRow, ONE, scope.tenant().0, id.0)?;
    let row = row.ok_or(StoreError::NotFound)?;
    row.with(&counters_in(tx, scope).await?)
}
