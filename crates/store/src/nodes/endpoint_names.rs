//! Names of tenants' endpoints: which host each stands for, and what the operator's name
//! server has acknowledged.
//!
//! A row is written before the server is told, so that no record is forgotten whatever
//! ends the process. An acknowledgement counts only for the version that it is of: another
//! control plane may have told the server something newer meanwhile.

use crate::{
    Result, Store,
    db::{execute, fetch_all, fetch_optional, unsigned},
};
use domain::{NodeId, TenantId};

/// A node as far as names depend on it: no name of its tenants can have changed while these
/// are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamingNode {
    pub id: NodeId,
    pub generation: u64,
    /// `None` for the local node, whose host is a setting.
    pub host: Option<String>,
}

/// A tenant's name, and the record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTenant {
    pub tenant: TenantId,
    /// The tenant's own name, e.g. `lina`.
    pub username: String,
    /// The endpoint's name in its row, if it has one.
    pub name: Option<String>,
    /// What the server has acknowledged; `None` until then.
    pub host: Option<String>,
}

/// A record that the name server is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingName {
    pub name: String,
    pub version: u64,
    /// Where its tenant is; `None` if the record is to be removed.
    pub place: Option<NamingPlace>,
}

/// The node of a name's tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamingPlace {
    pub node: NodeId,
    /// `None` for the local node, whose host is a setting.
    pub host: Option<String>,
}

/// How many names there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameCounts {
    pub all: u64,
    /// Those of which the server has not acknowledged the newest.
    pub pending: u64,
}

/// The name of the setting that says why the server is not told.
const PROBLEM: &str = "endpoint_names.problem";

const TENANTS: &str = "SELECT users.id, users.username, endpoint_names.name, endpoint_names.host \
     FROM users LEFT JOIN endpoint_names ON endpoint_names.user_id = users.id \
     WHERE users.node_id = $1 AND users.generation >= $2 AND NOT EXISTS \
     (SELECT 1 FROM users others WHERE others.username = users.username || '-vpn')";

const PENDING: &str = "SELECT endpoint_names.name, endpoint_names.version, nodes.id, nodes.host \
     FROM endpoint_names JOIN users ON users.id = endpoint_names.user_id \
     JOIN nodes ON nodes.id = users.node_id \
     WHERE endpoint_names.host IS NULL AND endpoint_names.name > $1 \
     ORDER BY endpoint_names.name LIMIT $2";

const GONE: &str = "SELECT name, version FROM endpoint_names \
     WHERE user_id IS NULL ORDER BY name LIMIT $1";

impl Store {
    /// Returns the nodes, with what tells that a name of their tenants may have changed.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn naming_nodes(&self) -> Result<Vec<NamingNode>> {
        type Row = (i64, i64, Option<String>);
        let sql = "SELECT id, generation, host FROM nodes WHERE state <> 'removed' ORDER BY id";
        let rows = fetch_all!(self.db.reader(), Row, sql)?;
        let node = |(id, generation, host)| NamingNode {
            id: NodeId(id),
            generation: unsigned(generation),
            host,
        };
        Ok(rows.into_iter().map(node).collect())
    }

    /// Returns the tenants of a node that have changed at that generation or later, with
    /// their names. Left out are those whose name another tenant has as its own, e.g. `lina`
    /// beside an older tenant called `lina-vpn`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn named_tenants(&self, node: NodeId, since: u64) -> Result<Vec<NamedTenant>> {
        type Row = (i64, String, Option<String>, Option<String>);
        let since = i64::try_from(since).unwrap_or(i64::MAX);
        let rows = fetch_all!(self.db.reader(), Row, TENANTS, node.0, since)?;
        let tenant = |(id, username, name, host)| NamedTenant {
            tenant: TenantId(id),
            username,
            name,
            host,
        };
        Ok(rows.into_iter().map(tenant).collect())
    }

    /// Notes that the name server is to be told a tenant's endpoint. A name that it had
    /// before is to be removed. Does nothing for a tenant that was deleted.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_name(&self, name: &str, tenant: TenantId) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE endpoint_names SET user_id = NULL, host = NULL, version = version + 1 \
                   WHERE user_id = $1 AND name <> $2";
        execute!(tx.connection(), sql, tenant.0, name)?;
        let sql = "INSERT INTO endpoint_names (name, user_id, host, version) \
                   SELECT $1, id, NULL, 1 FROM users WHERE id = $2 \
                   ON CONFLICT (name) DO UPDATE SET user_id = excluded.user_id, host = NULL, \
                   version = endpoint_names.version + 1";
        execute!(tx.connection(), sql, name, tenant.0)?;
        tx.commit().await
    }

    /// Returns records that the name server is to be told, of names after `after`, and those
    /// that are to be removed; at most so many of each.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn pending_names(&self, after: &str, limit: u32) -> Result<Vec<PendingName>> {
        type Row = (String, i64, i64, Option<String>);
        let limit = i64::from(limit);
        let rows = fetch_all!(self.db.reader(), Row, PENDING, after, limit)?;
        let wanted = rows.into_iter().map(|(name, version, node, host)| {
            let node = NodeId(node);
            PendingName {
                name,
                version: unsigned(version),
                place: Some(NamingPlace { node, host }),
            }
        });
        let gone = fetch_all!(self.db.reader(), (String, i64), GONE, limit)?;
        let gone = gone.into_iter().map(|(name, version)| PendingName {
            name,
            version: unsigned(version),
            place: None,
        });
        Ok(wanted.chain(gone).collect())
    }

    /// Notes that the name server has acknowledged a record with that host, or that it is
    /// removed. Where something newer is to be told, that still is.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn acknowledge_name(&self, pending: &PendingName, host: Option<&str>) -> Result<()> {
        let name = &pending.name;
        let version = i64::try_from(pending.version).unwrap_or(i64::MAX);
        let done = match host {
            Some(host) => {
                let sql = "UPDATE endpoint_names SET host = $3, is_told = 1 \
                           WHERE name = $1 AND version = $2 AND user_id IS NOT NULL";
                execute!(self.db.writer(), sql, name, version, host)?
            }
            None => {
                let sql = "DELETE FROM endpoint_names \
                           WHERE name = $1 AND version = $2 AND user_id IS NULL";
                execute!(self.db.writer(), sql, name, version)?
            }
        };
        match done {
            // What the server has now may be this, or what is newer.
            0 => self.doubt_name(name).await,
            _ => Ok(()),
        }
    }

    /// Notes that the name server has something else: it is to be told again.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn doubt_name(&self, name: &str) -> Result<()> {
        let sql = "UPDATE endpoint_names SET host = NULL, version = version + 1 WHERE name = $1";
        execute!(self.db.writer(), sql, name).map(drop)
    }

    /// Forgets a record that is to be removed, and of which the server is not told.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn forget_name(&self, name: &str) -> Result<()> {
        let sql = "DELETE FROM endpoint_names WHERE name = $1 AND user_id IS NULL";
        execute!(self.db.writer(), sql, name).map(drop)
    }

    /// Returns records that the name server has acknowledged, in order, after that name.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn acknowledged_names(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, String)>> {
        let sql = "SELECT name, host FROM endpoint_names \
                   WHERE name > $1 AND host IS NOT NULL AND user_id IS NOT NULL \
                   ORDER BY name LIMIT $2";
        fetch_all!(
            self.db.reader(),
            (String, String),
            sql,
            after,
            i64::from(limit)
        )
    }

    /// Counts the names.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn name_counts(&self) -> Result<NameCounts> {
        let sql = "SELECT COUNT(*), COUNT(*) - COUNT(CASE WHEN user_id IS NOT NULL THEN host END) \
                   FROM endpoint_names";
        let row = fetch_optional!(self.db.reader(), (i64, i64), sql)?;
        let (all, pending) = row.unwrap_or_default();
        Ok(NameCounts {
            all: unsigned(all),
            pending: unsigned(pending),
        })
    }

    /// Notes why the name server cannot be told, as text; `None` if it can.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn note_naming_problem(&self, problem: Option<&str>) -> Result<()> {
        let done = match problem {
            Some(problem) => {
                let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) \
                           ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                execute!(self.db.writer(), sql, PROBLEM, problem)
            }
            None => {
                let sql = "DELETE FROM settings WHERE name = $1";
                execute!(self.db.writer(), sql, PROBLEM)
            }
        };
        done.map(drop)
    }

    /// Returns why the name server cannot be told, as it was noted.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn naming_problem(&self) -> Result<Option<String>> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        let row = fetch_optional!(self.db.reader(), (String,), sql, PROBLEM)?;
        Ok(row.map(|(value,)| value))
    }
}
