//! What can go wrong in the store, and what people are told.

use crate::seal::SealError;
use domain::{ErrorCode, Failure, Field};

/// The result of a store's call.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A call to the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another tenant, or operator, has the name.
    #[error("That name is taken. Choose another one.")]
    NameTaken,
    /// The tenant has a device of that label.
    #[error("You already have a device with that label. Choose another one.")]
    LabelTaken,
    /// A device, of whichever tenant, has that public key.
    #[error("That key is already in use. Make a new one.")]
    KeyTaken,
    /// A device of the tenant has that AdGuard client id.
    #[error("That could not be saved just now. Try again.")]
    ClientIdTaken,
    /// Every slot of the node is held or excluded, or it holds as many tenants
    /// as it carries.
    #[error("This server is full: every place on it is taken. Nothing was made. Try again later.")]
    NodeFull,
    /// The plan allows no further device.
    #[error("Your plan allows {allowed} devices. Delete one you no longer use.")]
    DeviceLimit {
        /// Devices the plan allows.
        allowed: u16,
    },
    /// Not there, or not theirs.
    #[error("There is nothing here under that address.")]
    NotFound,
    /// No such plan.
    #[error("That plan does not exist. Choose one of those shown.")]
    PlanUnknown,
    /// A newer MalikNode has changed the schema.
    #[error(
        "The database was changed by a newer MalikNode (schema {found}, this one knows up to {known}). Start the newer version, or restore a backup."
    )]
    SchemaNewer {
        /// The newest migration the database has seen.
        found: i64,
        /// The newest this program has.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("The database's schema could not be brought up to date: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The key file is not the one this database was sealed with.
    #[error(
        "The key file seal.key does not belong to this database: its private keys cannot be read. Restore the key file from the backup made with the database."
    )]
    WrongKey,
    /// Sealing or unsealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A column holds what this version would never have written.
    #[error("The database holds something unreadable: {0}.")]
    Corrupt(String),
    /// The file or server cannot be opened.
    #[error("MalikNode cannot open {what}: {source}")]
    Unopenable {
        /// Which, without its password.
        what: String,
        /// Why.
        source: sqlx::Error,
    },
    /// No answer in time.
    #[error("The database does not answer in time.")]
    TimedOut,
    /// The database refused, or could not be asked.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// What a person or a script is told. An unforeseen error becomes
    /// [`ErrorCode::Internal`] without its cause: the caller logs that and
    /// adds the id to quote.
    pub fn failure(&self) -> Failure {
        let sentence = self.to_string();
        match self {
            Self::NameTaken => Failure::at(Field::Name, ErrorCode::NameTaken, sentence),
            Self::LabelTaken => Failure::at(Field::Label, ErrorCode::LabelTaken, sentence),
            Self::KeyTaken => Failure::new(ErrorCode::BadRequest, sentence),
            Self::ClientIdTaken => Failure::new(ErrorCode::Busy, sentence),
            Self::NodeFull => Failure::new(ErrorCode::NodeFull, sentence),
            Self::DeviceLimit { .. } => Failure::new(ErrorCode::DeviceLimit, sentence),
            Self::NotFound => Failure::not_found(),
            Self::PlanUnknown => Failure::at(Field::Plan, ErrorCode::PlanUnknown, sentence),
            Self::SchemaNewer { .. } | Self::Migrate(_) | Self::WrongKey => {
                Failure::new(ErrorCode::BadConfiguration, sentence)
            }
            Self::TimedOut => unavailable(),
            Self::Database(e) | Self::Unopenable { source: e, .. } => match outage(e) {
                Some(Outage::Disk) => Failure::new(
                    ErrorCode::DiskUnavailable,
                    "The database cannot write: its disk is full or read-only.",
                ),
                Some(Outage::Away) => unavailable(),
                None => internal(),
            },
            Self::Seal(_) | Self::Corrupt(_) => internal(),
        }
    }

    /// Whether no statement would work just now, as opposed to this one: the
    /// database is away, or its disk is full or read-only.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::TimedOut => true,
            Self::Database(e) | Self::Unopenable { source: e, .. } => outage(e).is_some(),
            _ => false,
        }
    }

    /// Whether the statement named a row that is not there.
    pub(crate) fn is_foreign_key_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(e)) if e.is_foreign_key_violation())
    }

    /// Whether the statement broke a uniqueness constraint.
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
    Away,
}

/// What keeps any statement from working, as opposed to this one.
fn outage(error: &sqlx::Error) -> Option<Outage> {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
            Some(Outage::Away)
        }
        E::Database(e) => {
            let code = e.code()?;
            match e.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
                // The low byte of an extended code is the primary one (sqlite.org/rescode.html).
                Some(_) => match code.parse::<u32>().ok()? & 0xff {
                    8 | 10 | 13 => Some(Outage::Disk), // READONLY, IOERR, FULL
                    5 | 6 | 14 => Some(Outage::Away),  // BUSY, LOCKED, CANTOPEN
                    _ => None,
                },
                // PostgreSQL's appendix A: classes 08 (connection), 53
                // (resources), 57 (shut down by the operator), 25006 (read only).
                None => match code.as_ref() {
                    "53100" | "25006" => Some(Outage::Disk),
                    c if ["08", "53", "57"].contains(&&c[..c.len().min(2)]) => Some(Outage::Away),
                    _ => None,
                },
            }
        }
        _ => None,
    }
}
