//! A session store for tower-sessions. The published stores for sqlx need older
//! versions of sqlx and tower-sessions.
//!
//! The table contains the hash of the cookie's value, so that a copy of the table
//! does not allow to sign in. SHA-256 without salt is enough for a value of 128
//! random bits.

use crate::{
    Store, StoreError,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tower_sessions::{
    ExpiredDeletion, SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

/// How many random ids are tried. A collision among 2^128 ids is improbable; the
/// limit ends the loop if the database misbehaves.
const ATTEMPTS: usize = 8;

/// The hash of a session's id, under which the session is stored. It does not
/// allow to sign in. It identifies a session for whatever must end with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey(String);

impl SessionKey {
    /// Returns the key of the session with that id.
    pub fn of(id: &Id) -> Self {
        Self(hash(id))
    }

    pub(crate) fn from_row(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The sessions in a [`Store`].
#[derive(Clone, Debug)]
pub struct Sessions(Store);

impl Sessions {
    /// Stores sessions in this database.
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Removes expired sessions. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune(&self) -> crate::Result<u64> {
        let sql = "DELETE FROM sessions WHERE expires <= $1";
        execute!(self.0.db.writer(), sql, millis(OffsetDateTime::now_utc()))
    }

    /// Returns whether a session exists and has not expired.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn is_active(&self, key: &SessionKey) -> crate::Result<bool> {
        let sql = "SELECT expires FROM sessions WHERE id = $1 AND expires > $2";
        let now = millis(OffsetDateTime::now_utc());
        let row = fetch_optional!(self.0.db.reader(), (i64,), sql, key.as_str(), now)?;
        Ok(row.is_some())
    }

    async fn put(&self, sql: &'static str, record: &Record) -> Result<u64> {
        let data = serde_json::to_vec(&record.data).map_err(|e| Error::Encode(e.to_string()))?;
        let (id, expires) = (hash(&record.id), millis(record.expiry_date));
        execute!(self.0.db.writer(), sql, id, data, expires).map_err(backend)
    }
}

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let sql = "INSERT INTO sessions (id, data, expires) VALUES ($1, $2, $3) \
                   ON CONFLICT (id) DO NOTHING";
        for _ in 0..ATTEMPTS {
            if self.put(sql, record).await? == 1 {
                return Ok(());
            }
            record.id = Id::default();
        }
        Err(Error::Backend("no free session id".to_owned()))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        // Not an upsert, and a missing row is no error: a request that began
        // before the sign-out must not restore the session.
        let sql = "UPDATE sessions SET data = $2, expires = $3 WHERE id = $1";
        self.put(sql, record).await.map(drop)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let sql = "SELECT data, expires FROM sessions WHERE id = $1 AND expires > $2";
        let now = millis(OffsetDateTime::now_utc());
        let row = fetch_optional!(self.0.db.reader(), (Vec<u8>, i64), sql, hash(id), now);
        let Some((data, expires)) = row.map_err(backend)? else {
            return Ok(None);
        };
        let decode = |e: &dyn std::fmt::Display| Error::Decode(e.to_string());
        let nanos = i128::from(expires) * 1_000_000;
        Ok(Some(Record {
            id: *id,
            data: serde_json::from_slice(&data).map_err(|e| decode(&e))?,
            expiry_date: OffsetDateTime::from_unix_timestamp_nanos(nanos)
                .map_err(|e| decode(&e))?,
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let sql = "DELETE FROM sessions WHERE id = $1";
        let deleted = execute!(self.0.db.writer(), sql, hash(id));
        deleted.map(drop).map_err(backend)
    }
}

#[async_trait::async_trait]
impl ExpiredDeletion for Sessions {
    async fn delete_expired(&self) -> Result<()> {
        self.prune().await.map(drop).map_err(backend)
    }
}

fn hash(id: &Id) -> String {
    STANDARD.encode(Sha256::digest(id.0.to_le_bytes()))
}

fn millis(t: OffsetDateTime) -> i64 {
    i64::try_from(t.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn backend(e: StoreError) -> Error {
    Error::Backend(e.to_string())
}
