//! What a node is told of a folder that it receives.

use domain::{Slot, TenantName};
use protocol::{CopyId, FolderOwner};

/// For whom a folder is received, and how large it may be.
#[derive(Clone, Debug)]
pub struct Reception {
    pub name: TenantName,
    pub slot: Slot,
    pub owner: FolderOwner,
    pub id: CopyId,
    /// Whether the folder is complete after this pass.
    pub is_last: bool,
    /// The most bytes of all its files.
    pub max_bytes: u64,
}
