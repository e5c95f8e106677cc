//! What a worker stores of itself in `<root>/worker`: which node it is of which control
//! planes, its key with its certificate, and the authority's certificate.

use crate::{config::Config, start_error::StartError};
use async_trait::async_trait;
use domain::{AddressPlan, Message, NodeId};
use link::worker::{ControlPlane, Identity, IdentityStore, Joined};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const MEMBERSHIP: &str = "worker.toml";
const IDENTITY: &str = "identity.pem";
const AUTHORITY: &str = "authority.pem";
/// The longest of these files, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What this machine has joined. `control_planes` may be edited by the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Membership {
    pub node: NodeId,
    /// What the operator called the machine when it joined.
    pub name: String,
    /// The addresses of the control planes, in the order in which they are tried.
    pub control_planes: Vec<String>,
    /// The address ranges of the installation.
    pub addresses: AddressPlan,
}

impl Membership {
    /// Reads what this machine has joined; `None` if it is no worker.
    ///
    /// # Errors
    /// The file cannot be used.
    pub(crate) fn load(config: &Config) -> Result<Option<Self>, StartError> {
        let path = config.worker().join(MEMBERSHIP);
        match read(&path) {
            Ok(text) => toml::from_str(&text)
                .map(Some)
                .map_err(|e| damaged(&path, &e.message().replace('\n', " "))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(damaged(&path, &e.to_string())),
        }
    }

    /// Returns the control planes: the first one and the others.
    ///
    /// # Errors
    /// There is none, or one is no address.
    pub(crate) fn control_planes(
        &self,
        config: &Config,
    ) -> Result<(ControlPlane, Vec<ControlPlane>), StartError> {
        let parsed: Result<Vec<ControlPlane>, _> =
            self.control_planes.iter().map(|to| to.parse()).collect();
        let path = config.worker().join(MEMBERSHIP);
        let mut all = parsed
            .map_err(|e| damaged(&path, &format!("control_planes: {e}")))?
            .into_iter();
        let first = all.next();
        let first = first.ok_or_else(|| damaged(&path, "control_planes is empty"))?;
        Ok((first, all.collect()))
    }
}

/// Reads the stored identity. That its parts fit each other is for the link to say.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn stored_identity(config: &Config) -> Result<Identity, StartError> {
    let text = |name: &str| {
        let path = config.worker().join(name);
        read(&path).map_err(|e| damaged(&path, &e.to_string()))
    };
    let both = Zeroizing::new(text(IDENTITY)?);
    Ok(Identity {
        authority: text(AUTHORITY)?,
        certificate: certificates(&both),
        key: private_key(&both),
    })
}

/// Returns a text without its private keys.
fn certificates(text: &str) -> String {
    let mut inside_key = false;
    let lines = text.lines().filter(|line| {
        let is_key = line.contains("PRIVATE KEY-----");
        if is_key {
            inside_key = line.starts_with("-----BEGIN");
        }
        !is_key && !inside_key
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Stores what this machine has joined, all of it or nothing.
///
/// # Errors
/// The error of the disk.
pub(crate) fn store(
    config: &Config,
    membership: &Membership,
    joined: &Joined,
) -> Result<(), StartError> {
    let folder = config.worker();
    let temporary = config.root.join(".worker.new");
    let unusable = |source: io::Error| StartError::Folder {
        path: folder.display().to_string(),
        source,
    };
    match fs::remove_dir_all(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(unusable(e)),
        _ => {}
    }
    hostfs::create_private_dir(&config.root)?;
    hostfs::create_private_dir(&temporary)?;
    let text = toml::to_string(membership).map_err(|e| unusable(io::Error::other(e)))?;
    for (name, content) in [
        (MEMBERSHIP, text.as_bytes()),
        (AUTHORITY, joined.identity.authority.as_bytes()),
        (IDENTITY, identity_file(&joined.identity).as_bytes()),
    ] {
        hostfs::write_durable_file(&temporary.join(name), content)?;
    }
    fs::rename(&temporary, &folder).map_err(unusable)?;
    let root = fs::File::open(&config.root);
    root.and_then(|root| root.sync_all()).map_err(unusable)
}

/// Returns the content of the file with key and certificate.
fn identity_file(identity: &Identity) -> Zeroizing<String> {
    Zeroizing::new(format!("{}{}", *identity.key, identity.certificate))
}

/// Returns a text's private key alone.
fn private_key(text: &str) -> Zeroizing<String> {
    let begin = text.find("-----BEGIN PRIVATE KEY-----").unwrap_or(0);
    let end_mark = "-----END PRIVATE KEY-----";
    let end = text
        .find(end_mark)
        .map_or(text.len(), |at| at + end_mark.len());
    Zeroizing::new(format!("{}\n", text.get(begin..end).unwrap_or_default()))
}

/// Stores renewed certificates.
pub(crate) struct IdentityFile(PathBuf);

impl IdentityFile {
    pub(crate) fn new(config: &Config) -> Self {
        Self(config.worker().join(IDENTITY))
    }
}

#[async_trait]
impl IdentityStore for IdentityFile {
    async fn store(&self, identity: &Identity) -> io::Result<()> {
        let (path, content) = (self.0.clone(), identity_file(identity));
        let writing = tokio::task::spawn_blocking(move || {
            let written = hostfs::write_durable_file(&path, content.as_bytes());
            written.map_err(io::Error::other)
        });
        writing.await.map_err(io::Error::other)?
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(io::Error::other("the file is too long"));
    }
    fs::read_to_string(path)
}

fn damaged(path: &Path, reason: &str) -> StartError {
    StartError::from(&Message::WorkerIdentityDamaged {
        path: path.display().to_string(),
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_key_and_one_certificate_whatever_is_renewed() {
        let key = "-----BEGIN PRIVATE KEY-----\nKEY\n-----END PRIVATE KEY-----\n";
        let certificate = |text: &str| {
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let mut identity = Identity {
            authority: String::new(),
            certificate: certificate("ONE"),
            key: Zeroizing::new(key.to_owned()),
        };
        for renewed in ["TWO", "THREE"] {
            let file = identity_file(&identity);
            assert_eq!(file.matches("BEGIN").count(), 2);
            assert_eq!(certificates(&file), identity.certificate);
            // As after a restart.
            identity.key = private_key(&file);
            assert_eq!(*identity.key, key);
            identity.certificate = certificate(renewed);
        }
    }
}
