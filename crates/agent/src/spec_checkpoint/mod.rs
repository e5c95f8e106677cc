//! A node's last spec, stored on its disk: after a reboot the node starts from
//! it if the database does not answer. It holds the bytes of
//! [`NodeSpec::to_bytes`], sealed, because they contain every private key. The
//! file is replaced by rename, soon after a change, but seldom enough that a burst of
//! changes is written once and no request waits for the disk.
//!
//! What was revoked must not return with it: a change that takes something away
//! removes the file before the change is in force, and so before the client gets
//! its answer.

mod legacy;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use writer::CheckpointWriter;

use async_trait::async_trait;
use domain::{ErrorCode, Message, NodeId};
use protocol::{NodeSpec, SpecError};
use provisioning::{PortError, SpecSource, ports::PortResult};
use seal::{Purpose, Sealer};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Longest file that is read, in bytes. 1,000 tenants with 50 devices each take
/// 17 MB; a longer file is something else.
const MAX_BYTES: u64 = 128 << 20;

const fn damaged(path: String) -> Message {
    Message::CheckpointDamaged { path }
}

const fn newer(path: String) -> Message {
    Message::CheckpointNewer { path }
}

/// The file of a node's last spec. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct SpecCheckpoint {
    path: PathBuf,
    sealer: Sealer,
    node: NodeId,
}

impl SpecCheckpoint {
    /// Names the file of that node, without touching it.
    pub const fn new(path: PathBuf, sealer: Sealer, node: NodeId) -> Self {
        Self { path, sealer, node }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the stored spec; `None` if there is none.
    ///
    /// # Errors
    /// `BadConfiguration` if the file is damaged, sealed with another key or
    /// written by a newer version; `DiskUnavailable` if it cannot be read. The
    /// file stays in any case.
    pub fn read(&self) -> PortResult<Option<NodeSpec>> {
        let Some(sealed) = self.read_file()? else {
            return Ok(None);
        };
        let bytes = self
            .sealer
            .open(Purpose::LastSpec, &self.owner(), sealed.trim())
            .map_err(|e| self.unusable(damaged, e))?;
        if let Some(spec) = legacy::parse(&bytes) {
            return Ok(Some(spec));
        }
        let spec = NodeSpec::from_bytes(&bytes).map_err(|e| match e {
            SpecError::Newer(_) => self.unusable(newer, e),
            SpecError::Damaged { .. } => self.unusable(damaged, e),
        })?;
        Ok(Some(spec))
    }

    /// Reads the file; `None` if there is none.
    fn read_file(&self) -> PortResult<Option<String>> {
        let read = || -> io::Result<String> {
            if fs::metadata(&self.path)?.len() > MAX_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            fs::read_to_string(&self.path)
        };
        match read() {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(self.unusable(damaged, e)),
            Err(e) => {
                let path = self.path.display().to_string();
                let message = Message::CheckpointUnreadable { path };
                Err(PortError::because(ErrorCode::DiskUnavailable, message, e))
            }
        }
    }

    /// Returns the error for a file whose content cannot be used.
    fn unusable(
        &self,
        message: fn(String) -> Message,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> PortError {
        let message = message(self.path.display().to_string());
        PortError::because(ErrorCode::BadConfiguration, message, cause)
    }

    /// Stores a spec in place of the previous one.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub fn write(&self, spec: &NodeSpec) -> PortResult<()> {
        const UNSEALED: Message = Message::CheckpointNotSealed;
        let bytes = spec
            .to_bytes()
            .map_err(|e| PortError::because(ErrorCode::Internal, UNSEALED, e))?;
        let sealed = self
            .sealer
            .seal(Purpose::LastSpec, &self.owner(), &bytes)
            .map_err(|e| PortError::because(ErrorCode::Internal, UNSEALED, e))?;
        hostfs::write_private_file(&self.path, sealed.as_bytes())
    }

    /// Seals the file again with the sealer's current key. Returns whether the former key had
    /// sealed it.
    ///
    /// # Errors
    /// `BadConfiguration` if neither key opens the file; `DiskUnavailable`.
    pub fn reseal(&self) -> PortResult<bool> {
        let Some(sealed) = self.read_file()? else {
            return Ok(false);
        };
        let again = self
            .sealer
            .reseal(Purpose::LastSpec, &self.owner(), sealed.trim())
            .map_err(|e| self.unusable(damaged, e))?;
        match again {
            Some(again) => hostfs::write_private_file(&self.path, again.as_bytes()).map(|()| true),
            None => Ok(false),
        }
    }

    /// Removes the file durably: a power failure does not bring it back.
    ///
    /// # Errors
    /// The error of the disk.
    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(()) => match self.path.parent() {
                Some(folder) => fs::File::open(folder)?.sync_all(),
                None => Ok(()),
            },
        }
    }

    /// Returns the identity that the file is sealed for.
    fn owner(&self) -> String {
        format!("node {}", self.node.0)
    }
}

/// Loads the stored spec, which is in force while there is no database.
#[async_trait]
impl SpecSource for SpecCheckpoint {
    async fn load(&self, _in_force: u64) -> PortResult<NodeSpec> {
        let checkpoint = self.clone();
        let read = tokio::task::spawn_blocking(move || checkpoint.read()).await;
        let read = read.map_err(|e| {
            PortError::because(ErrorCode::Internal, Message::CheckpointReadFailed, e)
        })?;
        let mut spec = read?.ok_or_else(|| {
            PortError::new(ErrorCode::DatabaseUnavailable, Message::CheckpointAbsent)
        })?;
        spec.is_earlier = true;
        Ok(spec)
    }
}
