//! Operators: the accounts of those who run the installation.

use crate::{
    Result, Store, StoreError,
    audit::{self, AuditEntry},
    db::fetch_optional,
};
use domain::{Secret, Timestamp};

/// The id of a row in `operators`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId(pub i64);

/// A stored operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// The id, which is never reused.
    pub id: OperatorId,
    pub name: String,
    pub password_hash: Secret,
    pub created_at: Timestamp,
}

type Row = (i64, String, String, i64);

fn record((id, name, hash, created_at): Row) -> OperatorRecord {
    OperatorRecord {
        id: OperatorId(id),
        name,
        password_hash: Secret::new(hash),
        created_at: Timestamp(created_at),
    }
}

fn entry(name: &str, action: &str, now: Timestamp) -> AuditEntry {
    AuditEntry {
        at: now,
        // Operators are created at the first start or on the command line, never
        // over the network.
        actor: "system".to_owned(),
        action: action.to_owned(),
        object: format!("operator:{name}"),
        detail: String::new(),
        tenant: None,
    }
}

impl Store {
    /// Counts the operators; zero means a first start.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_count(&self) -> Result<u64> {
        let row = fetch_optional!(self.db.reader(), (i64,), "SELECT COUNT(*) FROM operators")?;
        Ok(row.map_or(0, |(n,)| u64::try_from(n).unwrap_or(0)))
    }

    /// Creates an operator.
    ///
    /// # Errors
    /// Returns [`StoreError::NameTaken`].
    pub async fn create_operator(
        &self,
        name: &str,
        password_hash: &Secret,
        now: Timestamp,
    ) -> Result<OperatorRecord> {
        let mut tx = self.db.begin().await?;
        let sql = "INSERT INTO operators (username, password_hash, created_at) \
                   VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id";
        let inserted = fetch_optional!(
            tx.connection(),
            (i64,),
            sql,
            name,
            password_hash.expose(),
            now.0
        )?;
        let (id,) = inserted.ok_or(StoreError::NameTaken)?;
        audit::write(&mut tx, entry(name, "operator.create", now)).await?;
        tx.commit().await?;
        Ok(OperatorRecord {
            id: OperatorId(id),
            name: name.to_owned(),
            password_hash: password_hash.clone(),
            created_at: now,
        })
    }

    /// Finds an operator by name, for sign-in.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_by_name(&self, name: &str) -> Result<Option<OperatorRecord>> {
        let sql = "SELECT id, username, password_hash, created_at FROM operators \
                   WHERE username = $1";
        Ok(fetch_optional!(self.db.reader(), Row, sql, name)?.map(record))
    }

    /// Finds an operator by id, for a session.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator(&self, id: OperatorId) -> Result<Option<OperatorRecord>> {
        let sql = "SELECT id, username, password_hash, created_at FROM operators WHERE id = $1";
        Ok(fetch_optional!(self.db.reader(), Row, sql, id.0)?.map(record))
    }

    /// Replaces an operator's password.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`].
    pub async fn set_operator_password(
        &self,
        id: OperatorId,
        password_hash: &Secret,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE operators SET password_hash = $2 WHERE id = $1 RETURNING username";
        let row = fetch_optional!(
            tx.connection(),
            (String,),
            sql,
            id.0,
            password_hash.expose()
        )?;
        let (name,) = row.ok_or(StoreError::NotFound)?;
        audit::write(&mut tx, entry(&name, "operator.password", now)).await?;
        tx.commit().await
    }
}
