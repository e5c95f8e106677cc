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
use std::{fmt, path::Path, sync::Arc};
use zeroize::Zeroizing;

/// Begins every sealed value, so that a later version can tell the formats apart.
const VERSION: &str = "v1:";
const NONCE_BYTES: usize = 24;

/// Seals and opens values with one key. It is cheap to clone and prints as
/// `[redacted]`; the key is wiped from memory with the last clone.
#[derive(Clone)]
pub struct Sealer(Arc<XChaCha20Poly1305>);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Sealer {
    /// Reads the key from a file: 32 bytes in base64 and a newline, mode 0600.
    /// Creates a missing file atomically with a random key. If two processes
    /// create it at the same time, both use the key that was written first.
    ///
    /// # Errors
    /// Returns a [`SealError`] that says what is wrong with the file.
    pub fn from_key_file(path: &Path) -> Result<Self, SealError> {
        key_file::read_or_create(path).map(|key| Self::new(&key))
    }

    /// Uses the given key.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self::new(&Zeroizing::new(key))
    }

    fn new(key: &Zeroizing<[u8; 32]>) -> Self {
        Self(Arc::new(XChaCha20Poly1305::new((&**key).into())))
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
        let ciphertext = self.0.encrypt(&XNonce::from(nonce), payload);
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
        let open = || {
            let mut bytes = STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
            let nonce: [u8; NONCE_BYTES] = bytes.get(..NONCE_BYTES)?.try_into().ok()?;
            let mut text = Zeroizing::new(bytes.split_off(NONCE_BYTES));
            let aad = associated_data(purpose, identity);
            let opened = self
                .0
                .decrypt_in_place(&XNonce::from(nonce), aad.as_bytes(), &mut *text);
            opened.ok().map(|()| text)
        };
        open().ok_or_else(|| unopenable(purpose, identity))
    }
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
