//! Encrypts the secrets that must not be stored in clear text: private keys,
//! preshared keys, DNS passwords, the checkpoint of a node's specification.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), whose 24-byte
//! nonce is long enough to be drawn at random without a counter. The purpose of
//! a value and the identity of its owner are the associated data, so a sealed
//! value that was copied to another row or column does not open. The key is a
//! file beside the database: the file or the database alone reveals nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
mod key_file;
mod purpose;
#[cfg(test)]
mod tests;

pub use error::SealError;
pub use purpose::Purpose;

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    AeadInOut, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use key_file::Key;
use std::{fmt, path::Path, sync::Arc};
use zeroize::Zeroizing;

/// Begins every sealed value, so that a later version can tell the formats apart.
const VERSION: &str = "v1:";
const NONCE_BYTES: usize = 24;

/// Seals and opens values. It is cheap to clone and prints as `[redacted]`; the keys are
/// wiped from memory with the last clone.
#[derive(Clone)]
pub struct Sealer(Arc<Ciphers>);

struct Ciphers {
    current: XChaCha20Poly1305,
    /// Opens what the former key sealed, while the key is being changed.
    former: Option<XChaCha20Poly1305>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Sealer {
    /// Reads the key from a file: 32 bytes in base64 and a newline, mode 0600 or less.
    /// Creates a missing file atomically with a random key. If two processes
    /// create it at the same time, both use the key that was written first.
    ///
    /// A second line is the former key, which opens values and seals none
    /// ([`begin_key_change`](Self::begin_key_change)).
    ///
    /// # Errors
    /// Returns a [`SealError`] that says what is wrong with the file.
    pub fn from_key_file(path: &Path) -> Result<Self, SealError> {
        key_file::read_or_create(path).map(|keys| Self::new(&keys.current, keys.former.as_ref()))
    }

    /// Puts a new random key into a file, before the key that it has. Both open values until
    /// [`finish_key_change`](Self::finish_key_change). A change that was interrupted goes on
    /// with the key that it had made.
    ///
    /// # Errors
    /// Returns a [`SealError`] that says what is wrong with the file, which is unchanged.
    pub fn begin_key_change(path: &Path) -> Result<Self, SealError> {
        key_file::begin_change(path)?;
        Self::from_key_file(path)
    }

    /// Removes the former key from a file. What is still sealed with it can never be opened
    /// again.
    ///
    /// # Errors
    /// Returns a [`SealError`] that says what is wrong with the file, which is unchanged.
    pub fn finish_key_change(path: &Path) -> Result<(), SealError> {
        key_file::finish_change(path)
    }

    /// Uses the given key.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self::new(&Zeroizing::new(key), None)
    }

    fn new(current: &Key, former: Option<&Key>) -> Self {
        let cipher = |key: &Key| XChaCha20Poly1305::new((&**key).into());
        Self(Arc::new(Ciphers {
            current: cipher(current),
            former: former.map(cipher),
        }))
    }

    /// Returns the value as sealed text, which reveals only the value's length.
    ///
    /// # Errors
    /// Returns [`SealError::Random`] if there are no random bytes for the nonce.
    pub fn seal(
        &self,
        purpose: Purpose,
        identity: &str,
        plain: &[u8],
    ) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let aad = associated_data(purpose, identity);
        let payload = Payload {
            msg: plain,
            aad: aad.as_bytes(),
        };
        // Encryption fails only for values larger than 256 GiB.
        let ciphertext = self.0.current.encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| unopenable(purpose, identity))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&ciphertext);
        Ok(format!("{VERSION}{}", STANDARD.encode(bytes)))
    }

    /// Opens a value that [`seal`](Self::seal) made for the same purpose and
    /// identity.
    ///
    /// # Errors
    /// Returns [`SealError::Unopenable`] for any other text.
    pub fn open(
        &self,
        purpose: Purpose,
        identity: &str,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let opened = open_with(&self.0.current, purpose, identity, sealed);
        opened
            .or_else(|| open_with(self.0.former.as_ref()?, purpose, identity, sealed))
            .ok_or_else(|| unopenable(purpose, identity))
    }

    /// Seals a value again that the former key sealed. Returns `None` for a value of the
    /// current key.
    ///
    /// # Errors
    /// Returns [`SealError::Unopenable`] for a value that neither key opens.
    pub fn reseal(
        &self,
        purpose: Purpose,
        identity: &str,
        sealed: &str,
    ) -> Result<Option<String>, SealError> {
        if open_with(&self.0.current, purpose, identity, sealed).is_some() {
            return Ok(None);
        }
        let plain = self.open(purpose, identity, sealed)?;
        self.seal(purpose, identity, &plain).map(Some)
    }
}

fn open_with(
    cipher: &XChaCha20Poly1305,
    purpose: Purpose,
    identity: &str,
    sealed: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
    let nonce: [u8; NONCE_BYTES] = bytes.get(..NONCE_BYTES)?.try_into().ok()?;
    let mut text = Zeroizing::new(bytes.split_off(NONCE_BYTES));
    let aad = associated_data(purpose, identity);
    let opened = cipher.decrypt_in_place(&XNonce::from(nonce), aad.as_bytes(), &mut *text);
    opened.ok().map(|()| text)
}

fn associated_data(purpose: Purpose, identity: &str) -> String {
    format!("{purpose}:{identity}")
}

fn unopenable(purpose: Purpose, identity: &str) -> SealError {
    SealError::Unopenable {
        purpose,
        identity: identity.to_owned(),
    }
}
