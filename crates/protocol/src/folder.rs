//! A tenant's folder on its way from one node to another: what AdGuard Home has stored. The
//! control plane passes the archive on as it comes, and never reads it.

use crate::Location;
use bytes::Bytes;
use domain::{ErrorCode, Message, Problem, PublicKey, TenantName};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An archive, in pieces of at most some 100 kB. One that ends before its digest, or with an
/// error, is no archive.
pub type FolderStream = BoxStream<'static, Result<Bytes, Problem>>;

/// Distinguishes an attempt to copy a folder from all others: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyId(String);

impl CopyId {
    /// Makes one of random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Parses the text of [`Display`](fmt::Display). Returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let is_id = text.len() == 32 && text.bytes().all(is_digit);
        is_id.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for CopyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pass of a copy: which folder, and whether it is the last pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderCopy {
    /// Where the tenant is, or is to be.
    pub at: Location,
    pub name: TenantName,
    pub id: CopyId,
    /// Whether AdGuard Home is stopped for it, so that nothing changes any more. What an
    /// earlier pass of the same id has copied and has not changed since is left out.
    pub is_last: bool,
}

/// What a node has stored of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderReceipt {
    /// The bytes of all its files.
    pub bytes: u64,
    pub files: u64,
}

/// Whom a folder is stored for: the tenant with this public key of the tunnel, and no later
/// one of the same name.
pub type FolderOwner = PublicKey;

/// Returns the problem of a node that does not know how to copy folders.
pub fn cannot_copy() -> Problem {
    Problem {
        code: ErrorCode::MoveRefused,
        message: Message::CopyUnsupported,
    }
}
