//! The answers of requests that may be repeated: a client that did not get the answer sends
//! the request again with the same key, and what it asked for is done once.

use crate::{
    Result, Store,
    db::{execute, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Timestamp;
use seal::Purpose;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The hash of a client's key and of who sent it, so that two clients may use one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerKey(String);

impl AnswerKey {
    /// Hashes the key of the client that is called `sender`.
    pub fn of(sender: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(sender);
        hash.update([0]);
        hash.update(key);
        Self(STANDARD.encode(hash.finalize()))
    }
}

/// What is known of a request with a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the caller carries it out.
    New,
    /// Another request with that key is being carried out.
    Pending,
    /// The key was used for another request.
    OtherRequest,
    /// It was carried out, with this answer.
    Answered(Zeroizing<Vec<u8>>),
}

impl Store {
    /// Claims a key for a request, which is given by its hash, until `expires`.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn claim_answer(
        &self,
        key: &AnswerKey,
        request: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Claim> {
        let mut tx = self.db.begin().await?;
        let sql = "DELETE FROM api_answers WHERE key = $1 AND expires_at <= $2";
        execute!(tx.connection(), sql, key.0.as_str(), now.0)?;
        let sql = "INSERT INTO api_answers (key, request, answer, expires_at) \
                   VALUES ($1, $2, '', $3) ON CONFLICT (key) DO NOTHING";
        let claimed = execute!(tx.connection(), sql, key.0.as_str(), request, expires.0)?;
        let claim = if claimed > 0 {
            Claim::New
        } else {
            let sql = "SELECT request, answer FROM api_answers WHERE key = $1";
            let row = fetch_optional!(tx.connection(), (String, String), sql, key.0.as_str())?;
            match row {
                Some((other, _)) if other != request => Claim::OtherRequest,
                Some((_, sealed)) if !sealed.is_empty() => {
                    let answer = self.sealer.open(Purpose::ApiAnswer, &key.0, &sealed)?;
                    Claim::Answered(answer)
                }
                _ => Claim::Pending,
            }
        };
        tx.commit().await?;
        Ok(claim)
    }

    /// Stores the answer of a request whose key was claimed, sealed.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn store_answer(
        &self,
        key: &AnswerKey,
        answer: &[u8],
        expires: Timestamp,
    ) -> Result<()> {
        let sealed = self.sealer.seal(Purpose::ApiAnswer, &key.0, answer)?;
        let sql = "UPDATE api_answers SET answer = $2, expires_at = $3 WHERE key = $1";
        execute!(
            self.db.writer(),
            sql,
            key.0.as_str(),
            sealed.as_str(),
            expires.0
        )
        .map(drop)
    }

    /// Gives a key back: the request was refused, and may be sent again, changed.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn forget_answer(&self, key: &AnswerKey) -> Result<()> {
        let sql = "DELETE FROM api_answers WHERE key = $1";
        execute!(self.db.writer(), sql, key.0.as_str()).map(drop)
    }

    /// Removes the answers that expired before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_answers(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM api_answers WHERE expires_at <= $1";
        execute!(self.db.writer(), sql, until.0)
    }
}
