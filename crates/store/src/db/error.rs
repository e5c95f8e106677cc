//! The errors of the store and the failures that clients see.

use domain::{ErrorCode, Failure, Field, InvitationState, Message, Slot};
use seal::SealError;

/// The result of a call to the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A call to the store that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another tenant or operator has the name.
    #[error("the name is taken")]
    NameTaken,
    /// An operator has reserved the name.
    #[error("the name {name} is reserved")]
    NameReserved {
        /// The name.
        name: String,
    },
    /// More names would be reserved than can be.
    #[error("more than {allowed} names would be reserved")]
    TooManyReserved {
        /// How many can be.
        allowed: u32,
    },
    /// No invitation has that code.
    #[error("no such invitation")]
    InvitationUnknown,
    /// The invitation cannot be used (any more).
    #[error("the invitation is {state:?}")]
    InvitationNotOpen {
        /// Why not.
        state: InvitationState,
    },
    /// The tenant already has a device with the label.
    #[error("the tenant has a device with that label")]
    LabelTaken,
    /// A device of any tenant has the public key.
    #[error("a device has that key")]
    KeyTaken,
    /// Another device of the tenant has the AdGuard client id.
    #[error("a device has that client id")]
    ClientIdTaken,
    /// Every slot of the node is taken or excluded, or the node has reached its
    /// limit of tenants.
    #[error("the node is full")]
    NodeFull,
    /// Another node has the name.
    #[error("a node has the name {name}")]
    NodeNameTaken {
        /// The name.
        name: String,
    },
    /// The node has tenants.
    #[error("{tenants} tenants are on the node")]
    NodeInUse {
        /// Their number.
        tenants: u32,
    },
    /// The local node cannot be revoked or removed, and its host is a setting.
    #[error("the node is the local one")]
    NodeIsLocal,
    /// Only joining again opens a revoked node.
    #[error("the node is revoked")]
    NodeIsRevoked,
    /// A certificate is for another key than the one that the node joined with.
    #[error("the certificate is for another key")]
    NodeKeyOther,
    /// No join token has that id and secret.
    #[error("no such join token")]
    JoinTokenUnknown,
    /// The join token was used by another machine, or for another key.
    #[error("the join token was used")]
    JoinTokenUsed,
    /// The join token has expired.
    #[error("the join token has expired")]
    JoinTokenExpired,
    /// The tenant is being moved already.
    #[error("the tenant is being moved already")]
    MovePending {
        /// The tenant's name.
        name: String,
    },
    /// The tenant is on that node already.
    #[error("the tenant is on that node already")]
    MoveSameNode {
        /// The node's name.
        node: String,
    },
    /// The tenant is not being moved, or not from that node any more.
    #[error("no such move")]
    MoveUnknown,
    /// The slot of a tenant that is moved is not free on the new node.
    #[error("the slot {slot} is taken")]
    SlotTaken {
        /// The slot.
        slot: Slot,
    },
    /// The plan allows no further device.
    #[error("the plan allows {allowed} devices")]
    DeviceLimit {
        /// The number of devices that the plan allows.
        allowed: u16,
    },
    /// The object does not exist or belongs to another tenant.
    #[error("no such row")]
    NotFound,
    /// The row is not any more what the caller read.
    #[error("the row was changed meanwhile")]
    Changed,
    /// The holder has as many API tokens as it may have.
    #[error("there are {allowed} API tokens already")]
    TokenLimit {
        /// How many it may have.
        allowed: u32,
    },
    /// Another operator has the name.
    #[error("an operator has that name")]
    OperatorNameTaken,
    /// A link for an operator that was used, has expired or never existed.
    #[error("no such link for an operator")]
    OperatorLinkInvalid,
    /// No owner would be left.
    #[error("the operator is the last owner")]
    LastOwner,
    /// An owner would have no second factor left.
    #[error("an owner's last second factor")]
    LastFactor,
    /// The passkey is stored already.
    #[error("the passkey is stored already")]
    PasskeyTaken,
    /// The holder has as many passkeys as it may have.
    #[error("the holder has {allowed} passkeys already")]
    PasskeyLimit { allowed: u32 },
    /// The plan does not exist.
    #[error("no such plan")]
    PlanUnknown,
    /// There is a plan with that id.
    #[error("there is a plan with that id")]
    PlanTaken,
    /// Tenants have the plan.
    #[error("{tenants} tenants have the plan")]
    PlanInUse {
        /// The number of tenants that have it.
        tenants: u32,
    },
    /// A newer MalikNode has changed the schema.
    #[error("the schema is {found}, and this program knows up to {known}")]
    SchemaNewer {
        /// The newest migration in the database.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// A pooler gives each transaction another session.
    #[error("the database is behind a pooler of transactions")]
    PoolerOfTransactions,
    /// A migration failed.
    #[error("the schema could not be migrated: {0}")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database was sealed with another key file.
    #[error("the database was sealed with another key")]
    WrongKey,
    /// Sealing or unsealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A column contains a value that this version never writes.
    #[error("an unreadable value: {0}")]
    Corrupt(String),
    /// The file or server cannot be opened.
    #[error("{what} cannot be opened: {source}")]
    Unopenable {
        /// Which one, without its password.
        what: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The database did not answer in time.
    #[error("the database does not answer in time")]
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
        use ErrorCode as Code;
        match self {
            Self::NameTaken => Failure::at(Field::Name, Code::NameTaken, Message::NameInUse),
            Self::NameReserved { name } => {
                let name = name.clone();
                Failure::at(
                    Field::Name,
                    Code::NameReserved,
                    Message::NameReserved { name },
                )
            }
            Self::TooManyReserved { allowed } => {
                let most = (*allowed).into();
                let message = Message::ReservedTooMany { most };
                Failure::at(Field::Name, Code::NameReserved, message)
            }
            Self::InvitationUnknown => Failure::at(
                Field::Invitation,
                Code::InvitationUnknown,
                Message::InvitationUnknown,
            ),
            Self::InvitationNotOpen { state } => state.failure().unwrap_or_else(internal),
            Self::LabelTaken => Failure::at(Field::Label, Code::LabelTaken, Message::LabelTaken),
            Self::KeyTaken => Failure::new(Code::BadRequest, Message::DeviceKeyTaken),
            Self::ClientIdTaken => Failure::new(Code::Busy, Message::DeviceNotSaved),
            Self::NodeFull => Failure::new(Code::NodeFull, Message::SignUpsFull),
            Self::NodeNameTaken { name } => {
                let name = name.clone();
                Failure::at(
                    Field::Name,
                    Code::NodeTaken,
                    Message::NodeNameTaken { name },
                )
            }
            Self::NodeInUse { tenants } => {
                let tenants = (*tenants).into();
                Failure::new(Code::NodeInUse, Message::NodeHasTenants { tenants })
            }
            Self::NodeIsLocal => Failure::new(Code::NodeFixed, Message::NodeIsLocal),
            Self::NodeIsRevoked => Failure::new(Code::NodeFixed, Message::NodeIsRevoked),
            Self::NodeKeyOther => Failure::new(Code::NodeRefused, Message::RenewalOtherKey),
            Self::JoinTokenUnknown => Failure::new(Code::NodeRefused, Message::JoinTokenUnknown),
            Self::JoinTokenUsed => Failure::new(Code::NodeRefused, Message::JoinTokenUsed),
            Self::JoinTokenExpired => Failure::new(Code::NodeRefused, Message::JoinTokenExpired),
            Self::MovePending { name } => {
                let name = name.clone();
                Failure::new(Code::MoveRefused, Message::MovePending { name })
            }
            Self::MoveSameNode { node } => {
                let name = node.clone();
                Failure::new(Code::MoveRefused, Message::MoveSameNode { name })
            }
            Self::MoveUnknown => Failure::not_found(),
            Self::SlotTaken { slot } => {
                let slot = slot.get().into();
                Failure::new(Code::MoveRefused, Message::MoveNowhere { slot })
            }
            Self::DeviceLimit { allowed } => {
                let allowed = (*allowed).into();
                Failure::new(Code::DeviceLimit, Message::DeviceLimit { allowed })
            }
            Self::NotFound => Failure::not_found(),
            Self::Changed => Failure::new(Code::ChangedMeanwhile, Message::ChangedMeanwhile),
            Self::TokenLimit { allowed } => {
                let allowed = (*allowed).into();
                Failure::new(Code::TokenLimit, Message::TokenLimit { allowed })
            }
            Self::OperatorNameTaken => {
                Failure::at(Field::Name, Code::NameTaken, Message::OperatorNameTaken)
            }
            Self::OperatorLinkInvalid => {
                Failure::new(Code::OperatorLinkInvalid, Message::OperatorLinkInvalid)
            }
            Self::LastFactor => Failure::new(Code::LastFactor, Message::LastFactor),
            Self::PasskeyTaken => Failure::new(Code::FactorExists, Message::PasskeyExists),
            Self::PasskeyLimit { allowed } => {
                let most = (*allowed).into();
                Failure::new(Code::PasskeyLimit, Message::PasskeyLimit { most })
            }
            Self::LastOwner => Failure::new(Code::LastOwner, Message::LastOwner),
            Self::PlanUnknown => Failure::at(Field::Plan, Code::PlanUnknown, Message::PlanUnknown),
            Self::PlanTaken => Failure::at(Field::PlanId, Code::PlanTaken, Message::PlanTaken),
            Self::PlanInUse { tenants } => {
                let tenants = (*tenants).into();
                Failure::new(Code::PlanInUse, Message::PlanInUse { tenants })
            }
            Self::SchemaNewer { found, known } => {
                let message = Message::SchemaNewer {
                    found: found.unsigned_abs(),
                    known: known.unsigned_abs(),
                };
                Failure::new(Code::BadConfiguration, message)
            }
            Self::PoolerOfTransactions => {
                Failure::new(Code::BadConfiguration, Message::PoolerOfTransactions)
            }
            Self::Migrate(e) => {
                let reason = e.to_string();
                Failure::new(
                    Code::BadConfiguration,
                    Message::SchemaNotMigrated { reason },
                )
            }
            Self::WrongKey => Failure::new(Code::BadConfiguration, Message::SealKeyOther),
            Self::TimedOut => unavailable(),
            Self::Database(e) | Self::Unopenable { source: e, .. } => match outage(e) {
                Some(Outage::Disk) => Failure::new(Code::DiskUnavailable, Message::DatabaseDisk),
                Some(Outage::Unreachable) => unavailable(),
                None if is_text_with_nul(e) => {
                    Failure::new(Code::TextMalformed, Message::TextWithNul)
                }
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
    Failure::new(ErrorCode::DatabaseUnavailable, Message::DatabaseAway)
}

fn internal() -> Failure {
    Failure::new(ErrorCode::Internal, Message::Unexpected)
}

/// Returns whether another connection held SQLite's lock.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    sqlite_code(error).is_some_and(|code| matches!(code, SQLITE_BUSY | SQLITE_LOCKED))
}

/// Primary result codes (sqlite.org/rescode.html).
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;

/// Returns the primary result code of an error of SQLite, which is the low byte
/// of an extended one.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(e) = error else {
        return None;
    };
    e.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    Some(e.code()?.parse::<u32>().ok()? & 0xff)
}

/// Returns whether a text contained NUL, which PostgreSQL's types of text cannot hold (its manual,
/// section 8.3). Rust's strings are UTF-8, so its code for an invalid encoding means nothing else.
fn is_text_with_nul(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.code().is_some_and(|code| code == "22021"))
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
            match sqlite_code(error) {
                Some(code) => match code {
                    8 | 10 | 13 => Some(Outage::Disk), // READONLY, IOERR, FULL
                    SQLITE_BUSY | SQLITE_LOCKED | 14 => Some(Outage::Unreachable), // CANTOPEN
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
