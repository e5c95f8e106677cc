//! What is wrong with a configuration, each a sentence that names the place.

use std::{io, path::PathBuf};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}.", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Two files: it would not be clear which counts.
    #[error("{} and config.json beside it are both there: remove one of them.", .0.display())]
    Both(PathBuf),
    /// The file is not TOML, or not JSON. Holds no text of the file, which may
    /// be a password.
    #[error("{}, line {line}: {message}.", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 where the parser does not tell.
        line: usize,
        /// What the parser said.
        message: String,
    },
    /// Settings that do not exist.
    #[error("{}: there is no setting {}.", path.display(), keys.join(", "))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Their names, as written, with a suggestion where one is near.
        keys: Vec<String>,
    },
    /// A setting with an impossible value.
    #[error("{key}: {sentence}")]
    Bad {
        /// The setting.
        key: &'static str,
        /// What is wrong, and what would be right.
        sentence: String,
    },
    /// A setting of the wrong type in the file.
    #[error("{}: {key} has the wrong form ({message}).", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The setting.
        key: String,
        /// What was expected.
        message: String,
    },
}

pub(super) fn bad(key: &'static str, sentence: impl Into<String>) -> ConfigError {
    ConfigError::Bad {
        key,
        sentence: sentence.into(),
    }
}
