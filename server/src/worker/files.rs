//! What a worker stores of itself in `<root>/worker`: which node it is of which control
//! planes, its key with its certificate, the authority's certificate, and the control planes
//! that were listed to it. While it joins, its key is in `<root>/.worker.key`.

use crate::{config::Config, start_error::StartError};
use async_trait::async_trait;
use domain::{AddressPlan, Message, NodeId};
use link::worker::{ControlPlane, Identity, IdentityStore, Joined, LinkError};
use pki::NodeKey;
use protocol::wire::MAX_CONTROL_PLANES;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const MEMBERSHIP: &str = "worker.toml";
const IDENTITY: &str = "identity.pem";
const AUTHORITY: &str = "authority.pem";
/// The addresses of the control planes that were listed last, a line each.
const LISTED: &str = "control_planes";
/// The key of a machine that joins, in the root: the answer may be lost, and the token can
/// be used again with the same key only.
const JOINING_KEY: &str = ".worker.key";
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

/// Returns the control planes that were listed last. One that cannot be read is not known.
pub(crate) fn listed_control_planes(config: &Config) -> Vec<ControlPlane> {
    listed(&config.worker())
}

fn listed(folder: &Path) -> Vec<ControlPlane> {
    let path = folder.join(LISTED);
    match read(&path) {
        Ok(text) => {
            let addresses = text.lines().filter_map(|line| line.parse().ok());
            addresses.take(MAX_CONTROL_PLANES).collect()
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(e) => {
            tracing::warn!(path = %path.display(), error = %e, "the list of control planes cannot be read; it is learned again");
            Vec::new()
        }
    }
}

/// Returns whether there is the key of an attempt to join.
pub(crate) fn has_joining_key(config: &Config) -> bool {
    config.root.join(JOINING_KEY).exists()
}

/// Returns the key with which this machine joins: that of an attempt before, or a new one.
///
/// # Errors
/// The error of the disk, or there is no randomness.
pub(crate) fn joining_key(config: &Config) -> Result<NodeKey, StartError> {
    let path = config.root.join(JOINING_KEY);
    let stored = read(&path).ok().map(Zeroizing::new);
    if let Some(key) = stored.and_then(|pem| NodeKey::from_pem(&pem).ok()) {
        return Ok(key);
    }
    let key = NodeKey::generate().map_err(LinkError::from)?;
    hostfs::create_private_dir(&config.root)?;
    hostfs::write_durable_file(&path, key.pem().as_bytes())?;
    Ok(key)
}

/// Removes the key with which this machine has joined. A failure is logged: the key is in
/// the identity as well.
pub(crate) fn remove_joining_key(config: &Config) {
    let path = config.root.join(JOINING_KEY);
    if let Err(e) = fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), error = %e, "the key of the attempt to join cannot be removed");
    }
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

/// Stores renewed certificates, and which control planes there are.
pub(crate) struct IdentityFile(PathBuf);

impl IdentityFile {
    pub(crate) fn new(config: &Config) -> Self {
        Self(config.worker())
    }

    async fn write(&self, name: &str, content: Zeroizing<String>) -> io::Result<()> {
        let path = self.0.join(name);
        let writing = tokio::task::spawn_blocking(move || {
            let written = hostfs::write_durable_file(&path, content.as_bytes());
            written.map_err(io::Error::other)
        });
        writing.await.map_err(io::Error::other)?
    }
}

#[async_trait]
impl IdentityStore for IdentityFile {
    async fn store(&self, identity: &Identity) -> io::Result<()> {
        self.write(IDENTITY, identity_file(identity)).await
    }

    async fn store_control_planes(&self, listed: &[ControlPlane]) -> io::Result<()> {
        let lines = listed.iter().map(|to| format!("{to}\n"));
        self.write(LISTED, Zeroizing::new(lines.collect())).await
    }

    fn stored_control_planes(&self) -> Vec<ControlPlane> {
        listed(&self.0)
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
    use std::os::unix::fs::PermissionsExt;

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

    #[tokio::test]
    async fn a_list_that_cannot_be_read_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = IdentityFile(folder.path().to_owned());
        assert_eq!(file.stored_control_planes(), []);
        let listed: [ControlPlane; 2] = [
            "https://10.0.0.2:8443".parse().unwrap(),
            "https://[2001:db8::1]:1".parse().unwrap(),
        ];
        file.store_control_planes(&listed).await.unwrap();
        assert_eq!(file.stored_control_planes(), listed);
        let path = folder.path().join(LISTED);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, [0xff; 9]).unwrap();
        assert_eq!(file.stored_control_planes(), []);
        fs::write(&path, "https://a:1\n../x\n\n").unwrap();
        assert_eq!(file.stored_control_planes(), ["a:1".parse().unwrap()]);
    }

    #[test]
    fn an_attempt_to_join_is_repeated_with_its_key() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_owned();
        let config = Config::from_text(path, "config.toml".into(), "").unwrap();
        let first = joining_key(&config).unwrap();
        let again = joining_key(&config).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        fs::write(root.path().join(JOINING_KEY), "cut").unwrap();
        let other = joining_key(&config).unwrap();
        assert_ne!(first.public_key(), other.public_key());
        remove_joining_key(&config);
        let after = joining_key(&config).unwrap();
        assert_ne!(other.public_key(), after.public_key());
    }
}
