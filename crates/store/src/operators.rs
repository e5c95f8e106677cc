//! Operators: the accounts of those who run the installation.

use crate::{
    OperatorId, Result, Store, StoreError, TokenHash,
    audit::{self, AuditEntry},
    db::{Either, Tx, execute, fetch_all, fetch_optional},
};
use domain::{OperatorRole, Secret, Timestamp};

/// The number of valid links for the first operator: each start makes one.
const MAX_FIRST_LINKS: i64 = 10;

/// A stored operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRecord {
    /// The id, which is never reused.
    pub id: OperatorId,
    pub name: String,
    pub password_hash: Secret,
    pub role: OperatorRole,
    pub created_at: Timestamp,
    /// Whether a second factor of it holds.
    pub has_factor: bool,
}

type Row = (i64, String, String, String, i64, i64);

fn record((id, name, hash, role, created_at, factors): Row) -> Result<OperatorRecord> {
    Ok(OperatorRecord {
        id: OperatorId(id),
        role: role_of(&role, &name)?,
        name,
        password_hash: Secret::new(hash),
        created_at: Timestamp(created_at),
        has_factor: factors > 0,
    })
}

/// Reads the column `role` of an operator.
pub(crate) fn role_of(role: &str, name: &str) -> Result<OperatorRole> {
    let corrupt = || StoreError::Corrupt(format!("operators.role of {name}"));
    OperatorRole::parse(role).ok_or_else(corrupt)
}

/// An operator who was invited and has not chosen a password yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationRecord {
    pub name: String,
    pub role: OperatorRole,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A link by which an operator chooses a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorLinkRecord {
    /// The operator's name; the first operator chooses one.
    pub name: Option<String>,
    pub role: OperatorRole,
}

/// A link to make.
#[derive(Clone, Debug)]
pub struct NewOperatorLink<'a> {
    pub token: &'a TokenHash,
    pub now: Timestamp,
    pub expires: Timestamp,
}

/// Who changes operators, and when.
#[derive(Clone, Copy, Debug)]
pub struct ChangedBy<'a> {
    /// As the audit log names it.
    pub actor: &'a str,
    /// The prefix of its address.
    pub origin: &'a str,
    pub now: Timestamp,
}

fn entry(by: ChangedBy<'_>, action: &str, name: &str) -> AuditEntry {
    AuditEntry {
        at: by.now,
        actor: by.actor.to_owned(),
        action: action.to_owned(),
        object: format!("operator:{name}"),
        origin: by.origin.to_owned(),
        ..AuditEntry::default()
    }
}

/// Lets changes of operators queue, so that a count of owners holds until it is committed.
/// SQLite's transactions queue anyway.
pub(crate) async fn lock(tx: &mut Tx) -> Result<()> {
    if let Either::Postgres(c) = tx.connection() {
        let sql = "LOCK TABLE operators IN SHARE ROW EXCLUSIVE MODE";
        sqlx::query(sql).execute(c).await?;
    }
    Ok(())
}

async fn count(tx: &mut Tx, condition: &'static str) -> Result<i64> {
    let row = fetch_optional!(tx.connection(), (i64,), condition)?;
    Ok(row.map_or(0, |(n,)| n))
}

const ALL: &str = "SELECT COUNT(*) FROM operators";
const OWNERS: &str = "SELECT COUNT(*) FROM operators WHERE role = 'owner'";

/// # Errors
/// Returns [`StoreError::LastOwner`] if there is no other owner than this operator.
async fn keep_an_owner(tx: &mut Tx, of: &OperatorRecord) -> Result<()> {
    match of.role == OperatorRole::Owner && count(tx, OWNERS).await? <= 1 {
        true => Err(StoreError::LastOwner),
        false => Ok(()),
    }
}

async fn read(tx: &mut Tx, id: OperatorId) -> Result<OperatorRecord> {
    let row = fetch_optional!(tx.connection(), Row, ONE, id.0)?;
    row.map(record).ok_or(StoreError::NotFound)?
}

/// Reads operators, with the count of the second factors that hold.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, username, password_hash, role, created_at, \
             (SELECT COUNT(*) FROM factors f \
              WHERE f.operator_id = operators.id AND f.confirmed_at IS NOT NULL) \
             FROM operators ",
            $rest
        )
    };
}

const ONE: &str = select!("WHERE id = $1");

impl Store {
    /// Counts the operators; zero means a first start.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_count(&self) -> Result<u64> {
        let row = fetch_optional!(self.db.reader(), (i64,), ALL)?;
        Ok(row.map_or(0, |(n,)| u64::try_from(n).unwrap_or(0)))
    }

    /// Lists the operators by name.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operators(&self) -> Result<Vec<OperatorRecord>> {
        let sql = select!("ORDER BY username");
        let rows = fetch_all!(self.db.reader(), Row, sql)?;
        rows.into_iter().map(record).collect()
    }

    /// Lists those who were invited and whose link is still valid, by name.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_invitations(&self, now: Timestamp) -> Result<Vec<InvitationRecord>> {
        let sql = "SELECT name, role, created_at, expires_at FROM operator_links \
                   WHERE name IS NOT NULL AND expires_at > $1 ORDER BY name";
        let rows = fetch_all!(self.db.reader(), (String, String, i64, i64), sql, now.0)?;
        let invitation = |(name, role, created, expires): (String, String, i64, i64)| {
            Ok(InvitationRecord {
                role: role_of(&role, &name)?,
                name,
                created_at: Timestamp(created),
                expires_at: Timestamp(expires),
            })
        };
        rows.into_iter().map(invitation).collect()
    }

    /// Makes a link for the first operator. Returns whether there is none yet; otherwise
    /// nothing is made. Former links of this kind stay valid, all but the newest of them.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn create_first_operator_link(&self, new: NewOperatorLink<'_>) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        lock(&mut tx).await?;
        if count(&mut tx, ALL).await? > 0 {
            return Ok(false);
        }
        let sql = "DELETE FROM operator_links WHERE name IS NULL AND (expires_at <= $1 \
                   OR token_hash NOT IN (SELECT token_hash FROM operator_links \
                     WHERE name IS NULL ORDER BY expires_at DESC, token_hash LIMIT $2))";
        execute!(tx.connection(), sql, new.now.0, MAX_FIRST_LINKS - 1)?;
        insert_link(&mut tx, &new, None, OperatorRole::Owner).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Invites an operator; a former invitation of that name is replaced.
    ///
    /// # Errors
    /// Returns [`StoreError::OperatorNameTaken`].
    pub async fn invite_operator(
        &self,
        new: NewOperatorLink<'_>,
        name: &str,
        role: OperatorRole,
        by: ChangedBy<'_>,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        lock(&mut tx).await?;
        let sql = "SELECT id FROM operators WHERE username = $1";
        if fetch_optional!(tx.connection(), (i64,), sql, name)?.is_some() {
            return Err(StoreError::OperatorNameTaken);
        }
        let sql = "DELETE FROM operator_links WHERE name = $1 OR expires_at <= $2";
        execute!(tx.connection(), sql, name, new.now.0)?;
        insert_link(&mut tx, &new, Some(name), role).await?;
        let entry = AuditEntry {
            after: role.as_str().to_owned(),
            ..entry(by, "operator.invite", name)
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Withdraws an invitation.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`].
    pub async fn withdraw_operator_invitation(&self, name: &str, by: ChangedBy<'_>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM operator_links WHERE name = $1";
        if execute!(tx.connection(), sql, name)? == 0 {
            return Err(StoreError::NotFound);
        }
        audit::write(&mut tx, entry(by, "operator.withdraw", name)).await?;
        tx.commit().await
    }

    /// Finds a link that is still valid. Nothing is used up.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_link(
        &self,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<OperatorLinkRecord>> {
        let sql = "SELECT name, role FROM operator_links \
                   WHERE token_hash = $1 AND expires_at > $2";
        let row = fetch_optional!(
            self.db.reader(),
            (Option<String>, String),
            sql,
            token.as_str(),
            now.0
        )?;
        row.map(|(name, role)| link(name, &role)).transpose()
    }

    /// Uses a link up: creates its operator with that password. The first operator is
    /// called `chosen`.
    ///
    /// # Errors
    /// Returns [`StoreError::OperatorLinkInvalid`] for a link that was used, has expired, was
    /// withdrawn, or is for the first operator while there is one, and
    /// [`StoreError::OperatorNameTaken`]. Nothing is used up then.
    pub async fn use_operator_link(
        &self,
        token: &TokenHash,
        chosen: &str,
        password_hash: &Secret,
        origin: &str,
        now: Timestamp,
    ) -> Result<OperatorRecord> {
        let mut tx = self.db.begin().await?;
        lock(&mut tx).await?;
        let sql = "DELETE FROM operator_links WHERE token_hash = $1 AND expires_at > $2 \
                   RETURNING name, role";
        let used = fetch_optional!(
            tx.connection(),
            (Option<String>, String),
            sql,
            token.as_str(),
            now.0
        )?;
        let (name, role) = used.ok_or(StoreError::OperatorLinkInvalid)?;
        let link = link(name, &role)?;
        let name = match link.name {
            Some(name) => name,
            None if count(&mut tx, ALL).await? > 0 => return Err(StoreError::OperatorLinkInvalid),
            None => {
                let sql = "DELETE FROM operator_links WHERE name IS NULL";
                execute!(tx.connection(), sql)?;
                chosen.to_owned()
            }
        };
        let id = insert(&mut tx, &name, password_hash, link.role, now).await?;
        let actor = format!("operator:{name}");
        let by = ChangedBy {
            actor: &actor,
            origin,
            now,
        };
        let entry = AuditEntry {
            after: link.role.as_str().to_owned(),
            ..entry(by, "operator.create", &name)
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(OperatorRecord {
            id,
            name,
            password_hash: password_hash.clone(),
            role: link.role,
            created_at: now,
            has_factor: false,
        })
    }

    /// Gives an operator another role, in force with the next request.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`], and [`StoreError::LastOwner`] if no other owner
    /// would be left.
    pub async fn set_operator_role(
        &self,
        id: OperatorId,
        role: OperatorRole,
        by: ChangedBy<'_>,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        lock(&mut tx).await?;
        let operator = read(&mut tx, id).await?;
        if operator.role == role {
            return Ok(());
        }
        keep_an_owner(&mut tx, &operator).await?;
        let sql = "UPDATE operators SET role = $2 WHERE id = $1";
        execute!(tx.connection(), sql, id.0, role.as_str())?;
        let entry = AuditEntry {
            before: operator.role.as_str().to_owned(),
            after: role.as_str().to_owned(),
            ..entry(by, "operator.role", &operator.name)
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Removes an operator. Its sessions and tokens end at once.
    ///
    /// # Errors
    /// As [`Store::set_operator_role`].
    pub async fn remove_operator(&self, id: OperatorId, by: ChangedBy<'_>) -> Result<()> {
        let mut tx = self.db.begin().await?;
        lock(&mut tx).await?;
        let operator = read(&mut tx, id).await?;
        keep_an_owner(&mut tx, &operator).await?;
        execute!(tx.connection(), "DELETE FROM operators WHERE id = $1", id.0)?;
        let entry = AuditEntry {
            before: operator.role.as_str().to_owned(),
            ..entry(by, "operator.remove", &operator.name)
        };
        audit::write(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Finds an operator by name, for sign-in.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator_by_name(&self, name: &str) -> Result<Option<OperatorRecord>> {
        let sql = select!("WHERE username = $1");
        let row = fetch_optional!(self.db.reader(), Row, sql, name)?;
        row.map(record).transpose()
    }

    /// Finds an operator by id, for a session.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn operator(&self, id: OperatorId) -> Result<Option<OperatorRecord>> {
        let row = fetch_optional!(self.db.reader(), Row, ONE, id.0)?;
        row.map(record).transpose()
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
        let by = ChangedBy {
            actor: "system",
            origin: "",
            now,
        };
        audit::write(&mut tx, entry(by, "operator.password", &name)).await?;
        tx.commit().await
    }
}

fn link(name: Option<String>, role: &str) -> Result<OperatorLinkRecord> {
    Ok(OperatorLinkRecord {
        role: role_of(role, name.as_deref().unwrap_or_default())?,
        name,
    })
}

async fn insert_link(
    tx: &mut Tx,
    new: &NewOperatorLink<'_>,
    name: Option<&str>,
    role: OperatorRole,
) -> Result<()> {
    let sql = "INSERT INTO operator_links (token_hash, name, role, created_at, expires_at) \
               VALUES ($1, $2, $3, $4, $5)";
    execute!(
        tx.connection(),
        sql,
        new.token.as_str(),
        name,
        role.as_str(),
        new.now.0,
        new.expires.0
    )
    .map(drop)
}

async fn insert(
    tx: &mut Tx,
    name: &str,
    password_hash: &Secret,
    role: OperatorRole,
    now: Timestamp,
) -> Result<OperatorId> {
    let sql = "INSERT INTO operators (username, password_hash, role, created_at) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id";
    let inserted = fetch_optional!(
        tx.connection(),
        (i64,),
        sql,
        name,
        password_hash.expose(),
        role.as_str(),
        now.0
    )?;
    let (id,) = inserted.ok_or(StoreError::OperatorNameTaken)?;
    Ok(OperatorId(id))
}
