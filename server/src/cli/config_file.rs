//! Where a device's configuration is written: it holds the private key, so the file is its
//! owner's alone.

use super::client::CallError;
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The file to write.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Write the configuration to this file, which only you can read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite the file if it exists
    #[arg(long, requires = "out")]
    force: bool,
}

impl Target {
    /// Returns whether there is a file to write.
    pub const fn is_set(&self) -> bool {
        self.out.is_some()
    }

    /// Checks, before anything is changed, that the file does not exist or may be overwritten.
    ///
    /// # Errors
    /// It exists.
    pub fn check(&self) -> Result<(), CallError> {
        match &self.out {
            Some(path) if !self.force && path.exists() => Err(exists(path)),
            _ => Ok(()),
        }
    }

    /// Writes the file, if there is one to write, and returns its path.
    ///
    /// # Errors
    /// It exists, or cannot be written.
    pub fn write(&self, config: &str) -> Result<Option<String>, CallError> {
        let Some(path) = &self.out else {
            return Ok(None);
        };
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::AlreadyExists => exists(path),
            _ => CallError::Failed(format!("{} cannot be written: {e}", path.display())),
        };
        if self.force {
            // A new file, so that the mode of the old one does not count.
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(path).map_err(failed)?;
        file.write_all(config.as_bytes()).map_err(failed)?;
        Ok(Some(path.display().to_string()))
    }
}

fn exists(path: &Path) -> CallError {
    CallError::Usage(format!("{} exists: --force overwrites it", path.display()))
}

/// Prints a configuration as it is.
pub(super) fn print(config: &str) {
    let _ = std::io::stdout().write_all(config.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_configuration_is_its_owners_alone_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wg0.conf");
        let target = |force| Target {
            out: Some(path.clone()),
            force,
        };
        assert!(target(false).check().is_ok());
        assert!(target(false).write("[Interface]\n").unwrap().is_some());
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        assert!(target(false).check().is_err());
        assert!(target(false).write("x").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "[Interface]\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        target(true).check().unwrap();
        target(true).write("new").unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode()),
            ("new", 0o600)
        );
        let none = Target {
            out: None,
            force: false,
        };
        assert_eq!(none.write("x").unwrap(), None);
    }
}
