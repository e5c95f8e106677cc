//! Moving tenants from one node to another: the moves that the operator wants
//! (`moves`), the transaction that carries one out ([`switch`]), and what stays of a
//! tenant on the node that it left ([`moved`]).
//!
//! A tenant keeps its slot, so its port, its subnet and its addresses stay the same.

mod moved;
mod switch;

pub(crate) use moved::moved_from;
pub use switch::Switch;

use crate::{
    Result, Store, StoreError,
    audit::{self, Actor, AuditEntry},
    db::{execute, fetch_all, fetch_optional, unsigned},
    nodes::{lock, parse_slot, write_change},
};
use domain::{
    MoveReason, NodeId, NodeStanding, Problem, PublicKey, Slot, TenantId, TenantName, Timestamp,
};

/// The most moves that [`Store::moves`] lists.
const MAX_LISTED: i64 = 1_000;

/// A move to carry out.
#[derive(Clone, Debug)]
pub struct NewMove<'a> {
    pub tenant: TenantId,
    /// The new node; `None` for any.
    pub to: Option<NodeId>,
    /// Whether what AdGuard Home has stored is copied.
    pub with_data: bool,
    pub actor: Actor<'a>,
    pub now: Timestamp,
}

/// The move of all tenants of a node.
#[derive(Clone, Debug)]
pub struct Evacuation<'a> {
    pub node: NodeId,
    pub reason: MoveReason,
    /// Whether what AdGuard Homes have stored is copied.
    pub with_data: bool,
    pub actor: Actor<'a>,
    pub now: Timestamp,
}

/// A move that is still to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRecord {
    pub tenant: TenantId,
    pub name: TenantName,
    /// The slot, which the tenant keeps.
    pub slot: Slot,
    /// The node that it is to leave.
    pub from: NodeId,
    /// The node that it is on.
    pub node: NodeId,
    /// The new node; `None` for any.
    pub to: Option<NodeId>,
    pub reason: MoveReason,
    /// The public key of the tenant's tunnel.
    pub owner: PublicKey,
    /// Whether what AdGuard Home has stored is copied.
    pub with_data: bool,
    /// The bytes that the present attempt has copied.
    pub copied_bytes: u64,
    /// Who wants it.
    pub actor: String,
    pub begun_at: Timestamp,
    /// Why the last attempt failed.
    pub problem: Option<Problem>,
}

#[derive(sqlx::FromRow)]
struct Row {
    user_id: i64,
    username: String,
    slot: i64,
    node_id: i64,
    from_node: i64,
    to_node: Option<i64>,
    reason: String,
    wg_public_key: String,
    with_data: i64,
    copied_bytes: i64,
    actor: String,
    begun_at: i64,
    problem: Option<String>,
}

macro_rules! select_moves {
    ($condition:literal) => {
        concat!(
            "SELECT moves.user_id, users.username, users.slot, users.node_id, moves.from_node, \
             moves.to_node, moves.reason, moves.actor, moves.begun_at, moves.problem, \
             users.wg_public_key, moves.with_data, moves.copied_bytes \
             FROM moves JOIN users ON users.id = moves.user_id ",
            $condition
        )
    };
}

macro_rules! insert_all {
    () => {
        "INSERT INTO moves (user_id, from_node, reason, actor, begun_at, retry_at, with_data) \
         SELECT id, node_id, $2, $3, $4, $4, $5 FROM users WHERE node_id = $1 \
         ON CONFLICT (user_id) "
    };
}
impl TryFrom<Row> for MoveRecord {
    type Error = StoreError;
    fn try_from(r: Row) -> Result<Self> {
        let id = r.user_id;
        let corrupt = |column: &str| StoreError::Corrupt(format!("{column} of user {id}"));
        Ok(Self {
            tenant: TenantId(id),
            name: TenantName::parse(&r.username).map_err(|_| corrupt("users.username"))?,
            slot: parse_slot(r.slot).ok_or_else(|| corrupt("users.slot"))?,
            from: NodeId(r.from_node),
            node: NodeId(r.node_id),
            to: r.to_node.map(NodeId),
            reason: MoveReason::parse(&r.reason).ok_or_else(|| corrupt("moves.reason"))?,
            owner: PublicKey::parse(&r.wg_public_key)
                .map_err(|_| corrupt("users.wg_public_key"))?,
            with_data: r.with_data != 0,
            copied_bytes: unsigned(r.copied_bytes),
            actor: r.actor,
            begun_at: Timestamp(r.begun_at),
            // A newer version may have written another form.
            problem: r.problem.and_then(|json| serde_json::from_str(&json).ok()),
        })
    }
}

impl Store {
    /// Notes that a tenant is to be moved.
    ///
    /// # Errors
    /// Returns [`StoreError::MoveSameNode`], [`StoreError::MovePending`] if it is being
    /// moved already, and [`StoreError::NotFound`] for an unknown tenant or node.
    pub async fn begin_move(&self, new: NewMove<'_>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "SELECT username, node_id FROM users WHERE id = $1";
        let row = fetch_optional!(tx.connection(), (String, i64), sql, new.tenant.0)?;
        let (name, from) = row.ok_or(StoreError::NotFound)?;
        let mut detail = "to any node".to_owned();
        if let Some(to) = new.to {
            let found = lock(&mut tx, to).await?;
            if to.0 == from {
                return Err(StoreError::MoveSameNode { node: found.name });
            }
            detail = format!("to {}", found.name);
        }
        if !new.with_data {
            detail.push_str(", without data");
        }
        let sql = "INSERT INTO moves \
                   (user_id, from_node, to_node, reason, actor, begun_at, retry_at, with_data) \
                   VALUES ($1, $2, $3, $4, $5, $6, $6, $7) ON CONFLICT (user_id) DO NOTHING";
        let inserted = execute!(
            tx.connection(),
            sql,
            new.tenant.0,
            from,
            new.to.map(|n| n.0),
            MoveReason::Move.as_str(),
            new.actor.name,
            new.now.0,
            i64::from(new.with_data)
        )?;
        if inserted == 0 {
            return Err(StoreError::MovePending { name });
        }
        let entry = AuditEntry {
            at: new.now,
            actor: new.actor.name.to_owned(),
            action: "tenant.move".to_owned(),
            object: name,
            detail,
            tenant: Some(new.tenant),
            origin: new.actor.origin.to_owned(),
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Notes that all tenants of a node are to be moved, and closes it for new ones.
    /// Returns how many are to be moved. To do it again finds those that came since, and
    /// changes whether data is copied for all that are moved for the same reason.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`].
    pub async fn begin_evacuation(&self, new: Evacuation<'_>) -> Result<u64> {
        let (node, reason) = (new.node, new.reason);
        let mut tx = self.db.begin().await?;
        let found = lock(&mut tx, node).await?;
        if found.standing == NodeStanding::Open {
            let sql = "UPDATE nodes SET state = $2 WHERE id = $1";
            let closed = NodeStanding::Closed.as_str();
            execute!(tx.connection(), sql, node.0, closed)?;
        }
        // A move to a certain node that was begun before stays, except from a lost node.
        let sql = match reason {
            MoveReason::Lose => concat!(
                insert_all!(),
                "DO UPDATE SET reason = excluded.reason, retry_at = excluded.retry_at, \
                 with_data = excluded.with_data"
            ),
            MoveReason::Move | MoveReason::Drain => concat!(
                insert_all!(),
                "DO UPDATE SET retry_at = excluded.retry_at, with_data = excluded.with_data \
                 WHERE moves.reason = excluded.reason"
            ),
        };
        let with_data = i64::from(new.with_data);
        let reason = reason.as_str();
        execute!(
            tx.connection(),
            sql,
            node.0,
            reason,
            new.actor.name,
            new.now.0,
            with_data
        )?;
        let sql = "SELECT COUNT(*) FROM moves WHERE from_node = $1";
        let count = fetch_optional!(tx.connection(), (i64,), sql, node.0)?;
        let count = count.map_or(0, |(n,)| unsigned(n));
        let action = format!("node.{reason}");
        let data = match new.with_data {
            true => "",
            false => ", without data",
        };
        let detail = format!("{count} tenants{data}");
        // A revoked node stays revoked.
        let standing = match found.standing {
            NodeStanding::Open => NodeStanding::Closed,
            other => other,
        };
        let change = [found.standing, standing].map(|s| s.as_str().to_owned());
        let (now, name) = (new.now, found.name.as_str());
        write_change(
            &mut tx,
            now,
            new.actor,
            &action,
            name,
            change.into(),
            detail,
        )
        .await?;
        tx.commit().await?;
        Ok(count)
    }

    /// Ends the move of a tenant that was not carried out yet.
    ///
    /// # Errors
    /// Returns [`StoreError::MoveUnknown`] if there is none.
    pub async fn cancel_move(
        &self,
        tenant: TenantId,
        actor: impl Into<Actor<'_>>,
        now: Timestamp,
    ) -> Result<()> {
        let actor = actor.into();
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM moves WHERE user_id = $1";
        if execute!(tx.connection(), sql, tenant.0)? == 0 {
            return Err(StoreError::MoveUnknown);
        }
        let sql = "SELECT username FROM users WHERE id = $1";
        let name = fetch_optional!(tx.connection(), (String,), sql, tenant.0)?;
        let entry = AuditEntry {
            at: now,
            actor: actor.name.to_owned(),
            action: "tenant.move_cancel".to_owned(),
            object: name.map(|(name,)| name).unwrap_or_default(),
            tenant: Some(tenant),
            origin: actor.origin.to_owned(),
            ..AuditEntry::default()
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Lists the first 1,000 moves that are still to be carried out, in that order.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn moves(&self) -> Result<Vec<MoveRecord>> {
        let sql = select_moves!("ORDER BY moves.begun_at, moves.user_id LIMIT $1");
        let rows = fetch_all!(self.db.reader(), Row, sql, MAX_LISTED)?;
        rows.into_iter().map(MoveRecord::try_from).collect()
    }

    /// Returns the move of a tenant, if there is one.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn move_of(&self, tenant: TenantId) -> Result<Option<MoveRecord>> {
        let sql = select_moves!("WHERE moves.user_id = $1");
        let row = fetch_optional!(self.db.reader(), Row, sql, tenant.0)?;
        row.map(MoveRecord::try_from).transpose()
    }

    /// Returns the move that is to be carried out next, if one is due.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn next_move(&self, now: Timestamp) -> Result<Option<MoveRecord>> {
        let sql = select_moves!(
            "WHERE moves.retry_at <= $1 ORDER BY moves.retry_at, moves.user_id LIMIT 1"
        );
        let row = fetch_optional!(self.db.reader(), Row, sql, now.0)?;
        row.map(MoveRecord::try_from).transpose()
    }

    /// Notes how many bytes the present attempt has copied.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_move_copied(&self, tenant: TenantId, bytes: u64) -> Result<()> {
        let sql = "UPDATE moves SET copied_bytes = $2 WHERE user_id = $1";
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        execute!(self.db.writer(), sql, tenant.0, bytes).map(drop)
    }

    /// Notes why an attempt failed, and when the next one is due.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_move_failed(
        &self,
        tenant: TenantId,
        problem: &Problem,
        retry_at: Timestamp,
    ) -> Result<()> {
        let sql = "UPDATE moves SET problem = $2, retry_at = $3, copied_bytes = 0 \
                   WHERE user_id = $1";
        let json = serde_json::to_string(problem).unwrap_or_default();
        execute!(self.db.writer(), sql, tenant.0, json, retry_at.0).map(drop)
    }
}
