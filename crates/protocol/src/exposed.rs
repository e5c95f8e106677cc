//! The one way a secret gets into bytes: a field names this module in
//! `#[serde(with = "exposed")]`. The secret types themselves do not implement
//! `Serialize`, so that no log line and no answer holds one by accident.

use domain::{PresharedKey, PrivateKey, Secret};
use serde::{Deserialize, Deserializer, Serializer, de::Error};
use zeroize::Zeroizing;

/// A secret that has a text form.
pub(crate) trait Exposed: Sized {
    /// Calls `use_text` with the secret's text, which is wiped afterwards.
    fn with_text<T>(&self, use_text: impl FnOnce(&str) -> T) -> T;

    /// Reads the text form.
    ///
    /// # Errors
    /// What is expected, without the text.
    fn from_text(text: &str) -> Result<Self, &'static str>;
}

impl Exposed for PrivateKey {
    fn with_text<T>(&self, use_text: impl FnOnce(&str) -> T) -> T {
        use_text(&self.expose())
    }

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Self::parse(text).map_err(|_| "expected a private key in base64")
    }
}

impl Exposed for PresharedKey {
    fn with_text<T>(&self, use_text: impl FnOnce(&str) -> T) -> T {
        use_text(&self.expose())
    }

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Self::parse(text).map_err(|_| "expected a preshared key in base64")
    }
}

impl Exposed for Secret {
    fn with_text<T>(&self, use_text: impl FnOnce(&str) -> T) -> T {
        use_text(self.expose())
    }

    fn from_text(text: &str) -> Result<Self, &'static str> {
        Ok(Self::new(text))
    }
}

pub(crate) fn serialize<S: Serializer, T: Exposed>(secret: &T, to: S) -> Result<S::Ok, S::Error> {
    secret.with_text(|text| to.serialize_str(text))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: Exposed>(from: D) -> Result<T, D::Error> {
    let text = Zeroizing::new(String::deserialize(from)?);
    T::from_text(&text).map_err(D::Error::custom)
}
