//! WireGuard keys: Curve25519 (RFC 7748) private and public keys and the
//! 32-byte preshared key, in the base64 form WireGuard's tools use.
//!
//! Random bytes are arguments, so that tests and simulations can be replayed.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::OnceLock};
use zeroize::Zeroizing;

/// The error for a text that is not 32 bytes in standard base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a WireGuard key: 44 characters of base64 are expected")]
pub struct KeyError;

fn decode(text: &str) -> Result<[u8; 32], KeyError> {
    if text.len() != 44 {
        return Err(KeyError);
    }
    let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyError)?);
    bytes.as_slice().try_into().map_err(|_| KeyError)
}

/// A public key: a peer's identity on a WireGuard interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Creates a key from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Parses base64, as in a configuration file.
    ///
    /// # Errors
    /// [`KeyError`] if the text is not 32 bytes of base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        decode(text).map(Self)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(s: String) -> Result<Self, KeyError> {
        Self::parse(&s)
    }
}

impl From<PublicKey> for String {
    fn from(k: PublicKey) -> String {
        k.to_string()
    }
}

macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Zeroizing<[u8; 32]>);

        impl $name {
            /// Parses base64, as in a configuration file.
            ///
            /// # Errors
            /// [`KeyError`] if the text is not 32 bytes of base64.
            pub fn parse(text: &str) -> Result<Self, KeyError> {
                decode(text).map(|b| Self(Zeroizing::new(b)))
            }

            /// Returns the 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Returns the secret in base64, for a configuration file. Only its owner
            /// may see it.
            pub fn expose(&self) -> Zeroizing<String> {
                Zeroizing::new(STANDARD.encode(self.0.as_slice()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[redacted]")
            }
        }
    };
}

/// A private key, clamped (RFC 7748, 5). Its public key is computed once and
/// cached, because the planner compares it for every tenant many times a second.
#[derive(Clone)]
pub struct PrivateKey {
    bytes: Zeroizing<[u8; 32]>,
    public: OnceLock<PublicKey>,
}

secret_key!(
    /// A preshared key: a symmetric key mixed into the handshake (WireGuard
    /// paper, 5.2), one per device.
    PresharedKey
);

impl PrivateKey {
    /// Creates a key from 32 random bytes and clamps it.
    pub fn from_random(mut bytes: [u8; 32]) -> Self {
        bytes[0] &= 248;
        bytes[31] = (bytes[31] & 127) | 64;
        Self::from_exact(bytes)
    }

    fn from_exact(bytes: [u8; 32]) -> Self {
        Self {
            bytes: Zeroizing::new(bytes),
            public: OnceLock::new(),
        }
    }

    /// Parses base64, as in a configuration file.
    ///
    /// # Errors
    /// [`KeyError`] if the text is not 32 bytes of base64.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        decode(text).map(Self::from_exact)
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Returns the secret in base64, for a configuration file. Only its owner
    /// may see it.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// Returns the matching public key.
    pub fn public(&self) -> PublicKey {
        *self.public.get_or_init(|| {
            let secret = x25519_dalek::StaticSecret::from(*self.bytes);
            PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
        })
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PresharedKey {
    /// Creates a key from 32 random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_public_key_matches_openssls() {
        // The result of OpenSSL's X25519 for the private key 00 01 02 … 1f, which it
        // clamps as RFC 7748, 5 says.
        let private = PrivateKey::from_random(std::array::from_fn(|i| i as u8));
        let public = private.public();
        let hex: String = public
            .as_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"
        );
    }

    #[test]
    fn secret_keys_print_as_redacted() {
        assert_eq!(
            format!("{:?}", PrivateKey::from_random([7; 32])),
            "[redacted]"
        );
        assert_eq!(
            format!("{:?}", PresharedKey::from_random([7; 32])),
            "[redacted]"
        );
    }

    #[test]
    fn malformed_keys_are_rejected() {
        for bad in [
            "",
            "abc",
            &"A".repeat(44),
            &"é".repeat(22),
            &"A".repeat(100_000),
        ] {
            assert_eq!(
                PublicKey::parse(bad),
                Err(KeyError),
                "{}",
                &bad[..bad.len().min(8)]
            );
        }
    }

    proptest! {
        #[test]
        fn keys_survive_base64(b: [u8; 32]) {
            let k = PrivateKey::from_random(b);
            prop_assert_eq!(&PrivateKey::parse(&k.expose()).unwrap(), &k);
            prop_assert_eq!(PublicKey::parse(&k.public().to_string()).unwrap(), k.public());
            let p = PresharedKey::from_random(b);
            prop_assert_eq!(PresharedKey::parse(&p.expose()).unwrap(), p);
        }
    }
}
