//! Why a value could not be sealed or opened.

use crate::Purpose;
use std::{io, path::PathBuf};

/// An error of a [`Sealer`](crate::Sealer). It contains no secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read or created.
    #[error("the key file {path} cannot be used: {source}")]
    File {
        /// The key file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Users other than its owner may access the key file.
    #[error("the key file {path} can be read by other users (mode {mode:03o})")]
    Permissions {
        /// The key file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// The key file does not contain a key.
    #[error("the key file {path} does not hold a key (32 bytes of base64)")]
    Content {
        /// The key file.
        path: PathBuf,
    },
    /// The operating system provided no random bytes.
    #[error("the operating system provided no random bytes: {0}")]
    Random(#[source] getrandom::Error),
    /// The value is damaged, was sealed with another key, or was copied here
    /// from another row or column.
    #[error("a sealed value ({purpose} of {identity}) cannot be opened")]
    Unopenable {
        /// What the value should be.
        purpose: Purpose,
        /// Whose it should be.
        identity: String,
    },
}
