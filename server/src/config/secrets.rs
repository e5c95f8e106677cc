//! Secrets among the settings.

use domain::Secret;
use serde::{Deserialize, Deserializer};

/// Takes a secret from the command line or a variable.
pub(super) fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Reads a secret from a file of settings.
pub(super) fn deserialize_secret<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(d)?.map(Secret::new))
}
