//! A session store for tower-sessions. The published stores for sqlx need older
//! versions of sqlx and tower-sessions.
//!
//! The table contains the hash of the cookie's value, so that a copy of the table
//! does not allow to sign in. SHA-256 without salt is enough for a value of 128
//! random bits.

use crate::{
    Store, StoreError, TicketHolder,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
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

    /// Returns the key of that text, which may be none of a session.
    pub fn of_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn from_row(text: String) -> Self {
        Self(text)
    }

    /// Returns the key as it is stored: base64 of 32 bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The client of a session, as a list of sessions shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientDescription {
    /// The browser or program, e.g. `Firefox`; empty if it is not known.
    pub browser: String,
    /// The operating system, e.g. `Android`; empty if it is not known.
    pub system: String,
    /// Its address, or the /64 of an IPv6 address.
    pub address: String,
}

/// What a session is. It is stored in the session's data, and in columns by which the sessions
/// of an account are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetails {
    pub holder: TicketHolder,
    /// The holder's name at the time of the sign-in.
    pub name: String,
    /// The kind of host on which it is valid.
    pub audience: String,
    /// The session that it ends with.
    pub parent: Option<SessionKey>,
    /// The value of the holder's password. Loading a session returns that of the column, which
    /// changes for a session that goes on when the password is changed in it.
    pub proof: String,
    /// Whether it lasts beyond a day.
    pub stays: bool,
    pub client: ClientDescription,
    /// The time of the sign-in.
    pub begun: Timestamp,
}

impl SessionDetails {
    /// Where a session's data have them.
    pub const KEY: &str = "details";
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

    async fn insert(&self, record: &Record) -> Result<u64> {
        let details = record.data.get(SessionDetails::KEY).cloned();
        let details = details.map(serde_json::from_value::<SessionDetails>);
        let details = details.transpose();
        let details = details.map_err(|e| Error::Encode(e.to_string()))?;
        let (user, operator) = details
            .as_ref()
            .map_or((None, None), |d| d.holder.columns());
        let parent = details.as_ref().and_then(|d| d.parent.clone());
        let client = details.as_ref().map(|d| d.client.clone());
        let client = client.unwrap_or_default();
        let begun = details.as_ref().map_or(0, |d| d.begun.0);
        let sql = "INSERT INTO sessions (id, data, expires, user_id, operator_id, audience, \
                   parent, proof, browser, system, address, begun, used_at, present_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12) \
                   ON CONFLICT (id) DO NOTHING";
        let inserted = execute!(
            self.0.db.writer(),
            sql,
            hash(&record.id),
            encode(record)?,
            millis(record.expiry_date),
            user,
            operator,
            details.as_ref().map_or("", |d| d.audience.as_str()),
            parent.map(|p| p.0),
            details.as_ref().map_or("", |d| d.proof.as_str()),
            client.browser,
            client.system,
            client.address,
            begun
        );
        inserted.map_err(backend)
    }
}

#[async_trait::async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        for _ in 0..ATTEMPTS {
            if self.insert(record).await? == 1 {
                return Ok(());
            }
            record.id = Id::default();
        }
        Err(Error::Backend("no free session id".to_owned()))
    }

    async fn save(&self, record: &Record) -> Result<()> {
        // Not an upsert, and a missing row is no error: a request that began
        // before the sign-out must not restore the session.
        let sql = "UPDATE sessions SET data = $2, expires = $3, used_at = $4 WHERE id = $1";
        let (data, now) = (encode(record)?, millis(OffsetDateTime::now_utc()));
        let (id, expires) = (hash(&record.id), millis(record.expiry_date));
        let saved = execute!(self.0.db.writer(), sql, id, data, expires, now);
        saved.map(drop).map_err(backend)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        type Row = (Vec<u8>, i64, String);
        let sql = "SELECT data, expires, proof FROM sessions WHERE id = $1 AND expires > $2";
        let now = millis(OffsetDateTime::now_utc());
        let row = fetch_optional!(self.0.db.reader(), Row, sql, hash(id), now);
        let Some((data, expires, proof)) = row.map_err(backend)? else {
            return Ok(None);
        };
        let decode = |e: &dyn std::fmt::Display| Error::Decode(e.to_string());
        let mut data: HashMap<String, Value> =
            serde_json::from_slice(&data).map_err(|e| decode(&e))?;
        if let Some(Value::Object(details)) = data.get_mut(SessionDetails::KEY) {
            details.insert("proof".to_owned(), Value::String(proof));
        }
        let nanos = i128::from(expires) * 1_000_000;
        Ok(Some(Record {
            id: *id,
            data,
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

fn encode(record: &Record) -> Result<Vec<u8>> {
    serde_json::to_vec(&record.data).map_err(|e| Error::Encode(e.to_string()))
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
