//! The keys that sign access tokens.

use crate::{
    Result, Store, StoreError,
    db::{execute, fetch_all, fetch_optional},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Timestamp;
use seal::Purpose;
use zeroize::Zeroizing;

/// A key that signs access tokens (Ed25519, RFC 8032).
#[derive(Clone)]
pub struct SigningKeyRecord {
    /// The id in the heads of tokens.
    pub kid: String,
    pub public_key: [u8; 32],
    /// The private key's seed (RFC 8032, 5.1.5).
    pub seed: Zeroizing<[u8; 32]>,
    pub created_at: Timestamp,
}

impl std::fmt::Debug for SigningKeyRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKeyRecord({})", self.kid)
    }
}

type Row = (String, String, String, i64);

const NEWEST: &str = "SELECT kid, public_key, private_key, created_at FROM api_keys \
     ORDER BY created_at DESC, kid LIMIT 1";
const ONE: &str = "SELECT kid, public_key, private_key, created_at FROM api_keys WHERE kid = $1";

impl Store {
    /// Returns the newest key.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn newest_signing_key(&self) -> Result<Option<SigningKeyRecord>> {
        let row = fetch_all!(self.db.reader(), Row, NEWEST)?.pop();
        row.map(|row| self.signing_key_record(row)).transpose()
    }

    /// Finds a key by its id.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn signing_key(&self, kid: &str) -> Result<Option<SigningKeyRecord>> {
        let row = fetch_optional!(self.db.reader(), Row, ONE, kid)?;
        row.map(|row| self.signing_key_record(row)).transpose()
    }

    fn signing_key_record(&self, row: Row) -> Result<SigningKeyRecord> {
        let (kid, public_key, sealed, created_at) = row;
        let corrupt = || StoreError::Corrupt(format!("api_keys of {kid}"));
        let public_key = STANDARD.decode(public_key).map_err(|_| corrupt())?;
        let seed = self.open_key(Purpose::ApiKey, &kid, &sealed)?;
        Ok(SigningKeyRecord {
            public_key: public_key.try_into().map_err(|_| corrupt())?,
            seed,
            created_at: Timestamp(created_at),
            kid,
        })
    }

    /// Stores a key, its seed sealed.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn create_signing_key(&self, key: &SigningKeyRecord) -> Result<()> {
        let sealed = self
            .sealer
            .seal(Purpose::ApiKey, &key.kid, key.seed.as_slice())?;
        let sql = "INSERT INTO api_keys (kid, public_key, private_key, created_at) \
                   VALUES ($1, $2, $3, $4)";
        execute!(
            self.db.writer(),
            sql,
            key.kid.as_str(),
            STANDARD.encode(key.public_key),
            sealed.as_str(),
            key.created_at.0
        )
        .map(drop)
    }

    /// Removes the keys from before `until`. Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn prune_signing_keys(&self, until: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM api_keys WHERE created_at < $1";
        execute!(self.db.writer(), sql, until.0)
    }
}
