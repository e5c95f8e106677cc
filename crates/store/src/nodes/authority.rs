//! The installation's certificate authority: its certificate, and its key, sealed.

use crate::{
    Result, Store, StoreError,
    db::{execute, fetch_optional},
};
use domain::Secret;
use seal::Purpose;

/// The row in `settings`: the sealed key, a line break, the certificate. One row, so that
/// of two processes that make an authority one makes all of it.
const NAME: &str = "node_authority";

/// A certificate authority, as PEM (RFC 7468).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityPem {
    pub certificate: String,
    pub key: Secret,
}

impl Store {
    /// Returns the installation's authority, if it has one.
    ///
    /// # Errors
    /// Returns [`StoreError::Seal`] or [`StoreError::Corrupt`] if its key cannot be read.
    pub async fn authority(&self) -> Result<Option<AuthorityPem>> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        let row: Option<(String,)> = fetch_optional!(self.db.reader(), _, sql, NAME)?;
        let Some((value,)) = row else {
            return Ok(None);
        };
        let corrupt = || StoreError::Corrupt(format!("settings.{NAME}"));
        let (sealed, certificate) = value.split_once('\n').ok_or_else(corrupt)?;
        let key = self
            .sealer
            .open(Purpose::AuthorityKey, certificate, sealed)?;
        let key = std::str::from_utf8(&key).map_err(|_| corrupt())?;
        Ok(Some(AuthorityPem {
            certificate: certificate.to_owned(),
            key: Secret::new(key),
        }))
    }

    /// Stores an authority unless there is one, and returns the one that is stored.
    ///
    /// # Errors
    /// Returns the errors of [`authority`](Self::authority).
    pub async fn authority_or_insert(&self, new: &AuthorityPem) -> Result<AuthorityPem> {
        let (certificate, key) = (&new.certificate, new.key.expose().as_bytes());
        let sealed = self.sealer.seal(Purpose::AuthorityKey, certificate, key)?;
        let sql =
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let value = format!("{sealed}\n{certificate}");
        execute!(self.db.writer(), sql, NAME, value)?;
        self.authority().await?.ok_or(StoreError::NotFound)
    }
}
