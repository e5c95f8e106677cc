//! The SQLite file while it is moved to PostgreSQL, and after: no other process of ours
//! uses it meanwhile, and none makes a new, empty one in its place. An empty database
//! would mean that there are no tenants, and the node would remove all tunnels.

use crate::{config::Config, start_error::StartError};
use domain::Message;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use store::DatabaseUrl;

/// The locks that this process shares with others until it ends, by their files.
static SHARED: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());

/// Allows this process to use the database until it ends.
///
/// # Errors
/// The database is being moved, or was moved and its file does not exist any more.
pub(crate) fn use_file(config: &Config) -> Result<(), StartError> {
    let DatabaseUrl::Sqlite(path) = &config.database_url else {
        return Ok(());
    };
    let lock = lock_path(config);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Entry::Vacant(vacant) = shared.entry(lock.clone()) {
        let file = open(&lock)?;
        locked(file.try_lock_shared(), &lock, config)?;
        vacant.insert(file);
    }
    match was_moved(path) {
        Some(message) => Err(StartError::from(&message)),
        None => Ok(()),
    }
}

/// Keeps every other process of ours from the database, until the file is dropped.
///
/// # Errors
/// One uses it.
pub(crate) fn lock_file(config: &Config) -> Result<File, StartError> {
    let lock = lock_path(config);
    let file = open(&lock)?;
    locked(file.try_lock(), &lock, config)?;
    Ok(file)
}

fn lock_path(config: &Config) -> PathBuf {
    config.central().join("database.lock")
}

fn open(path: &Path) -> Result<File, StartError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|source| unusable(path, source))
}

fn unusable(path: &Path, source: std::io::Error) -> StartError {
    StartError::Folder {
        path: path.display().to_string(),
        source,
    }
}

fn locked(
    result: Result<(), TryLockError>,
    path: &Path,
    config: &Config,
) -> Result<(), StartError> {
    match result {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(StartError::from(&Message::DatabaseInUse {
            path: config.root.display().to_string(),
        })),
        Err(TryLockError::Error(source)) => Err(unusable(path, source)),
    }
}

/// Returns what to say of a file that does not exist because it was moved to PostgreSQL.
pub(crate) fn was_moved(path: &Path) -> Option<Message> {
    if path.exists() {
        return None;
    }
    let name = path.file_name()?.to_str()?;
    let prefix = format!("{name}.moved-");
    let entries = fs::read_dir(path.parent()?).ok()?.flatten();
    let moved = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let is_database = !name.ends_with("-wal") && !name.ends_with("-shm");
        (name.starts_with(&prefix) && is_database).then(|| entry.path())
    });
    Some(Message::DatabaseMoved {
        path: path.display().to_string(),
        file: moved.max()?.display().to_string(),
    })
}

/// Gives a moved file its new name, with what SQLite keeps beside it, and returns the name.
///
/// # Errors
/// It cannot be renamed.
pub(crate) fn rename_moved(path: &Path, date: &str) -> Result<PathBuf, StartError> {
    let named = |suffix: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let moved = (1..)
        .map(|n| match n {
            1 => format!(".moved-{date}"),
            n => format!(".moved-{date}-{n}"),
        })
        .find(|suffix| !named(suffix.clone()).exists())
        .unwrap_or_default();
    // The file first: from then on, a server that still has the old setting refuses it.
    for beside in ["", "-wal", "-shm"] {
        let (from, to) = (named(beside.to_owned()), named(format!("{moved}{beside}")));
        match fs::rename(&from, &to) {
            Err(e) if beside.is_empty() || e.kind() != std::io::ErrorKind::NotFound => {
                return Err(unusable(&from, e));
            }
            _ => {}
        }
    }
    Ok(named(moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_file_is_not_replaced_by_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        let config = Config::from_text(root.path().to_owned(), "config.toml".into(), "").unwrap();
        fs::create_dir(config.central()).unwrap();
        let path = config.central().join("database.sqlite");
        assert_eq!(was_moved(&path), None, "it was never there");
        for (n, name) in [
            "database.sqlite.moved-2026-11-27",
            "database.sqlite.moved-2026-11-27-2",
        ]
        .into_iter()
        .enumerate()
        {
            fs::write(&path, [n as u8]).unwrap();
            fs::write(config.central().join("database.sqlite-wal"), "wal").unwrap();
            let moved = rename_moved(&path, "2026-11-27").unwrap();
            assert_eq!(moved, config.central().join(name));
            assert_eq!(fs::read(&moved).unwrap(), [n as u8]);
            assert!(config.central().join(format!("{name}-wal")).exists());
            let Some(Message::DatabaseMoved { file, .. }) = was_moved(&path) else {
                panic!("{name}");
            };
            assert_eq!(Path::new(&file), moved, "the newest");
        }
        let refused = use_file(&config).unwrap_err().to_string();
        assert!(refused.contains("was moved to PostgreSQL"), "{refused}");
        fs::write(&path, "back").unwrap();
        assert_eq!(was_moved(&path), None);
        use_file(&config).unwrap();
        // This process shares the lock now.
        let refused = lock_file(&config).unwrap_err().to_string();
        assert!(refused.contains("uses the database"), "{refused}");
    }
}
