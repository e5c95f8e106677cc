//! The file that holds the key.

use crate::SealError;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};
use zeroize::Zeroizing;

type Key = Zeroizing<[u8; 32]>;

/// Limits how much of a file is read: a key file has 45 bytes.
const MAX_BYTES: u64 = 128;

/// Reads the key; creates the file with a random key if it does not exist.
pub(crate) fn read_or_create(path: &Path) -> Result<Key, SealError> {
    let failed = |source| SealError::File {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            create(path, &random_key()?).map_err(failed)?;
            File::open(path)
        }
        opened => opened,
    };
    let file = file.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("it is not a file")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(SealError::Permissions {
            path: path.to_owned(),
            mode: metadata.mode() & 0o777,
        });
    }
    let mut text = Zeroizing::new(String::new());
    match file.take(MAX_BYTES).read_to_string(&mut text) {
        Err(e) if e.kind() != ErrorKind::InvalidData => return Err(failed(e)),
        _ => {}
    }
    let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(Zeroizing::new(key)),
        Err(_) => Err(SealError::Content {
            path: path.to_owned(),
        }),
    }
}

fn random_key() -> Result<Key, SealError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(SealError::Random)?;
    Ok(key)
}

/// Writes the key to a temporary file in the same folder and links it to
/// `path`. Unlike a rename, a link fails if the file already exists, and no
/// process ever reads an incomplete file.
fn create(path: &Path, key: &Key) -> io::Result<()> {
    let folder = match path.parent() {
        Some(p) if p.as_os_str().is_empty() => Path::new("."),
        Some(p) => p,
        None => return Err(io::Error::other("it has no folder")),
    };
    let mut suffix = [0_u8; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = folder.join(format!(".seal-{:016x}", u64::from_ne_bytes(suffix)));
    let linked = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let text = Zeroizing::new(STANDARD.encode(**key) + "\n");
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&temporary, path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    })();
    let removed = fs::remove_file(&temporary);
    linked?;
    removed?;
    File::open(folder)?.sync_all()
}
