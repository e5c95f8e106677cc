//! The audit log: who did what. The entry of a change is written in the same
//! transaction as the change.

use crate::{
    Result, Store,
    db::{Either, Tx, execute, fetch_all, fetch_optional},
    mail,
};
use domain::{TenantId, TenantScope, Timestamp, view::AuditRow};
use std::ops::Range;

/// Who makes a change, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Actor<'a> {
    /// As the audit log names it.
    pub name: &'a str,
    /// The prefix of the address that the request came from; empty where there is none.
    pub origin: &'a str,
}

impl<'a> From<&'a str> for Actor<'a> {
    /// Returns who acts without a request.
    fn from(name: &'a str) -> Self {
        let origin = "";
        Self { name, origin }
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// Who acted: a tenant's name or `operator:<name>`.
    pub actor: String,
    /// What was done, e.g. `session.refused`.
    pub action: String,
    /// The object of the action, e.g. `abcd/My phone`.
    pub object: String,
    /// Further details as text, without secrets.
    pub detail: String,
    /// The tenant concerned, if any.
    pub tenant: Option<TenantId>,
    /// The prefix of the address that the request came from; empty where there is none.
    pub origin: String,
    /// What was changed, as it was, without secrets.
    pub before: String,
    /// What was changed, as it is, without secrets.
    pub after: String,
}

const INSERT: &str = "INSERT INTO audit_log (at, actor, action, object, detail, user_id, \
     origin, before, after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

macro_rules! insert {
    ($on:expr, $e:expr) => {{
        let e = $e;
        let tenant = e.tenant.map(|t| t.0);
        execute!(
            $on, INSERT, e.at.0, e.actor, e.action, e.object, e.detail, tenant, e.origin, e.before,
            e.after
        )
        .map(drop)
    }};
}

/// Which entries are read. What is not given does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub tenant: Option<TenantId>,
    /// Entries from then on.
    pub since: Option<Timestamp>,
    /// Entries before then.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Returns the index of the columns that are given, and which number it adds to the id
    /// (migration 0025); `None` without a column.
    pub(crate) const fn index(&self) -> Option<(&'static str, i64)> {
        Some(match (self.tenant, &self.actor, &self.action) {
            (None, None, None) => return None,
            (Some(_), None, None) => ("audit_log_user", 1),
            (None, Some(_), None) => ("audit_log_actor", 2),
            (Some(_), Some(_), None) => ("audit_log_user_actor", 3),
            (None, None, Some(_)) => ("audit_log_action", 4),
            (Some(_), None, Some(_)) => ("audit_log_user_action", 5),
            (None, Some(_), Some(_)) => ("audit_log_actor_action", 6),
            (Some(_), Some(_), Some(_)) => ("audit_log_user_actor_action", 7),
        })
    }

    /// Returns the number that the index adds to the id.
    fn added(&self) -> i64 {
        self.index().map_or(0, |(_, added)| added)
    }
}

/// Which entries come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// Returns the query of the entries that match a filter, with ids of a range. All
/// columns that are given have one index with the id, and times are turned into ids by another
/// query, so that a long log is not read through. Neither database would always take that index:
/// SQLite is told its name, and PostgreSQL finds the order in that index alone; what is said of
/// times keeps it from the index of times.
pub(crate) fn matching(filter: &AuditFilter, order: Order, is_sqlite: bool) -> String {
    let given = |is_given: bool, condition: &'static str, unused: &'static str| match is_given {
        true => condition,
        false => unused,
    };
    let (id, by) = match filter.index() {
        None => ("id".to_owned(), String::new()),
        Some((index, added)) if is_sqlite => {
            (format!("id + {added}"), format!("INDEXED BY {index}"))
        }
        Some((_, added)) => (format!("id + {added}"), String::new()),
    };
    format!(
        "SELECT id, at, actor, action, object, detail, origin, before, after FROM audit_log \
         {by} WHERE {id} < $1 AND {id} >= $2 AND {} AND {} AND {} AND {} AND {} \
         ORDER BY {id} {} LIMIT $8",
        given(filter.actor.is_some(), "actor = $3", "$3 = ''"),
        given(filter.action.is_some(), "action = $4", "$4 = ''"),
        given(
            filter.tenant.is_some(),
            "user_id = $5",
            "$5 = CAST(0 AS BIGINT)"
        ),
        given(
            filter.since.is_some(),
            "(at >= $6) IS NOT FALSE",
            "$6 = CAST(0 AS BIGINT)"
        ),
        given(
            filter.until.is_some(),
            "(at < $7) IS NOT FALSE",
            "$7 = CAST(0 AS BIGINT)"
        ),
        match order {
            Order::NewestFirst => "DESC",
            Order::OldestFirst => "ASC",
        },
    )
}

/// Finds an entry from before a time, the last one.
pub(crate) const LAST_BEFORE: &str =
    "SELECT id FROM audit_log WHERE at < $1 ORDER BY at DESC, id DESC LIMIT 1";
/// Finds an entry from then on, the first one.
pub(crate) const FIRST_SINCE: &str =
    "SELECT id FROM audit_log WHERE at >= $1 ORDER BY at, id LIMIT 1";

/// By how much the clocks of control planes may differ, so that an entry with a higher id has
/// an earlier time.
const CLOCK_SLACK_MILLIS: i64 = 60_000;

pub(crate) const BEFORE: &str = "SELECT id, at, actor, action, object, detail, origin, before, after FROM audit_log \
     WHERE id < $1 ORDER BY id DESC LIMIT $2";

/// What an operator did to its own account.
pub(crate) const OF_OPERATOR: &str = "SELECT id, at, actor, action, object, detail, origin, \
     before, after FROM audit_log WHERE actor = $1 AND object = $1 ORDER BY id + 8 DESC LIMIT $2";

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: i64,
    actor: String,
    action: String,
    object: String,
    detail: String,
    origin: String,
    before: String,
    after: String,
}

impl From<Row> for (i64, AuditRow) {
    fn from(r: Row) -> Self {
        let row = AuditRow {
            at: Timestamp(r.at),
            actor: r.actor,
            action: r.action,
            object: r.object,
            detail: r.detail,
            origin: r.origin,
            before: r.before,
            after: r.after,
        };
        (r.id, row)
    }
}

impl Store {
    /// Writes an entry about an action that changes nothing in the store. Changes
    /// write their own entries.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit(&self, e: AuditEntry) -> Result<()> {
        insert!(self.db.writer(), e)
    }

    /// Removes the entries before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_audit(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM audit_log WHERE at < $1";
        execute!(self.db.writer(), sql, until.0)
    }

    /// Lists the latest entries, newest first.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit_recent(&self, limit: u32) -> Result<Vec<AuditRow>> {
        let rows = self.audit_before(i64::MAX, limit).await?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Lists entries with their ids, newest first, from before the one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit_before(&self, before: i64, limit: u32) -> Result<Vec<(i64, AuditRow)>> {
        let limit = i64::from(limit);
        let rows = fetch_all!(self.db.reader(), Row, BEFORE, before, limit)?;
        Ok(rows.into_iter().map(Row::into).collect())
    }

    /// Lists the entries that match a filter with their ids, newest first, from before the
    /// one with the id `before`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit_matching(
        &self,
        filter: &AuditFilter,
        before: i64,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRow)>> {
        // Of entries whose times differ by more than clocks do, the later has the higher id.
        let mut least = 0;
        if let Some(since) = filter.since {
            let earlier = since.plus_millis(-CLOCK_SLACK_MILLIS);
            least = self.audit_id(LAST_BEFORE, earlier).await?.unwrap_or(0);
        }
        let mut before = before;
        if let Some(until) = filter.until {
            let later = until.plus_millis(CLOCK_SLACK_MILLIS);
            let next = self.audit_id(FIRST_SINCE, later).await?;
            before = before.min(next.unwrap_or(i64::MAX));
        }
        let range = least..before;
        self.audit_in(filter, Order::NewestFirst, range, limit)
            .await
    }

    /// Lists the entries that match a filter with their ids, oldest first, from behind the one
    /// with the id `after`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn audit_after(
        &self,
        filter: &AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRow)>> {
        let range = after.saturating_add(1)..i64::MAX;
        self.audit_in(filter, Order::OldestFirst, range, limit)
            .await
    }

    /// Lists the entries that match a filter and have ids of a range.
    async fn audit_in(
        &self,
        filter: &AuditFilter,
        order: Order,
        ids: Range<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRow)>> {
        let is_sqlite = matches!(self.db.reader(), Either::Sqlite(_));
        let sql = sqlx::AssertSqlSafe(matching(filter, order, is_sqlite));
        let rows = fetch_all!(
            self.db.reader(),
            Row,
            sql,
            ids.end.saturating_add(filter.added()),
            ids.start.saturating_add(filter.added()),
            filter.actor.as_deref().unwrap_or_default(),
            filter.action.as_deref().unwrap_or_default(),
            filter.tenant.map_or(0, |t| t.0),
            filter.since.map_or(0, |t| t.0),
            filter.until.map_or(0, |t| t.0),
            i64::from(limit)
        )?;
        Ok(rows.into_iter().map(Row::into).collect())
    }

    /// Lists what an operator did to its own account, newest first.
    pub(crate) async fn audit_of_operator(
        &self,
        logged: &str,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRow)>> {
        let limit = i64::from(limit);
        let rows = fetch_all!(self.db.reader(), Row, OF_OPERATOR, logged, limit)?;
        Ok(rows.into_iter().map(Row::into).collect())
    }

    async fn audit_id(&self, sql: &'static str, at: Timestamp) -> Result<Option<i64>> {
        let row = fetch_optional!(self.db.reader(), (i64,), sql, at.0)?;
        Ok(row.map(|(id,)| id))
    }
}

/// Writes an entry within a transaction.
pub(crate) async fn write(tx: &mut Tx, e: AuditEntry) -> Result<()> {
    mail::queue_notice(tx, &e).await?;
    insert!(tx.connection(), e)
}

/// Writes an entry about the scope's tenant within a transaction.
pub(crate) async fn write_scoped(
    tx: &mut Tx,
    scope: &TenantScope,
    at: Timestamp,
    action: &str,
    object: String,
    detail: String,
) -> Result<()> {
    let entry = AuditEntry {
        at,
        actor: scope.actor().to_owned(),
        action: action.to_owned(),
        object,
        detail,
        tenant: Some(scope.tenant()),
        origin: scope.origin().to_owned(),
        ..AuditEntry::default()
    };
    write(tx, entry).await
}

/// Writes an entry about a change of the scope's tenant within a transaction: what it was
/// and what it is.
pub(crate) async fn write_change(
    tx: &mut Tx,
    scope: &TenantScope,
    at: Timestamp,
    action: &str,
    object: String,
    (before, after): (String, String),
) -> Result<()> {
    let entry = AuditEntry {
        at,
        actor: scope.actor().to_owned(),
        action: action.to_owned(),
        object,
        tenant: Some(scope.tenant()),
        origin: scope.origin().to_owned(),
        before,
        after,
        ..AuditEntry::default()
    };
    write(tx, entry).await
}
