//! Sessions of tower-sessions in the same database. (The crates that offer
//! this stand on older versions of sqlx and tower-sessions.)
//!
//! The cookie's value is kept as its hash: a copy of the table signs nobody
//! in. A plain SHA-256 is enough, since the value is 128 random bits.

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

/// Ids drawn until one is free. Two of 2^128 do not meet; a loop still ends.
const TRIES: usize = 8;

/// Under which name a session is kept: its id's hash, with which nobody can
/// sign in. For what must end with a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey(String);

impl SessionKey {
    /// The name of the session with that id.
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

/// The session store of a [`Store`].
#[derive(Clone, Debug)]
pub struct Sessions(Store);

impl Sessions {
    /// Keeps sessions in this database.
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Removes expired sessions. Returns how many went.
    ///
    /// # Errors
    /// What the database said.
    pub async fn prune(&self) -> crate::Result<u64> {
        let sql = "DELETE FROM sessions WHERE expires <= $1";
        execute!(self.0.db.writer(), sql, millis(OffsetDateTime::now_utc()))
    }

    /// Whether a session is still there and has not expired.
    ///
    /// # Errors
    /// What the database said.
    pub async fn is_kept(&self, key: &SessionKey) -> crate::Result<bool> {
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
        for _ in 0..TRIES {
            if self.put(sql, record).await? == 1 {
                return Ok(());
            }
            record.id = Id::default();
        }
        Err(Error::Backend("no free session id".to_owned()))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        // No upsert, and no row is no error: a request that began before
        // somebody signed out must not bring the session back.
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
        let done = execute!(self.0.db.writer(), sql, hash(id));
        done.map(drop).map_err(backend)
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
