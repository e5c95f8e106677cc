//! Folders that another user changes at the same time, or changed earlier: an attacker
//! may control a container, and what it writes lies in a folder of ours. This process
//! is root, and a symbolic link could lead it to any file. So a folder is held by its
//! descriptor, everything in it is named relative to that, and no link is ever
//! followed (`openat(2)`, `O_NOFOLLOW`).

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, openat, renameat},
    sys::stat::{Mode, SFlag, fstat, fstatat},
    unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, unlinkat},
};
use std::{ffi::CString, fs::File, io, os::fd::OwnedFd, path::Path};

/// How deep folders may lie in each other. AdGuard Home's are three deep.
const MAX_DEPTH: u32 = 16;

/// The size of a block that `stat(2)` counts, in bytes.
const BLOCK: u64 = 512;

const OPEN_DIR: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub struct HeldDir(OwnedFd);

/// What a folder contains under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    name: CString,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// The bytes that it takes on the disk.
    pub bytes: u64,
}

impl Entry {
    /// Returns its name; `None` where that is not UTF-8.
    pub fn name(&self) -> Option<&str> {
        self.name.to_str().ok()
    }
}

/// What a folder takes on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// The bytes of all blocks that are allocated.
    pub bytes: u64,
    /// The number of files and folders.
    pub entries: u64,
    /// Whether there is more that was not counted: too many files, or too deep.
    pub incomplete: bool,
}

impl HeldDir {
    /// Opens a folder. Its last component must not be a link; those above it must be
    /// folders that only we can change.
    ///
    /// # Errors
    /// It does not exist, or it is not a folder (`ELOOP` or `ENOTDIR` for a link).
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(nix::fcntl::open(path, OPEN_DIR, Mode::empty())?))
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// As [`HeldDir::open`].
    pub fn dir(&self, name: &str) -> io::Result<Self> {
        Ok(Self(openat(&self.0, name, OPEN_DIR, Mode::empty())?))
    }

    /// Opens a regular file in this folder for reading.
    ///
    /// # Errors
    /// It does not exist, or it is not a regular file: a link, a pipe, a socket.
    pub fn file(&self, name: &str) -> io::Result<File> {
        // O_NONBLOCK: opening a pipe would wait for its other end.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Returns what the folder contains, `max` entries at most.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entries(&self, max: u64) -> io::Result<Vec<Entry>> {
        let mut list = Dir::from_fd(openat(&self.0, ".", OPEN_DIR, Mode::empty())?)?;
        let mut entries = Vec::new();
        for entry in list.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entries.len() as u64 >= max {
                break;
            }
            match fstatat(&self.0, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => {
                    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
                    entries.push(Entry {
                        name: name.to_owned(),
                        is_dir: kind == SFlag::S_IFDIR,
                        is_file: kind == SFlag::S_IFREG,
                        bytes: u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK,
                    });
                }
                // Removed meanwhile.
                Err(Errno::ENOENT) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(entries)
    }

    /// Removes a file, or a link itself. Returns whether it existed.
    ///
    /// # Errors
    /// It is a folder, or it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Moves something of this folder into another one on the same disk. Returns
    /// whether it existed.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn move_to(&self, name: &str, to: &Self) -> io::Result<bool> {
        match renameat(&self.0, name, &to.0, name) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Measures the folder with everything in it, `max` entries at most.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn usage(&self, max: u64) -> io::Result<DiskUsage> {
        let own = fstat(&self.0)?;
        let mut usage = DiskUsage {
            bytes: u64::try_from(own.st_blocks).unwrap_or(0) * BLOCK,
            entries: 1,
            incomplete: false,
        };
        self.add_usage(max, MAX_DEPTH, &mut usage)?;
        Ok(usage)
    }

    fn add_usage(&self, max: u64, depth: u32, usage: &mut DiskUsage) -> io::Result<()> {
        let left = max.saturating_sub(usage.entries);
        let entries = self.entries(left)?;
        usage.incomplete |= entries.len() as u64 >= left;
        for entry in entries {
            usage.bytes = usage.bytes.saturating_add(entry.bytes);
            usage.entries += 1;
            if !entry.is_dir {
                continue;
            }
            if depth == 0 || usage.entries >= max {
                usage.incomplete = true;
                continue;
            }
            match openat(&self.0, entry.name.as_c_str(), OPEN_DIR, Mode::empty()) {
                Ok(dir) => Self(dir).add_usage(max, depth - 1, usage)?,
                // Removed or replaced meanwhile.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Gives the folder with everything in it to a user and the group of the same
    /// number; a link itself, never what it leads to. A folder that the user owns
    /// already is left as it is: it gets its owner last, so everything in it has it.
    /// Without root's rights this does nothing.
    ///
    /// # Errors
    /// It has more than `max` entries or lies deeper than 16 folders, or the disk
    /// fails.
    pub fn give_to(&self, user: u32, max: u64) -> io::Result<()> {
        if !Uid::effective().is_root() {
            return Ok(());
        }
        let mut left = max;
        self.give_tree(user, MAX_DEPTH, &mut left)
    }

    fn give_tree(&self, user: u32, depth: u32, left: &mut u64) -> io::Result<()> {
        if fstat(&self.0)?.st_uid == user {
            return Ok(());
        }
        let too_much = || io::Error::other("more files than AdGuard Home ever has");
        let entries = self.entries(left.saturating_add(1))?;
        *left = left
            .checked_sub(entries.len() as u64)
            .ok_or_else(too_much)?;
        let owner = (Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
        for entry in entries {
            let name = entry.name.as_c_str();
            if entry.is_dir {
                let depth = depth.checked_sub(1).ok_or_else(too_much)?;
                let dir = openat(&self.0, name, OPEN_DIR, Mode::empty())?;
                Self(dir).give_tree(user, depth, left)?;
                continue;
            }
            fchownat(
                &self.0,
                name,
                owner.0,
                owner.1,
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )?;
        }
        fchown(&self.0, owner.0, owner.1)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn links_are_given_away_and_never_followed() {
        assert!(
            Uid::effective().is_root(),
            "this test gives files away: run it as root"
        );
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for dir in ["work/data/filters", "outside/below"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        for file in ["work/data/stats.db", "outside/shadow", "outside/below/file"] {
            fs::write(at(file), "x").unwrap();
        }
        symlink(at("outside/shadow"), at("work/data/file")).unwrap();
        symlink(at("outside"), at("work/data/filters/dir")).unwrap();
        HeldDir::open(&at("work"))
            .unwrap()
            .give_to(300_007, 100)
            .unwrap();
        for path in [
            "work",
            "work/data/filters",
            "work/data/stats.db",
            "work/data/file",
            "work/data/filters/dir",
        ] {
            assert_eq!(owner(&at(path)), 300_007, "{path}");
        }
        for path in ["outside", "outside/shadow", "outside/below/file"] {
            assert_eq!(owner(&at(path)), 0, "{path}");
        }
        symlink(at("outside"), at("link")).unwrap();
        assert!(HeldDir::open(&at("link")).is_err());
        let data = HeldDir::open(&at("work/data")).unwrap();
        assert!(data.file("file").is_err() && data.dir("file").is_err());
        assert!(data.remove("file").unwrap());
        assert_eq!(fs::read_to_string(at("outside/shadow")).unwrap(), "x");
    }

    #[test]
    fn a_tree_given_in_part_is_given_completely_later() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("work/data")).unwrap();
        for n in 0..5 {
            fs::write(at(&format!("work/data/{n}")), "x").unwrap();
        }
        let dir = HeldDir::open(&at("work")).unwrap();
        assert!(dir.give_to(300_007, 4).is_err());
        assert_eq!(owner(&at("work")), 0);
        dir.give_to(300_007, 6).unwrap();
        assert_eq!(
            (owner(&at("work")), owner(&at("work/data/4"))),
            (300_007, 300_007)
        );
    }

    #[test]
    fn usage_counts_blocks_and_stops_at_the_limit() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/log"), vec![7; 300_000]).unwrap();
        symlink("/", root.path().join("a/everything")).unwrap();
        // A hole takes no blocks.
        let hole = fs::File::create(root.path().join("hole")).unwrap();
        hole.set_len(1 << 40).unwrap();
        let dir = HeldDir::open(root.path()).unwrap();
        let usage = dir.usage(100).unwrap();
        assert!((300_000..400_000).contains(&usage.bytes), "{usage:?}");
        assert_eq!((usage.entries, usage.incomplete), (6, false));
        let usage = dir.usage(3).unwrap();
        assert!(usage.incomplete && usage.entries <= 3, "{usage:?}");
        let mut deep = root.path().to_owned();
        for _ in 0..40 {
            deep.push("d");
            fs::create_dir(&deep).unwrap();
        }
        assert!(dir.usage(100).unwrap().incomplete);
    }
}
