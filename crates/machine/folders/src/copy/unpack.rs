//! Writes the files of an archive below a folder that only we can enter. The archive is a
//! foreign one: another machine may have been taken over. So each path is compared with a
//! pattern, the sizes with a limit before anything is written, and the whole with its digest.

use super::format::{DIGEST_BYTES, END, FILE, MARK, MAX_FILES, MAX_PATH_BYTES, UNCHANGED, is_path};
use hostfs::{DiskAction, create_private_dir, disk_error};
use provisioning::ports::PortError;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// The files of an archive, by their paths, with their lengths.
pub(super) type Files = BTreeMap<String, u64>;

/// Why an archive cannot be unpacked.
#[derive(Debug)]
pub(super) enum UnpackError {
    /// It is damaged, cut short, or has what none of ours has.
    Damaged(&'static str),
    /// Its files are longer than they may be.
    TooLarge,
    /// The disk fails.
    Port(PortError),
}

impl From<PortError> for UnpackError {
    fn from(e: PortError) -> Self {
        Self::Port(e)
    }
}

type Result<T> = std::result::Result<T, UnpackError>;

/// What comes next.
enum Expected {
    Mark,
    Entry,
    /// So much of a file's content.
    Content(File, u64),
    Digest([u8; DIGEST_BYTES]),
    Nothing,
}

/// Unpacks an archive as it comes.
pub(super) struct Unpacker {
    folder: PathBuf,
    /// What an earlier pass has written there.
    before: Files,
    max_bytes: u64,
    files: Files,
    bytes: u64,
    hash: Sha256,
    /// What was read of the next head.
    head: Vec<u8>,
    expected: Expected,
}

impl Unpacker {
    /// Unpacks below a folder that exists. Files of the pass `before` stay where the archive
    /// says that they have not changed.
    pub fn new(folder: PathBuf, before: Files, max_bytes: u64) -> Self {
        Self {
            folder,
            before,
            max_bytes,
            files: Files::new(),
            bytes: 0,
            hash: Sha256::new(),
            head: Vec::new(),
            expected: Expected::Mark,
        }
    }

    /// Unpacks the next piece.
    ///
    /// # Errors
    /// [`UnpackError`]; then the folder is to be removed.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<()> {
        while !piece.is_empty() {
            if let Expected::Content(file, left) = &mut self.expected {
                let now = piece
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                let (content, rest) = piece.split_at(now);
                let written = file.write_all(content);
                written.map_err(disk_error(DiskAction::Write, &self.folder))?;
                self.hash.update(content);
                *left -= now as u64;
                if *left == 0 {
                    self.expected = Expected::Entry;
                }
                piece = rest;
                continue;
            }
            let missing = self.head_length().saturating_sub(self.head.len());
            let (now, rest) = piece.split_at(piece.len().min(missing));
            self.head.extend(now);
            piece = rest;
            if self.head.len() >= self.head_length() {
                self.take_head()?;
            }
        }
        Ok(())
    }

    /// Removes files that the archive does not have, and returns those that it has.
    ///
    /// # Errors
    /// It is cut short, or its digest differs; the disk fails.
    pub fn finish(self) -> Result<(Files, u64)> {
        let Expected::Nothing = self.expected else {
            return Err(UnpackError::Damaged("it is cut short"));
        };
        let is_gone = |path: &&String| !self.files.contains_key(*path);
        for path in self.before.keys().filter(is_gone) {
            let removed = fs::remove_file(self.folder.join(path));
            removed.map_err(disk_error(DiskAction::Remove, &self.folder))?;
        }
        Ok((self.files, self.bytes))
    }

    /// Returns the length of the next head, as far as what was read of it says that.
    fn head_length(&self) -> usize {
        match (&self.expected, self.head.as_slice()) {
            (Expected::Mark, _) => MARK.len(),
            (Expected::Digest(_), _) => DIGEST_BYTES,
            (Expected::Nothing | Expected::Content(..), _) => 0,
            (Expected::Entry, [END]) => 1,
            (Expected::Entry, [_, length, ..]) => 2 + usize::from(*length) + 8,
            (Expected::Entry, []) => 1,
            (Expected::Entry, [_]) => 2,
        }
    }

    fn take_head(&mut self) -> Result<()> {
        let head = std::mem::take(&mut self.head);
        let expected = std::mem::replace(&mut self.expected, Expected::Nothing);
        self.expected = match (expected, head.as_slice()) {
            (Expected::Mark, MARK) => {
                self.hash.update(MARK);
                Expected::Entry
            }
            (Expected::Digest(wanted), found) if found == wanted => Expected::Nothing,
            (Expected::Digest(_), _) => return Err(UnpackError::Damaged("its digest differs")),
            (Expected::Entry, [END]) => Expected::Digest(self.hash.clone().finalize().into()),
            (Expected::Entry, [tag @ (FILE | UNCHANGED), _, rest @ ..]) => {
                self.hash.update(&head);
                self.entry(*tag, rest)?
            }
            (Expected::Nothing, _) => return Err(UnpackError::Damaged("more follows its end")),
            _ => return Err(UnpackError::Damaged("it has no such entries")),
        };
        Ok(())
    }

    /// Begins a file, or checks one of the pass before.
    fn entry(&mut self, tag: u8, rest: &[u8]) -> Result<Expected> {
        let no_path = UnpackError::Damaged("it has no such paths");
        let (path, length) = rest.split_last_chunk::<8>().ok_or(no_path)?;
        let path = std::str::from_utf8(path).ok();
        let path = path.filter(|path| path.len() <= MAX_PATH_BYTES && is_path(path));
        let path = path.ok_or(UnpackError::Damaged("it has no such paths"))?;
        let length = u64::from_be_bytes(*length);
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > self.max_bytes || self.files.len() as u64 >= MAX_FILES {
            return Err(UnpackError::TooLarge);
        }
        if self.files.insert(path.to_owned(), length).is_some() {
            return Err(UnpackError::Damaged("it has a file twice"));
        }
        if tag == UNCHANGED {
            return match self.before.get(path) == Some(&length) {
                true => Ok(Expected::Entry),
                false => Err(UnpackError::Damaged("a file of the pass before is missing")),
            };
        }
        let file = self.folder.join(path);
        file.parent().map_or(Ok(()), create_private_dir)?;
        let failed = || disk_error(DiskAction::Write, &self.folder);
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed()(e).into()),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let new = options.open(&file).map_err(failed())?;
        Ok(match length {
            0 => Expected::Entry,
            _ => Expected::Content(new, length),
        })
    }
}
