//! Writes the archive of what AdGuard Home has stored for a tenant. Its container may write
//! there at the same time, and an attacker may control it: no link is followed, and only
//! regular files are read ([`HeldDir`]).

use super::format::{
    DIGEST_BYTES, END, FILE, MARK, MAX_DEPTH, MAX_FILES, TOP, UNCHANGED, head, is_name, is_path,
};
use bytes::Bytes;
use hostfs::HeldDir;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The size of a piece, in bytes.
const PIECE: usize = 64 << 10;
/// A file that changed less than this before it was read may change again without a visible
/// change of its times, which have the resolution of the kernel's tick.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// Distinguishes a version of a file from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// Only the kernel sets this time.
    changed: (i64, i64),
}

impl Stamp {
    fn new(m: &Metadata) -> Self {
        Self {
            inode: m.ino(),
            length: m.len(),
            modified: (m.mtime(), m.mtime_nsec()),
            changed: (m.ctime(), m.ctime_nsec()),
        }
    }

    fn is_settled(&self, now: SystemTime) -> bool {
        let at = u64::try_from(self.changed.0).map(Duration::from_secs);
        let age = at.map(|at| now.duration_since(UNIX_EPOCH + at));
        // The second has begun up to a second before.
        age.is_ok_and(|age| age.is_ok_and(|age| age > SETTLE_TIME))
    }
}

/// The files of a pass that another pass need not send again, by their paths.
pub(super) type Sent = BTreeMap<String, Stamp>;

/// Where pieces go; an error ends the archive.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Bytes) -> io::Result<()>;

/// Writes the archive of a folder `adguard_data`, without the files of `before` that have not
/// changed. Returns what the next pass need not send.
///
/// # Errors
/// The folder or a file cannot be read, there are too many files, or the sink's error. In the
/// last pass also a file that becomes shorter.
pub(super) fn pack(
    folder: &HeldDir,
    before: &Sent,
    is_last: bool,
    sink: Sink<'_>,
) -> io::Result<Sent> {
    let mut paths = Vec::new();
    for top in TOP {
        match folder.dir(top) {
            Ok(dir) => list(&dir, top, 1, &mut paths)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    paths.sort();
    let mut writer = Writer::new(sink);
    writer.write(MARK)?;
    let mut sent = Sent::new();
    for path in paths {
        let file = match open(folder, &path) {
            Ok(file) => file,
            // Removed or replaced meanwhile.
            Err(e) if !is_last && e.kind() != io::ErrorKind::PermissionDenied => continue,
            Err(e) => return Err(e),
        };
        let now = SystemTime::now();
        let stamp = Stamp::new(&file.metadata()?);
        if before.get(&path) == Some(&stamp) {
            writer.write(&head(UNCHANGED, &path, stamp.length))?;
            sent.insert(path, stamp);
            continue;
        }
        writer.write(&head(FILE, &path, stamp.length))?;
        let missing = writer.copy(file, stamp.length)?;
        if missing > 0 && is_last {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // It is being written: the next pass sends it again.
        writer.fill(missing)?;
        if missing == 0 && stamp.is_settled(now) {
            sent.insert(path, stamp);
        }
    }
    writer.end()?;
    Ok(sent)
}

/// Writes the archive of a folder that does not exist.
///
/// # Errors
/// The sink's error.
pub(super) fn pack_nothing(sink: Sink<'_>) -> io::Result<()> {
    let mut writer = Writer::new(sink);
    writer.write(MARK)?;
    writer.end()
}

/// Adds the paths of a folder's regular files.
fn list(dir: &HeldDir, at: &str, depth: usize, paths: &mut Vec<String>) -> io::Result<()> {
    let too_many = || io::Error::other("more files than AdGuard Home ever has");
    let left = MAX_FILES.saturating_sub(paths.len() as u64);
    let entries = dir.entries(left.saturating_add(1))?;
    if entries.len() as u64 > left {
        return Err(too_many());
    }
    for entry in entries {
        let Some(name) = entry.name().filter(|name| is_name(name)) else {
            continue;
        };
        let path = format!("{at}/{name}");
        if entry.is_dir && depth < MAX_DEPTH {
            match dir.dir(name) {
                Ok(inner) => list(&inner, &path, depth + 1, paths)?,
                // Removed or replaced meanwhile.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        } else if entry.is_file && is_path(&path) {
            paths.push(path);
        }
    }
    match paths.len() as u64 > MAX_FILES {
        true => Err(too_many()),
        false => Ok(()),
    }
}

fn open(folder: &HeldDir, path: &str) -> io::Result<File> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut parts = above.split('/');
    let mut dir = folder.dir(parts.next().unwrap_or_default())?;
    for part in parts {
        dir = dir.dir(part)?;
    }
    dir.file(name)
}

struct Writer<'a> {
    sink: Sink<'a>,
    hash: Sha256,
    piece: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(sink: Sink<'a>) -> Self {
        Self {
            sink,
            hash: Sha256::new(),
            piece: Vec::with_capacity(PIECE),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.send(bytes)
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend(now);
            bytes = later;
            if self.piece.len() == PIECE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        (self.sink)(piece.into())
    }

    /// Copies so much of a file, and returns how much of that it does not have.
    fn copy(&mut self, file: File, length: u64) -> io::Result<u64> {
        let (mut left, mut file) = (length, file.take(length));
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(left),
                n => {
                    self.write(&buffer[..n])?;
                    left = left.saturating_sub(n as u64);
                }
            }
        }
    }

    fn fill(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let zeros = [0; 1024];
        let mut left = length;
        while left > 0 {
            let now = left.min(zeros.len());
            self.write(&zeros[..now])?;
            left -= now;
        }
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        let digest: [u8; DIGEST_BYTES] = self.hash.clone().finalize().into();
        self.send(&[END])?;
        self.send(&digest)?;
        self.flush()
    }
}
