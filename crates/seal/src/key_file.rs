//! The file that holds the key, and while the key is being changed the former one too.

use crate::SealError;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Limits how much of a file is read: a file with two keys has 90 bytes.
const MAX_BYTES: u64 = 128;

/// The keys of a file.
pub(crate) struct Keys {
    /// The key that seals.
    pub current: Key,
    /// The key before it, which still opens values, while the key is being changed.
    pub former: Option<Key>,
}

/// Reads the keys; creates the file with a random key if it does not exist.
pub(crate) fn read_or_create(path: &Path) -> Result<Keys, SealError> {
    match read(path) {
        Err(SealError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            let text = encode(&random_key()?, None);
            create(path, &text).map_err(|source| failed(path, source))?;
            read(path)
        }
        keys => keys,
    }
}

/// Reads the keys of a file that exists.
pub(crate) fn read(path: &Path) -> Result<Keys, SealError> {
    let file = File::open(path).map_err(|source| failed(path, source))?;
    let metadata = file.metadata().map_err(|source| failed(path, source))?;
    if !metadata.is_file() {
        return Err(failed(path, io::Error::other("it is not a file")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(SealError::Permissions {
            path: path.to_owned(),
            mode: metadata.mode() & 0o777,
        });
    }
    let mut text = Zeroizing::new(String::new());
    match file.take(MAX_BYTES).read_to_string(&mut text) {
        Err(e) if e.kind() != ErrorKind::InvalidData => return Err(failed(path, e)),
        _ => {}
    }
    decode(&text).ok_or_else(|| SealError::Content {
        path: path.to_owned(),
    })
}

/// Puts a new random key before the key of the file, which goes on to open values. A file
/// with two keys stays as it is: that change was interrupted.
pub(crate) fn begin_change(path: &Path) -> Result<(), SealError> {
    let keys = read(path)?;
    if keys.former.is_some() {
        return Ok(());
    }
    let text = encode(&random_key()?, Some(&keys.current));
    replace(path, &text).map_err(|source| failed(path, source))
}

/// Removes the former key.
pub(crate) fn finish_change(path: &Path) -> Result<(), SealError> {
    let keys = read(path)?;
    let text = encode(&keys.current, None);
    replace(path, &text).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> SealError {
    SealError::File {
        path: path.to_owned(),
        source,
    }
}

fn decode(text: &str) -> Option<Keys> {
    let key = |line: &str| {
        let bytes = Zeroizing::new(STANDARD.decode(line.trim()).ok()?);
        bytes.as_slice().try_into().ok().map(Zeroizing::new)
    };
    let mut lines = text.trim().lines();
    let current = key(lines.next()?)?;
    let former = match lines.next() {
        Some(line) => Some(key(line)?),
        None => None,
    };
    lines.next().is_none().then_some(Keys { current, former })
}

fn encode(current: &Key, former: Option<&Key>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(96));
    for key in std::iter::once(current).chain(former) {
        STANDARD.encode_string(**key, &mut text);
        text.push('\n');
    }
    text
}

fn random_key() -> Result<Key, SealError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(SealError::Random)?;
    Ok(key)
}

/// Writes the text to a temporary file and links it to `path`. Unlike a rename, a link fails
/// if the file already exists, and no process ever reads an incomplete file.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let (folder, temporary) = write_beside(path, text)?;
    let linked = match fs::hard_link(&temporary, path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    };
    let removed = fs::remove_file(&temporary);
    linked?;
    removed?;
    File::open(folder)?.sync_all()
}

/// Writes the text to a temporary file and puts it in place of `path`.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let (folder, temporary) = write_beside(path, text)?;
    let renamed = fs::rename(&temporary, path);
    if renamed.is_err() {
        fs::remove_file(&temporary)?;
    }
    renamed?;
    File::open(folder)?.sync_all()
}

/// Writes a temporary file in the folder of `path`. Returns the folder and the file.
fn write_beside(path: &Path, text: &str) -> io::Result<(PathBuf, PathBuf)> {
    let folder = match path.parent() {
        Some(p) if p.as_os_str().is_empty() => Path::new("."),
        Some(p) => p,
        None => return Err(io::Error::other("it has no folder")),
    };
    let mut suffix = [0_u8; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = folder.join(format!(".seal-{:016x}", u64::from_ne_bytes(suffix)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        fs::remove_file(&temporary)?;
    }
    written.map(|()| (folder.to_owned(), temporary))
}
