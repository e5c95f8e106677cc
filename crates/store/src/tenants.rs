//! Tenants: their records, read. [`crate::tenant_changes`] changes them.

use crate::{
    Purpose, Result, Store, StoreError,
    db::{fetch_all, fetch_optional},
    packed::Device,
    plans::{PlanRow, plan_columns},
    statistics::decode,
};
use domain::{
    NodeId, Plan, PrivateKey, PublicKey, Secret, Slot, TenantId, TenantName, TenantScope, Timestamp,
};
use std::{collections::BTreeSet, fmt};

/// What a sign-up brings. The slot is found by the store.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The name, checked.
    pub name: TenantName,
    /// The password's hash (argon2id, PHC text).
    pub password_hash: Secret,
    /// The plan's key.
    pub plan: String,
    /// The tunnel's private key.
    pub private_key: PrivateKey,
    /// The password our proxy presents to the tenant's AdGuard Home.
    pub dns_password: Secret,
    /// Its bcrypt hash, as AdGuard Home keeps it.
    pub dns_password_hash: String,
    /// Now.
    pub now: Timestamp,
}

/// Where a new tenant may go.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Slots that are not given away, because the host has their port or
    /// interface in use.
    pub excluded: &'a BTreeSet<Slot>,
    /// Tenants the node may hold in all; `None` is as many as it has slots.
    pub most: Option<u32>,
}

impl<'a> From<&'a BTreeSet<Slot>> for Places<'a> {
    /// Every slot but these.
    fn from(excluded: &'a BTreeSet<Slot>) -> Self {
        Self {
            excluded,
            most: None,
        }
    }
}

/// Whether a tenant is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantState {
    /// It is.
    Active,
    /// The operator has suspended it: it keeps its slot and files.
    Suspended,
}

impl TenantState {
    /// Its key in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended]
            .into_iter()
            .find(|s| s.as_str() == text)
    }
}

impl fmt::Display for TenantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// Its id; never given twice.
    pub id: TenantId,
    /// Its name.
    pub name: TenantName,
    /// The password's hash.
    pub password_hash: Secret,
    /// What it signed up for.
    pub plan: Plan,
    /// The node that holds it.
    pub node: NodeId,
    /// The slot it holds there.
    pub slot: Slot,
    /// Whether it is served.
    pub state: TenantState,
    /// The tunnel's public key.
    pub public_key: PublicKey,
    /// When it signed up.
    pub created_at: Timestamp,
}

/// A tenant in the operator's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantListing {
    /// The tenant.
    pub tenant: TenantRecord,
    /// Devices it has.
    pub devices: u32,
    /// Devices whose last handshake is recent enough.
    pub online: u32,
}

#[derive(sqlx::FromRow)]
pub(crate) struct TenantRow {
    id: i64,
    username: String,
    password_hash: String,
    node_id: i64,
    slot: i64,
    state: String,
    wg_public_key: String,
    created_at: i64,
    #[sqlx(flatten)]
    plan: PlanRow,
}

macro_rules! tenant_columns {
    () => {
        "users.id, users.username, users.password_hash, users.node_id, users.slot, users.state, \
         users.wg_public_key, users.created_at"
    };
}

pub(crate) use tenant_columns;

impl TryFrom<TenantRow> for TenantRecord {
    type Error = StoreError;
    fn try_from(r: TenantRow) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt(format!("users.{column} of user {}", r.id));
        Ok(Self {
            id: TenantId(r.id),
            slot: parse_slot(r.slot).ok_or_else(|| corrupt("slot"))?,
            state: TenantState::parse(&r.state).ok_or_else(|| corrupt("state"))?,
            public_key: PublicKey::parse(&r.wg_public_key).map_err(|_| corrupt("wg_public_key"))?,
            name: TenantName::parse(&r.username).map_err(|_| corrupt("username"))?,
            password_hash: Secret::new(r.password_hash),
            plan: r.plan.try_into()?,
            node: NodeId(r.node_id),
            created_at: Timestamp(r.created_at),
        })
    }
}

pub(crate) fn parse_slot(n: i64) -> Option<Slot> {
    u16::try_from(n).ok().and_then(Slot::new)
}

impl Store {
    /// Whether a name is taken. For the live check of a form only: the
    /// sign-up itself is decided by the constraint.
    ///
    /// # Errors
    /// What the database said.
    pub async fn name_taken(&self, name: &TenantName) -> Result<bool> {
        let sql = "SELECT id FROM users WHERE username = $1";
        let found = fetch_optional!(self.db.reader(), (i64,), sql, name.as_str())?;
        Ok(found.is_some())
    }

    /// A tenant by its name: for signing in, and for turning a host into a tenant.
    ///
    /// # Errors
    /// What the database said.
    pub async fn tenant_by_name(&self, name: &TenantName) -> Result<Option<TenantRecord>> {
        let sql = concat!(
            "SELECT ",
            tenant_columns!(),
            ", ",
            plan_columns!(),
            " FROM users JOIN plans ON plans.id = users.plan WHERE users.username = $1"
        );
        let row = fetch_optional!(self.db.reader(), TenantRow, sql, name.as_str())?;
        row.map(TenantRecord::try_from).transpose()
    }

    /// The tenant acted for.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] where it has been deleted.
    pub async fn tenant(&self, scope: &TenantScope) -> Result<TenantRecord> {
        let sql = concat!(
            "SELECT ",
            tenant_columns!(),
            ", ",
            plan_columns!(),
            " FROM users JOIN plans ON plans.id = users.plan WHERE users.id = $1"
        );
        let row = fetch_optional!(self.db.reader(), TenantRow, sql, scope.tenant().0)?;
        row.ok_or(StoreError::NotFound)?.try_into()
    }

    /// The password our proxy presents to the tenant's AdGuard Home.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn dns_password(&self, scope: &TenantScope) -> Result<Secret> {
        let sql = "SELECT username, dns_password FROM users WHERE id = $1";
        let row = fetch_optional!(self.db.reader(), (String, String), sql, scope.tenant().0)?;
        let (name, sealed) = row.ok_or(StoreError::NotFound)?;
        self.open_dns_password(&name, &sealed)
    }

    /// Every tenant, by node and slot, with its number of devices and of those
    /// whose last handshake is later than `online_since`. A device that was
    /// deleted counts as online until its tenant's next reading.
    ///
    /// # Errors
    /// What the database said.
    pub async fn tenants(&self, online_since: Timestamp) -> Result<Vec<TenantListing>> {
        #[derive(sqlx::FromRow)]
        struct Row {
            #[sqlx(flatten)]
            tenant: TenantRow,
            devices: i64,
            counters: Option<Vec<u8>>,
        }
        let sql = concat!(
            "SELECT ",
            tenant_columns!(),
            ", ",
            plan_columns!(),
            ", (SELECT COUNT(*) FROM peers WHERE peers.user_id = users.id) AS devices, \
             (SELECT counters FROM tenant_traffic WHERE user_id = users.id) AS counters \
             FROM users JOIN plans ON plans.id = users.plan ORDER BY users.node_id, users.slot"
        );
        let rows = fetch_all!(self.db.reader(), Row, sql)?;
        let listing = |r: Row| {
            let counters = decode(r.tenant.id, r.counters.as_deref())?;
            let since = |d: &&Device| d.handshake.is_some_and(|at| at > online_since.0);
            let devices = u32::try_from(r.devices).unwrap_or(u32::MAX);
            let online = counters.devices.iter().filter(since).count();
            Ok(TenantListing {
                tenant: r.tenant.try_into()?,
                devices,
                online: u32::try_from(online).unwrap_or(u32::MAX).min(devices),
            })
        };
        rows.into_iter().map(listing).collect()
    }

    pub(crate) fn open_dns_password(&self, name: &str, sealed: &str) -> Result<Secret> {
        let plain = self.sealer.open(Purpose::DnsPassword, name, sealed)?;
        let text = std::str::from_utf8(&plain)
            .map_err(|_| StoreError::Corrupt(format!("users.dns_password of {name}")))?;
        Ok(Secret::new(text))
    }
}
