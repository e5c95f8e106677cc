//! Tenants (`users`). This file reads their records.

mod changes;
mod placement;
mod terms;

pub use placement::Placement;
pub use terms::{TenantChange, TenantTerms};

use crate::{
    Result, Store, StoreError, TokenHash,
    db::{fetch_all, fetch_optional},
    nodes::parse_slot,
    plans::{PlanRow, plan_columns},
    quota::{CountedRow, PeriodUse, counted_columns, current},
    statistics::{DeviceCounters, decode_counters},
};
use domain::{
    InvitationId, MailAddress, NodeId, PeriodRule, Plan, PrivateKey, PublicKey, QuotaState, Secret,
    Slot, TenantId, TenantName, TenantReadScope, TenantScope, Timestamp,
};
use std::{collections::BTreeMap, fmt};

/// A tenant to create. The store chooses the slot.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The operator who creates it, as the audit log names them; `None` is the tenant itself.
    pub actor: Option<String>,
    pub name: TenantName,
    /// The password's hash (argon2id, PHC text).
    pub password_hash: Secret,
    /// The plan's id.
    pub plan: String,
    /// The tunnel's private key.
    pub private_key: PrivateKey,
    /// The password with which the proxy signs in to the tenant's AdGuard Home.
    pub dns_password: Secret,
    /// The bcrypt hash of that password, for AdGuard Home's configuration.
    pub dns_password_hash: String,
    /// The time zone in which its months begin, e.g. `Europe/Berlin`.
    pub time_zone: String,
    /// The code of the invitation that is used, if the sign-up has one.
    pub invitation: Option<TokenHash>,
    /// The mail address that is to be the account's, if one was given.
    pub mail: Option<FirstMailAddress>,
    pub now: Timestamp,
}

/// The mail address that a new account is asked for. It is stored with the account, and its
/// link is queued with it: an end of the process in between would lose it.
#[derive(Clone, Debug)]
pub struct FirstMailAddress {
    pub address: MailAddress,
    /// The token of its link.
    pub token: Secret,
    pub expires: Timestamp,
}

/// Whether a tenant is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantState {
    Active,
    /// The operator suspended the tenant. It keeps its slot and files.
    Suspended,
}

impl TenantState {
    /// Returns the value of the column `users.state`.
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

/// A stored tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// The id, which is never reused.
    pub id: TenantId,
    pub name: TenantName,
    pub password_hash: Secret,
    pub plan: Plan,
    /// The node that runs the tenant's tunnel and DNS filter.
    pub node: NodeId,
    /// The tenant's slot on that node.
    pub slot: Slot,
    pub state: TenantState,
    /// Whether its month's data suffice, as it is in force.
    pub quota: QuotaState,
    /// The time zone in which its months begin.
    pub time_zone: String,
    /// The tunnel's public key.
    pub public_key: PublicKey,
    pub created_at: Timestamp,
    /// The invitation that it signed up with.
    pub invitation: Option<InvitationId>,
    /// Since when it sleeps, because no device has connected yet.
    pub asleep_since: Option<Timestamp>,
}

/// A tenant in the operator's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantListing {
    pub tenant: TenantRecord,
    /// The number of devices.
    pub devices: u32,
    /// The number of devices with a recent handshake.
    pub online: u32,
    /// What it has used of its month's data.
    pub used: PeriodUse,
}

#[derive(sqlx::FromRow)]
pub(crate) struct UserRow {
    id: i64,
    username: String,
    password_hash: String,
    node_id: i64,
    slot: i64,
    state: String,
    quota_state: String,
    time_zone: String,
    wg_public_key: String,
    created_at: i64,
    invitation_id: Option<i64>,
    asleep_since: Option<i64>,
    #[sqlx(flatten)]
    plan: PlanRow,
}

macro_rules! user_columns {
    () => {
        "users.id, users.username, users.password_hash, users.node_id, users.slot, users.state, \
         users.quota_state, users.time_zone, users.wg_public_key, users.created_at, \
         users.invitation_id, users.asleep_since"
    };
}

pub(crate) use user_columns;

impl TryFrom<UserRow> for TenantRecord {
    type Error = StoreError;
    fn try_from(r: UserRow) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt(format!("users.{column} of user {}", r.id));
        Ok(Self {
            id: TenantId(r.id),
            slot: parse_slot(r.slot).ok_or_else(|| corrupt("slot"))?,
            state: TenantState::parse(&r.state).ok_or_else(|| corrupt("state"))?,
            quota: QuotaState::parse(&r.quota_state).ok_or_else(|| corrupt("quota_state"))?,
            time_zone: r.time_zone,
            public_key: PublicKey::parse(&r.wg_public_key).map_err(|_| corrupt("wg_public_key"))?,
            name: TenantName::parse(&r.username).map_err(|_| corrupt("username"))?,
            password_hash: Secret::new(r.password_hash),
            plan: r.plan.try_into()?,
            node: NodeId(r.node_id),
            created_at: Timestamp(r.created_at),
            invitation: r.invitation_id.map(InvitationId),
            asleep_since: r.asleep_since.map(Timestamp),
        })
    }
}

impl TenantRecord {
    /// Returns when the tenant's months begin.
    pub fn rule(&self) -> PeriodRule {
        PeriodRule::new(&self.time_zone, self.plan.month_day)
    }
}

impl Store {
    /// Returns whether a name is taken. It serves the live check of a form only:
    /// a constraint of the database decides the sign-up itself.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn name_taken(&self, name: &TenantName) -> Result<bool> {
        let sql = "SELECT id FROM users WHERE username = $1";
        let found = fetch_optional!(self.db.reader(), (i64,), sql, name.as_str())?;
        Ok(found.is_some())
    }

    /// Finds a tenant by name, for sign-in and for resolving a host name.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenant_by_name(&self, name: &TenantName) -> Result<Option<TenantRecord>> {
        let sql = concat!(
            "SELECT ",
            user_columns!(),
            ", ",
            plan_columns!(),
            " FROM users JOIN plans ON plans.id = users.plan WHERE users.username = $1"
        );
        let row = fetch_optional!(self.db.reader(), UserRow, sql, name.as_str())?;
        row.map(TenantRecord::try_from).transpose()
    }

    /// Returns the name of a tenant, for an operator who acts on it.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenant_name(&self, id: TenantId) -> Result<Option<TenantName>> {
        let sql = "SELECT username FROM users WHERE id = $1";
        let row = fetch_optional!(self.db.reader(), (String,), sql, id.0)?;
        let corrupt = || StoreError::Corrupt(format!("users.username of user {}", id.0));
        row.map(|(name,)| TenantName::parse(&name).map_err(|_| corrupt()))
            .transpose()
    }

    /// Returns the names of the tenants with ids from `first` to `last`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenant_names(
        &self,
        first: TenantId,
        last: TenantId,
    ) -> Result<BTreeMap<TenantId, String>> {
        let sql = "SELECT id, username FROM users WHERE id BETWEEN $1 AND $2";
        let rows = fetch_all!(self.db.reader(), (i64, String), sql, first.0, last.0)?;
        let named = rows.into_iter().map(|(id, name)| (TenantId(id), name));
        Ok(named.collect())
    }

    /// Returns the tenant of the scope.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn tenant(&self, scope: &TenantReadScope) -> Result<TenantRecord> {
        let sql = concat!(
            "SELECT ",
            user_columns!(),
            ", ",
            plan_columns!(),
            " FROM users JOIN plans ON plans.id = users.plan WHERE users.id = $1"
        );
        let row = fetch_optional!(self.db.reader(), UserRow, sql, scope.tenant().0)?;
        row.ok_or(StoreError::NotFound)?.try_into()
    }

    /// Returns the password with which the proxy signs in to the tenant's AdGuard
    /// Home.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn dns_password(&self, scope: &TenantScope) -> Result<Secret> {
        let sql = "SELECT username, dns_password FROM users WHERE id = $1";
        let row = fetch_optional!(self.db.reader(), (String, String), sql, scope.tenant().0)?;
        let (name, sealed) = row.ok_or(StoreError::NotFound)?;
        self.open_dns_password(&name, &sealed)
    }

    /// Lists every tenant by node and slot, with the number of its devices, of those
    /// with a handshake after `online_since`, and what it has used at `now`. A deleted device counts as
    /// online until the tenant's next reading.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn tenants(
        &self,
        online_since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<TenantListing>> {
        #[derive(sqlx::FromRow)]
        struct Row {
            #[sqlx(flatten)]
            tenant: UserRow,
            #[sqlx(flatten)]
            counted: CountedRow,
            devices: i64,
            counters: Option<Vec<u8>>,
        }
        let sql = concat!(
            "SELECT ",
            user_columns!(),
            ", ",
            plan_columns!(),
            ", ",
            counted_columns!(),
            ", COALESCE(of_user.devices, 0) AS devices, tenant_traffic.counters \
             FROM users JOIN plans ON plans.id = users.plan \
             LEFT JOIN tenant_traffic ON tenant_traffic.user_id = users.id \
             LEFT JOIN (SELECT user_id, COUNT(*) AS devices FROM peers GROUP BY user_id) AS of_user \
               ON of_user.user_id = users.id ORDER BY users.node_id, users.slot"
        );
        let rows = fetch_all!(self.db.reader(), Row, sql)?;
        let listing = |r: Row| {
            let counters = decode_counters(r.tenant.id, r.counters.as_deref())?;
            let is_online = |d: &&DeviceCounters| d.handshake.is_some_and(|at| at > online_since.0);
            let devices = u32::try_from(r.devices).unwrap_or(u32::MAX);
            let online = counters.devices.iter().filter(is_online).count();
            let tenant = TenantRecord::try_from(r.tenant)?;
            Ok(TenantListing {
                used: current(r.counted.counted(), || tenant.rule(), now),
                tenant,
                devices,
                online: u32::try_from(online).unwrap_or(u32::MAX).min(devices),
            })
        };
        rows.into_iter().map(listing).collect()
    }
}
