//! Join tokens: what an operator carries from the control plane to a new worker.

use crate::{AuthorityHash, PkiError, hex};
use domain::Secret;
use std::{fmt, str::FromStr};
use zeroize::Zeroizing;

/// The version of the form; `mn2` would be another one.
const PREFIX: &str = "mn1";
/// Bytes of a token's id.
const ID_BYTES: usize = 8;
/// Bytes of a token's secret.
const SECRET_BYTES: usize = 16;

/// A join token. Its text is `mn1_<hash of the authority>_<id>_<secret>`, which
/// [`Display`](fmt::Display) writes whole; `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The authority that the control plane has to show before the worker says the secret.
    pub authority: AuthorityHash,
    /// By what the control plane finds the token: 16 hexadecimal digits. Not secret.
    pub id: String,
    /// 128 random bits as 32 hexadecimal digits.
    pub secret: Secret,
}

impl JoinToken {
    /// Makes a token with a random id and a random secret.
    ///
    /// # Errors
    /// [`PkiError::NotMade`] if the machine gives no random bytes.
    pub fn generate(authority: AuthorityHash) -> Result<Self, PkiError> {
        Ok(Self {
            authority,
            id: hex::encode(&*random::<ID_BYTES>()?),
            secret: Secret::new(hex::encode(&*random::<SECRET_BYTES>()?)),
        })
    }

    /// Returns what the worker sends when it joins, `<id>_<secret>`: the token without
    /// the hash.
    pub fn credential(&self) -> Secret {
        Secret::new(format!("{}_{}", self.id, self.secret.expose()))
    }
}

/// Returns random bytes.
///
/// # Errors
/// [`PkiError::NotMade`] if the machine gives none.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, PkiError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(|e| PkiError::NotMade(e.into()))?;
    Ok(bytes)
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{PREFIX}_{}_{}_{}",
            self.authority,
            self.id,
            self.secret.expose()
        )
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("authority", &self.authority)
            .field("id", &self.id)
            .field("secret", &self.secret)
            .finish()
    }
}

impl FromStr for JoinToken {
    type Err = PkiError;

    /// Reads a token. Spaces and line breaks around it, as copying leaves them, are ignored.
    fn from_str(text: &str) -> Result<Self, PkiError> {
        let mut parts = text.trim().splitn(4, '_');
        let mut part = || parts.next().ok_or(PkiError::TokenMalformed);
        let (prefix, authority, id, secret) = (part()?, part()?, part()?, part()?);
        let known =
            prefix == PREFIX && hex::is_bytes(id, ID_BYTES) && hex::is_bytes(secret, SECRET_BYTES);
        if !known {
            return Err(PkiError::TokenMalformed);
        }
        Ok(Self {
            authority: authority.parse()?,
            id: id.to_owned(),
            secret: Secret::new(secret),
        })
    }
}
