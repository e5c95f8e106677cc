//! The folder of the lists: each list's file, and the state of its last fetch.
//! Containers read the lists through a mount, each as a user of its own, so folder and
//! lists are readable for all who get there. (The folder above is ours alone.)

use super::list::{CHECK_VERSION, List, ListState};
use crate::files::disk_error;
use hostfs::{create_shared_dir, share_file, write_private_file};
use provisioning::ports::PortResult;
use std::{fs, io, path::PathBuf};

/// The folder of the lists (`<root>/lists`).
#[derive(Debug)]
pub(super) struct ListFolder {
    dir: PathBuf,
}

impl ListFolder {
    /// Returns a handle to the folder, which need not exist.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Creates the folder if it does not exist.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub(super) fn create(&self) -> PortResult<()> {
        create_shared_dir(&self.dir)
    }

    /// Returns the path of a list's file.
    pub(super) fn path(&self, list: &List) -> PathBuf {
        self.dir.join(list.file_name())
    }

    /// Returns the path of a list's file while it is being fetched. The name is
    /// not `*.txt`, so that AdGuard Home cannot read the file.
    pub(super) fn partial_path(&self, list: &List) -> PathBuf {
        self.dir.join(format!(".{}.part", list.id))
    }

    fn state_path(&self, list: &List) -> PathBuf {
        self.dir.join(format!(".{}.json", list.id))
    }

    /// Writes a list's file if it does not exist, as one that was never fetched.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub(super) fn write_if_missing(&self, list: &List, text: &[u8]) -> PortResult<()> {
        let path = self.path(list);
        if !path.exists() {
            match fs::remove_file(self.state_path(list)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(disk_error(&path, e)),
                _ => {}
            }
            write_private_file(&path, text)?;
        }
        Ok(())
    }

    /// Writes a list's file if it has another content.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub(super) fn write_if_other(&self, list: &List, text: &str) -> PortResult<()> {
        let path = self.path(list);
        match fs::read_to_string(&path) {
            Ok(present) if present == text => Ok(()),
            _ => write_private_file(&path, text.as_bytes()),
        }
    }

    /// Lets containers read a list's file, if it exists.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub(super) fn share(&self, list: &List) -> PortResult<()> {
        share_file(&self.path(list))
    }

    /// Returns the stored state of a list. Returns the default, which costs a
    /// fetch, if the state is of another source or the list's file is missing.
    pub(super) fn state(&self, list: &List) -> ListState {
        let read = || -> Option<ListState> {
            let text = fs::read(self.state_path(list)).ok()?;
            let state: ListState = serde_json::from_slice(&text).ok()?;
            let is_same = state.source.as_ref() == Some(&list.source);
            (is_same && state.checked == CHECK_VERSION && self.path(list).exists()).then_some(state)
        };
        read().unwrap_or_default()
    }

    /// Stores the state of a list.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub(super) fn save_state(&self, list: &List, state: &ListState) -> PortResult<()> {
        let text = serde_json::to_vec(state).unwrap_or_default();
        write_private_file(&self.state_path(list), &text)
    }
}
