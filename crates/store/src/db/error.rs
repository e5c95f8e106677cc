//! The errors of the store and the failures that clients see.

use domain::{ErrorCode, Failure, Field};
use seal::SealError;

/// The result of a call to the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A call to the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another tenant or operator has the name.
    #[error("That name is taken. Choose another one.")]
    NameTaken,
    /// The tenant already has a device with the label.
    #[error("You already have a device with that label. Choose another one.")]
    LabelTaken,
    /// A device of any tenant has the public key.
    #[error("That key is already in use. Make a new one.")]
    KeyTaken,
    /// Another device of the tenant has the AdGuard client id.
    #[error("That could not be saved just now. Try again.")]
    ClientIdTaken,
    /// Every slot of the node is taken or excluded, or the node has reached its
    /// limit of tenants.
    #[error("This server is full. Nothing was made. Try again later.")]
    NodeFull,
    /// The plan allows no further device.
    #[error("Your plan allows {allowed} devices. Delete one you no longer use.")]
    DeviceLimit {
        /// The number of devices that the plan allows.
        allowed: u16,
    },
    /// The object does not exist or belongs to another tenant.
    #[error("There is nothing here under that address.")]
    NotFound,
    /// The plan does not exist.
    #[error("That plan does not exist. Choose one of those shown.")]
    PlanUnknown,
    /// A newer MalikNode has changed the schema.
    #[error(
        "The database was changed by a newer MalikNode (schema {found}, this one knows up to {known}). Start the newer version, or restore a backup."
    )]
    SchemaNewer {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// A migration failed.
    #[error("The database's schema could not be brought up to date: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database was sealed with another key file.
    #[error(
        "The key file seal.key does not belong to this database: its private keys cannot be read. Restore the key file from the backup made with the database."
    )]
    WrongKey,
    /// Sealing or unsealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A column contains a value that this version never writes.
    #[error("The database contains an unreadable value: {0}.")]
    Corrupt(String),
    /// The file or server cannot be opened.
    #[error("MalikNode cannot open {what}: {source}")]
    Unopenable {
        /// Which one, without its password.
        what: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The database did not answer in time.
    #[error("The database does not answer in time.")]
    TimedOut,
    /// The database rejected the statement or could not be reached.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// Returns the failure for the client. An unexpected error becomes
    /// [`ErrorCode::Internal`] without its cause; the caller logs the cause and
    /// adds an id that the client can quote.
    pub fn failure(&self) -> Failure {
        let message = self.to_string();
        match self {
            Self::NameTaken => Failure::at(Field::Name, ErrorCode::NameTaken, message),
            Self::LabelTaken => Failure::at(Field::Label, ErrorCode::LabelTaken, message),
            Self::KeyTaken => Failure::new(ErrorCode::BadRequest, message),
            Self::ClientIdTaken => Failure::new(ErrorCode::Busy, message),
            Self::NodeFull => Failure::new(ErrorCode::NodeFull, message),
            Self::DeviceLimit { .. } => Failure::new(ErrorCode::DeviceLimit, message),
            Self::NotFound => Failure::not_found(),
            Self::PlanUnknown => Failure::at(Field::Plan, ErrorCode::PlanUnknown, message),
            Self::SchemaNewer { .. } | Self::Migrate(_) | Self::WrongKey => {
                Failure::new(ErrorCode::BadConfiguration, message)
            }
            Self::TimedOut => unavailable(),
            Self::Database(e) | Self::Unopenable { source: e, .. } => match outage(e) {
                Some(Outage::Disk) => Failure::new(
                    ErrorCode::DiskUnavailable,
                    "The database cannot write: its disk is full or read-only.",
                ),
                Some(Outage::Unreachable) => unavailable(),
                None => internal(),
            },
            Self::Seal(_) | Self::Corrupt(_) => internal(),
        }
    }

    /// Returns whether every statement would fail at the moment, not only this
    /// one: the database is unreachable, or its disk is full or read-only.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Database(e) | Self::Unopenable { source: e, .. } => outage(e).is_some(),
            _ => false,
        }
    }

    /// Returns whether the statement referred to a row that does not exist.
    pub(crate) fn is_foreign_key_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(e)) if e.is_foreign_key_violation())
    }

    /// Returns whether the statement violated a uniqueness constraint.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(e)) if e.is_unique_violation())
    }
}

fn unavailable() -> Failure {
    Failure::new(
        ErrorCode::DatabaseUnavailable,
        "The database does not answer just now. Try again in a moment.",
    )
}

fn internal() -> Failure {
    Failure::new(
        ErrorCode::Internal,
        "Something went wrong on our side. Nothing was changed.",
    )
}

enum Outage {
    Disk,
    Unreachable,
}

/// Returns the cause if it prevents every statement, not only this one.
fn outage(error: &sqlx::Error) -> Option<Outage> {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
            Some(Outage::Unreachable)
        }
        E::Database(e) => {
            let code = e.code()?;
            match e.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                // The low byte of an extended code is the primary one (sqlite.org/rescode.html).
                Some(_) => match code.parse::<u32>().ok()? & 0xff {
                    8 | 10 | 13 => Some(Outage::Disk),       // READONLY, IOERR, FULL
                    5 | 6 | 14 => Some(Outage::Unreachable), // BUSY, LOCKED, CANTOPEN
                    _ => None,
                },
                // PostgreSQL's appendix A: classes 08 (connection), 53
                // (resources), 57 (shut down by the operator), 25006 (read only).
                None => match code.as_ref() {
                    "53100" | "25006" => Some(Outage::Disk),
                    c if ["08", "53", "57"].contains(&&c[..c.len().min(2)]) => {
                        Some(Outage::Unreachable)
                    }
                    _ => None,
                },
            }
        }
        _ => None,
    }
}
