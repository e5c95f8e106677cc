//! What is remembered of each node, and what the operator changes of it.
//!
//! A removed node keeps its row, as `removed`: events name it, and its id is never given
//! twice. No function here finds it.

use crate::{
    LOCAL_NODE, Result, Store, StoreError,
    audit::{self, Actor, AuditEntry},
    db::{Tx, execute, fetch_all, fetch_optional, unsigned},
};
use domain::{MoveReason, NodeHost, NodeId, NodeStanding, TenantScope, Timestamp};

/// The longest version of a worker's program that is stored, in bytes.
const MAX_VERSION: usize = 64;

/// A stored node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    pub id: NodeId,
    /// What the operator calls it.
    pub name: String,
    /// The host that devices connect to; the local node has none.
    pub host: Option<String>,
    pub standing: NodeStanding,
    /// The number of its tenants.
    pub tenants: u32,
    /// When a worker was last heard from.
    pub last_heard: Option<Timestamp>,
    /// The version of a worker's program.
    pub version: Option<String>,
    /// Until when a worker's certificate is valid.
    pub certificate_expires: Option<Timestamp>,
}

impl NodeRecord {
    /// Returns whether it is a machine that joined. The node of a control plane is none,
    /// until that machine joins too.
    pub fn is_worker(&self) -> bool {
        self.id != LOCAL_NODE || self.certificate_expires.is_some()
    }
}

/// What an operator changes of a node. What is `None` stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeChange<'a> {
    pub host: Option<&'a NodeHost>,
    pub standing: Option<NodeStanding>,
}

/// What of a node an operator can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeTerms {
    /// A worker's host; that of the local node is a setting.
    pub host: Option<String>,
    pub standing: NodeStanding,
}

impl NodeTerms {
    fn are_of(&self, node: &NodeRecord) -> bool {
        self.standing == node.standing && (!node.is_worker() || self.host == node.host)
    }
}

/// The host of a tenant's endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHost {
    /// The tenant's node.
    pub node: NodeId,
    /// The node's own host, if it has one.
    pub host: Option<String>,
    /// The endpoint's own name, if the name server has acknowledged it.
    pub name: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    name: String,
    host: Option<String>,
    state: String,
    tenants: i64,
    last_heard: Option<i64>,
    version: Option<String>,
    certificate_expires: Option<i64>,
}

macro_rules! node_columns {
    () => {
        "id, name, host, state, tenants, last_heard, version, certificate_expires"
    };
}

impl TryFrom<Row> for NodeRecord {
    type Error = StoreError;
    fn try_from(r: Row) -> Result<Self> {
        let state = || StoreError::Corrupt(format!("nodes.state of node {}", r.id));
        Ok(Self {
            id: NodeId(r.id),
            standing: NodeStanding::parse(&r.state).ok_or_else(state)?,
            name: r.name,
            host: r.host,
            tenants: u32::try_from(unsigned(r.tenants)).unwrap_or(u32::MAX),
            last_heard: r.last_heard.map(Timestamp),
            version: r.version,
            certificate_expires: r.certificate_expires.map(Timestamp),
        })
    }
}

impl Store {
    /// Lists the nodes, by id. Takes as long with a million tenants as with none.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        let sql = concat!(
            "SELECT ",
            node_columns!(),
            " FROM nodes WHERE state <> 'removed' ORDER BY id"
        );
        let rows = fetch_all!(self.db.reader(), Row, sql)?;
        rows.into_iter().map(NodeRecord::try_from).collect()
    }

    /// Returns a node.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if it does not exist or was removed.
    pub async fn node(&self, node: NodeId) -> Result<NodeRecord> {
        let sql = concat!(
            "SELECT ",
            node_columns!(),
            " FROM nodes WHERE id = $1 AND state <> 'removed'"
        );
        let row = fetch_optional!(self.db.reader(), Row, sql, node.0)?;
        row.ok_or(StoreError::NotFound)?.try_into()
    }

    /// Returns the host that a tenant's devices connect to.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted.
    pub async fn endpoint_host(&self, scope: &TenantScope) -> Result<EndpointHost> {
        type Row = (i64, Option<String>, Option<String>);
        let sql = "SELECT nodes.id, nodes.host, endpoint_names.name FROM users \
                   JOIN nodes ON nodes.id = users.node_id LEFT JOIN endpoint_names \
                   ON endpoint_names.user_id = users.id AND endpoint_names.is_told = 1 \
                   WHERE users.id = $1";
        let row = fetch_optional!(self.db.reader(), Row, sql, scope.tenant().0)?;
        let (node, host, name) = row.ok_or(StoreError::NotFound)?;
        let node = NodeId(node);
        Ok(EndpointHost { node, host, name })
    }

    /// Notes that a worker was heard from, and which version it runs.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_heard(&self, node: NodeId, version: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE nodes SET last_heard = $2, version = $3 \
                   WHERE id = $1 AND state <> 'removed'";
        let version = stored_version(version);
        execute!(self.db.writer(), sql, node.0, now.0, version).map(drop)
    }

    /// Opens or closes a node for new tenants, or revokes a worker's certificate. Does
    /// nothing if it is so already. From a node that is opened no more tenants are moved,
    /// except by a move of a single one.
    ///
    /// # Errors
    /// Returns [`StoreError::NodeIsRevoked`] for a revoked node, which only joining again
    /// opens, [`StoreError::NodeIsLocal`] if the local one is to be revoked, and
    /// [`StoreError::NotFound`].
    pub async fn set_standing(
        &self,
        node: NodeId,
        standing: NodeStanding,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<()> {
        let change = NodeChange {
            standing: Some(standing),
            ..NodeChange::default()
        };
        let changed = self.change_node_if(node, change, None, actor, now);
        changed.await.map(drop)
    }

    /// Gives a worker another host. Returns the number of devices of its tenants, which
    /// have to be configured again; 0 if it has that host already.
    ///
    /// # Errors
    /// Returns [`StoreError::NodeIsLocal`] for the local node, whose host is a setting,
    /// and [`StoreError::NotFound`].
    pub async fn set_node_host(
        &self,
        node: NodeId,
        host: &NodeHost,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<u64> {
        let change = NodeChange {
            host: Some(host),
            ..NodeChange::default()
        };
        self.change_node_if(node, change, None, actor, now).await
    }

    /// Does what [`Store::set_standing`] and [`Store::set_node_host`] do, together and only
    /// if the node is still as expected.
    ///
    /// # Errors
    /// As there; [`StoreError::Changed`] if it is not. Nothing is changed then.
    pub async fn change_node_if(
        &self,
        node: NodeId,
        change: NodeChange<'_>,
        expected: Option<&NodeTerms>,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<u64> {
        let actor = actor.into();
        let mut tx = self.db.begin().await?;
        // A sign-up that holds the row has its tenant; a later one finds the new state.
        let found = lock(&mut tx, node).await?;
        if expected.is_some_and(|expected| !expected.are_of(&found)) {
            return Err(StoreError::Changed);
        }
        let mut devices = 0;
        if let Some(host) = change.host {
            devices = set_host_in(&mut tx, &found, host, actor, now).await?;
        }
        if let Some(standing) = change.standing {
            set_standing_in(&mut tx, &found, standing, actor, now).await?;
        }
        tx.commit().await?;
        Ok(devices)
    }

    /// Removes a worker. Its certificate is refused from then on, and its name may be
    /// given again.
    ///
    /// # Errors
    /// Returns [`StoreError::NodeInUse`] while it has tenants, [`StoreError::NodeIsLocal`]
    /// for the local node, and [`StoreError::NotFound`].
    pub async fn remove_node(
        &self,
        node: NodeId,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<()> {
        let actor = actor.into();
        let mut tx = self.db.begin().await?;
        let found = lock(&mut tx, node).await?;
        if !found.is_worker() {
            return Err(StoreError::NodeIsLocal);
        }
        let tenants = count_tenants(&mut tx, node).await?;
        if tenants > 0 {
            let tenants = u32::try_from(tenants).unwrap_or(u32::MAX);
            return Err(StoreError::NodeInUse { tenants });
        }
        // No name of a node begins so.
        let sql = "UPDATE nodes SET state = 'removed', name = $2, certificate_serial = NULL, \
                   previous_serial = NULL, public_key = NULL WHERE id = $1";
        execute!(tx.connection(), sql, node.0, format!("#{node}"))?;
        let sql = "DELETE FROM node_tokens WHERE node_id = $1";
        execute!(tx.connection(), sql, node.0)?;
        let detail = format!("node {node}");
        let change = (found.host.clone().unwrap_or_default(), String::new());
        write_change(
            &mut tx,
            now,
            actor,
            "node.remove",
            &found.name,
            change,
            detail,
        )
        .await?;
        tx.commit().await
    }
}

/// Returns the version as it is stored: short and without line breaks.
pub(super) fn stored_version(version: &str) -> String {
    let end = version.floor_char_boundary(MAX_VERSION);
    version[..end].replace(char::is_control, " ")
}

/// Locks a node's row until the end of the transaction, and returns it.
pub(crate) async fn lock(tx: &mut Tx, node: NodeId) -> Result<NodeRecord> {
    let sql = concat!(
        "UPDATE nodes SET generation = generation WHERE id = $1 AND state <> 'removed' RETURNING ",
        node_columns!()
    );
    let row = fetch_optional!(tx.connection(), Row, sql, node.0)?;
    row.ok_or(StoreError::NotFound)?.try_into()
}

/// Counts a node's tenants, at most as many as it has slots.
pub(crate) async fn count_tenants(tx: &mut Tx, node: NodeId) -> Result<u64> {
    let sql = "SELECT COUNT(*) FROM users WHERE node_id = $1";
    let row = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
    Ok(row.map_or(0, |(n,)| unsigned(n)))
}

/// Stores the number of a node's tenants, which has changed in this transaction.
pub(crate) async fn store_tenant_count(tx: &mut Tx, node: NodeId) -> Result<()> {
    let sql = "UPDATE nodes SET tenants = (SELECT COUNT(*) FROM users WHERE node_id = $1) \
               WHERE id = $1";
    execute!(tx.connection(), sql, node.0).map(drop)
}

/// Writes an audit entry about a node.
pub(crate) async fn write_entry(
    tx: &mut Tx,
    at: Timestamp,
    actor: Actor<'_>,
    action: &str,
    node: &str,
    detail: String,
) -> Result<()> {
    let nothing = (String::new(), String::new());
    write_change(tx, at, actor, action, node, nothing, detail).await
}

/// Writes an audit entry about a change of a node: what it was, what it is, and details.
pub(crate) async fn write_change(
    tx: &mut Tx,
    at: Timestamp,
    actor: Actor<'_>,
    action: &str,
    node: &str,
    (before, after): (String, String),
    detail: String,
) -> Result<()> {
    let entry = AuditEntry {
        at,
        actor: actor.name.to_owned(),
        action: action.to_owned(),
        object: node.to_owned(),
        detail,
        tenant: None,
        origin: actor.origin.to_owned(),
        before,
        after,
    };
    audit::write(tx, entry).await
}

/// Ends the moves of all tenants of a node, except of those that are moved by themselves.
async fn end_evacuation(tx: &mut Tx, node: NodeId) -> Result<()> {
    let sql = "DELETE FROM moves WHERE from_node = $1 AND reason <> $2";
    let reason = MoveReason::Move.as_str();
    execute!(tx.connection(), sql, node.0, reason).map(drop)
}

async fn set_host_in(
    tx: &mut Tx,
    found: &NodeRecord,
    host: &NodeHost,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<u64> {
    if !found.is_worker() {
        return Err(StoreError::NodeIsLocal);
    }
    if found.host.as_deref() == Some(host.as_str()) {
        return Ok(0);
    }
    let sql = "UPDATE nodes SET host = $2 WHERE id = $1";
    execute!(tx.connection(), sql, found.id.0, host.as_str())?;
    let sql = "SELECT COUNT(*) FROM peers JOIN users ON users.id = peers.user_id \
               WHERE users.node_id = $1";
    let count = fetch_optional!(tx.connection(), (i64,), sql, found.id.0)?;
    let devices = count.map_or(0, |(n,)| unsigned(n));
    let change = (found.host.clone().unwrap_or_default(), host.to_string());
    let detail = format!("{devices} devices");
    write_change(tx, now, actor, "node.host", &found.name, change, detail).await?;
    Ok(devices)
}

async fn set_standing_in(
    tx: &mut Tx,
    found: &NodeRecord,
    standing: NodeStanding,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    if found.standing == standing {
        return Ok(());
    }
    if found.standing == NodeStanding::Revoked {
        return Err(StoreError::NodeIsRevoked);
    }
    if standing == NodeStanding::Revoked && !found.is_worker() {
        return Err(StoreError::NodeIsLocal);
    }
    let sql = "UPDATE nodes SET state = $2 WHERE id = $1";
    execute!(tx.connection(), sql, found.id.0, standing.as_str())?;
    if standing == NodeStanding::Open {
        end_evacuation(tx, found.id).await?;
    }
    let action = match standing {
        NodeStanding::Open => "node.open",
        NodeStanding::Closed => "node.close",
        NodeStanding::Revoked => "node.revoke",
    };
    let words = [found.standing, standing].map(|s| s.as_str().to_owned());
    let change = words.into();
    write_change(tx, now, actor, action, &found.name, change, String::new()).await
}
