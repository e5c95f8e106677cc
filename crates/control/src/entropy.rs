//! The only source of randomness, so that a simulation can replay it.

use crate::failures::internal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{Failure, Ipv6Prefix, Message, PresharedKey, PrivateKey, Secret};
use std::sync::Arc;

type Fill = dyn Fn(&mut [u8]) -> Result<(), String> + Send + Sync;

/// A source of random bytes.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

impl Entropy {
    /// Uses the operating system's generator.
    pub fn system() -> Self {
        Self(Arc::new(|bytes| {
            getrandom::fill(bytes).map_err(|e| e.to_string())
        }))
    }

    /// Takes bytes from a function: for simulations, never for a real installation.
    pub fn from_fn(fill: impl Fn(&mut [u8]) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    pub(crate) fn bytes<const N: usize>(&self) -> Result<[u8; N], Failure> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)
            .map_err(|e| internal(&e, |incident| Message::NoRandomness { incident }))?;
        Ok(bytes)
    }

    /// Returns a prefix of unique local addresses (RFC 4193, 3.2.1).
    ///
    /// # Errors
    /// `Internal` without randomness.
    pub fn ipv6_prefix(&self) -> Result<Ipv6Prefix, Failure> {
        self.bytes().map(Ipv6Prefix::from_random)
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKey, Failure> {
        self.bytes().map(PrivateKey::from_random)
    }

    pub(crate) fn preshared_key(&self) -> Result<PresharedKey, Failure> {
        self.bytes().map(PresharedKey::from_random)
    }

    /// Returns a name that no other process has, of hexadecimal digits.
    ///
    /// # Errors
    /// `Internal` without randomness.
    pub fn process_name(&self) -> Result<String, Failure> {
        let bytes = self.bytes::<8>()?;
        Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
    }

    /// Returns 192 random bits as text, for tickets and AdGuard Home's passwords.
    pub(crate) fn token(&self) -> Result<Secret, Failure> {
        self.bytes::<24>()
            .map(|b| Secret::new(URL_SAFE_NO_PAD.encode(b)))
    }

    /// Returns a password that can be typed from a screen: 24 of 32 unambiguous
    /// characters (120 bits) in groups of four.
    ///
    /// # Errors
    /// `Internal` without randomness.
    pub fn password(&self) -> Result<Secret, Failure> {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let text: Vec<String> = self
            .bytes::<24>()?
            .chunks(4)
            .map(|c| {
                c.iter()
                    .map(|b| char::from(LETTERS[usize::from(b % 32)]))
                    .collect()
            })
            .collect();
        Ok(Secret::new(text.join("-")))
    }

    /// Returns an id that marks a device's client in AdGuard Home as ours.
    pub(crate) fn client_id(&self) -> Result<String, Failure> {
        self.bytes::<8>().map(|b| {
            b.iter()
                .fold("mn-".to_owned(), |s, b| format!("{s}{b:02x}"))
        })
    }
}
