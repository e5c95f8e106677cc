//! The keys that sign access tokens. A key signs for 30 days; then the next is made. It stays
//! known for longer than a token is valid. Several control planes share the keys by the
//! database, and each may make one.

use super::signer;
use crate::{entropy::Entropy, failures::store_failure};
use domain::{ErrorCode, Failure, Message, Timestamp};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{SigningKeyRecord, Store};
use zeroize::Zeroizing;

const DAY_MILLIS: i64 = 86_400_000;
/// How long a key signs.
const SIGNING_MILLIS: i64 = 30 * DAY_MILLIS;
/// How long a key is stored: a day longer than it signs.
pub(crate) const SIGNING_KEY_RETENTION_MILLIS: i64 = SIGNING_MILLIS + DAY_MILLIS;
/// The most keys in memory. More than a few are never valid at once.
const MAX_CACHED: usize = 16;
/// The longest id that is looked up, in bytes.
const MAX_KID_BYTES: usize = 32;

/// The keys, as far as they were read.
pub(crate) struct SigningKeys {
    known: Mutex<Vec<Arc<SigningKeyRecord>>>,
}

impl SigningKeys {
    pub(crate) fn new() -> Self {
        signer::install();
        Self {
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Arc<SigningKeyRecord>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, key: SigningKeyRecord) -> Arc<SigningKeyRecord> {
        let key = Arc::new(key);
        let mut known = self.known();
        known.retain(|k| k.kid != key.kid);
        known.insert(0, key.clone());
        known.truncate(MAX_CACHED);
        key
    }

    /// Returns the key that signs now. It is made if there is none.
    ///
    /// # Errors
    /// `DatabaseUnavailable`, `Internal` without randomness.
    pub(super) async fn signing(
        &self,
        store: &Store,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<Arc<SigningKeyRecord>, Failure> {
        let signs = |key: &SigningKeyRecord| now.millis_since(key.created_at) < SIGNING_MILLIS;
        let newest = {
            let known = self.known();
            known.iter().max_by_key(|k| k.created_at).cloned()
        };
        if let Some(key) = newest.filter(|key| signs(key)) {
            return Ok(key);
        }
        let newest = store.newest_signing_key().await.map_err(store_failure)?;
        if let Some(key) = newest.filter(signs) {
            return Ok(self.remember(key));
        }
        let seed = Zeroizing::new(entropy.bytes::<32>()?);
        let unusable = || Failure::new(ErrorCode::Internal, Message::Unexpected);
        let key = SigningKeyRecord {
            kid: entropy.process_name()?,
            public_key: signer::public_key(&seed).ok_or_else(unusable)?,
            seed,
            created_at: now,
        };
        let created = store.create_signing_key(&key).await;
        created.map_err(store_failure)?;
        Ok(self.remember(key))
    }

    /// Finds the key of a token, which another control plane may have made.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub(super) async fn find(
        &self,
        store: &Store,
        kid: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<SigningKeyRecord>>, Failure> {
        if kid.len() > MAX_KID_BYTES {
            return Ok(None);
        }
        let known = self.known().iter().find(|k| k.kid == kid).cloned();
        let found = match known {
            Some(key) => Some(key),
            None => {
                let found = store.signing_key(kid).await.map_err(store_failure)?;
                found.map(|key| self.remember(key))
            }
        };
        let is_valid = |key: &Arc<SigningKeyRecord>| {
            now.millis_since(key.created_at) < SIGNING_KEY_RETENTION_MILLIS
        };
        Ok(found.filter(is_valid))
    }
}
