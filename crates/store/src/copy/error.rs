//! Why a database was not copied.

use crate::StoreError;
use domain::Message;
use std::path::PathBuf;

/// A PostgreSQL database, for messages: without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPlace {
    /// The server's address and the database.
    pub target: String,
    /// The database alone.
    pub database: String,
    /// The user.
    pub user: String,
}

/// Why a database was not copied. The source is as it was, and the target holds nothing
/// that a server stored.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no file.
    #[error("{} does not exist", path.display())]
    SourceMissing {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes to the source.
    #[error("another process writes to {}", path.display())]
    SourceBusy {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// The source cannot be opened or read.
    #[error(transparent)]
    Source(StoreError),
    /// A text of the source contains U+0000, which PostgreSQL cannot store.
    #[error("{place} contains U+0000")]
    NulCharacter {
        /// The table, column and row.
        place: String,
    },
    /// A value of the source is of another type than its column, or not UTF-8.
    #[error("{place} cannot be read")]
    Unreadable {
        /// The table, column and row.
        place: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The target's address cannot be parsed.
    #[error("the address of the target cannot be parsed")]
    TargetAddress(#[source] sqlx::Error),
    /// Nothing answers at the target's address.
    #[error("{target} does not answer")]
    Unreachable {
        /// The server and database.
        target: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The target did not answer in time.
    #[error("{target} does not answer in time")]
    TimedOut {
        /// The server and database.
        target: String,
    },
    /// The target refuses the user or the password.
    #[error("{} refuses {}", place.target, place.user)]
    Refused {
        /// The database and the user.
        place: TargetPlace,
        /// The cause.
        source: sqlx::Error,
    },
    /// The server has no such database.
    #[error("{} does not exist", place.target)]
    DatabaseUnknown {
        /// The database and the user.
        place: TargetPlace,
        /// The cause.
        source: sqlx::Error,
    },
    /// The user may not create tables in the target.
    #[error("{} may not create tables in {}", place.user, place.target)]
    NotPermitted {
        /// The database and the user.
        place: TargetPlace,
    },
    /// The target follows another server, or is read-only.
    #[error("{target} is read-only")]
    ReadOnly {
        /// The server and database.
        target: String,
    },
    /// The target cannot store every character.
    #[error("{} stores text as {encoding}", place.target)]
    Encoding {
        /// The database and the user.
        place: TargetPlace,
        /// Its encoding.
        encoding: String,
    },
    /// The target has rows, or a table that is not ours.
    #[error("{target} is not empty: {table}")]
    NotEmpty {
        /// The server and database.
        target: String,
        /// The table.
        table: String,
    },
    /// Another process copies to the target or uses its tables.
    #[error("{target} is in use")]
    TargetBusy {
        /// The server and database.
        target: String,
    },
    /// A newer MalikNode has changed the target.
    #[error(transparent)]
    TargetSchema(StoreError),
    /// The target's disk is full.
    #[error("the disk of {target} is full")]
    DiskFull {
        /// The server and database.
        target: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The target failed, or the connection to it.
    #[error("{target} failed")]
    Failed {
        /// The server and database.
        target: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The schemas of the two databases differ. A test keeps this from happening.
    #[error("the schemas differ in {object}")]
    SchemaDiffers {
        /// A table, or a table and a column.
        object: String,
    },
    /// The target does not return what was copied to it.
    #[error("{table} differs after the copy")]
    Differs {
        /// The table.
        table: String,
    },
}

impl CopyError {
    /// Returns what the operator reads.
    pub fn message(&self) -> Message {
        match self {
            Self::SourceMissing { path } => Message::CopySourceMissing {
                path: path.display().to_string(),
            },
            Self::SourceBusy { path, .. } => Message::CopySourceBusy {
                path: path.display().to_string(),
            },
            Self::Source(e) => e.failure().message,
            Self::TargetSchema(e) => Message::CopyTargetSchema {
                reason: Box::new(e.failure().message),
            },
            Self::NulCharacter { place } => Message::CopyNulCharacter {
                place: place.clone(),
            },
            Self::Unreadable { place, .. } => Message::CopyValueUnreadable {
                place: place.clone(),
            },
            Self::TargetAddress(_) => Message::CopyTargetAddress,
            Self::Unreachable { target, .. } | Self::TimedOut { target } => {
                Message::CopyTargetUnreachable {
                    target: target.clone(),
                }
            }
            Self::Refused { place, .. } => Message::CopyTargetRefused {
                target: place.target.clone(),
                user: place.user.clone(),
            },
            Self::DatabaseUnknown { place, .. } => Message::CopyTargetUnknown {
                target: place.target.clone(),
                database: place.database.clone(),
                user: place.user.clone(),
            },
            Self::NotPermitted { place } => Message::CopyTargetNotPermitted {
                target: place.target.clone(),
                database: place.database.clone(),
                user: place.user.clone(),
            },
            Self::ReadOnly { target } => Message::CopyTargetReadOnly {
                target: target.clone(),
            },
            Self::Encoding { place, encoding } => Message::CopyTargetEncoding {
                target: place.target.clone(),
                encoding: encoding.clone(),
                user: place.user.clone(),
            },
            Self::NotEmpty { target, table } => Message::CopyTargetNotEmpty {
                target: target.clone(),
                table: table.clone(),
            },
            Self::TargetBusy { target } => Message::CopyTargetBusy {
                target: target.clone(),
            },
            Self::DiskFull { target, .. } => Message::CopyTargetDiskFull {
                target: target.clone(),
            },
            Self::Failed { target, .. } => Message::CopyTargetFailed {
                target: target.clone(),
            },
            Self::SchemaDiffers { object } => Message::CopySchemaDiffers {
                object: object.clone(),
            },
            Self::Differs { table } => Message::CopyDiffers {
                table: table.clone(),
            },
        }
    }
}
