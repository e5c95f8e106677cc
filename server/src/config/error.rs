//! The errors of a configuration. Each message names the file or the setting.

use std::{io, path::PathBuf};

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}.", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Both files exist: it would not be clear which one counts.
    #[error("{} and config.json beside it both exist: remove one of them.", .0.display())]
    Both(PathBuf),
    /// The file is not TOML, or not JSON. The error has no text of the file, which
    /// may be a password.
    #[error("{}, line {line}: {message}.", path.display())]
    Syntax {
        path: PathBuf,
        /// Counted from 1; 0 where the parser does not say.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// The file has settings that do not exist.
    #[error("{}: there is no setting {}.", path.display(), keys.join(", "))]
    Unknown {
        path: PathBuf,
        /// Their names as written, each with a suggestion where one is similar.
        keys: Vec<String>,
    },
    /// A setting with an impossible value.
    #[error("{key}: {message}")]
    Bad {
        key: &'static str,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// A setting cannot be changed in the file without changing others.
    #[error("{}: {key} cannot be changed there. Change it by hand, and use --no-config.", path.display())]
    NotChanged { path: PathBuf, key: &'static str },
    /// A flag or an environment variable that clap refuses.
    #[error("{0}")]
    Flags(#[from] clap::Error),
    /// A setting of the wrong type in the file.
    #[error("{}: {key} has the wrong form ({message}).", path.display())]
    Form {
        path: PathBuf,
        key: String,
        /// What was expected.
        message: String,
    },
}

pub(super) fn bad(key: &'static str, message: impl Into<String>) -> ConfigError {
    ConfigError::Bad {
        key,
        message: message.into(),
    }
}
