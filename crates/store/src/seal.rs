//! Seals what must not lie in the database in the clear: private keys,
//! preshared keys, DNS passwords.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha): its 24-byte nonce can be drawn
//! at random for ever. What a value is and whose it is goes in as associated
//! data, so a sealed value moved to another row or column does not open. The
//! key is a file beside the database; whoever has one of the two has nothing.

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    AeadInOut, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// The first characters of what this version writes: a later one can tell.
const VERSION: &str = "v1:";
const NONCE: usize = 24;
/// A key file is 45 bytes; whatever is longer is something else.
const KEY_FILE_MAX: u64 = 128;

/// Why something could not be sealed or opened. Holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read or made.
    #[error("The key file {path} cannot be used: {source}.")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner may read the key file.
    #[error("The key file {path} can be read by others (rights {mode:03o}). Run: chmod 600 {path}")]
    Rights {
        /// Which.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
    /// The key file holds no key.
    #[error(
        "The key file {path} does not hold a key (32 bytes of base64). Restore it from the backup made with the database."
    )]
    Content {
        /// Which.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[source] getrandom::Error),
    /// A sealed value is damaged, of another key, or was moved here from elsewhere.
    #[error("a sealed value ({purpose} of {identity}) cannot be opened")]
    Unopenable {
        /// What it would be.
        purpose: Purpose,
        /// Whose it would be.
        identity: String,
    },
}

/// What a sealed value is; part of what the seal vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A tunnel's private key, of its public key.
    TunnelKey,
    /// A tenant's AdGuard Home password, of the tenant's name.
    DnsPassword,
    /// A device's private key, of its public key.
    DeviceKey,
    /// A device's preshared key, of the device's public key.
    DevicePresharedKey,
    /// A node's last spec, kept on its disk, of the node's number.
    LastSpec,
    /// The word by which a wrong key file is recognised.
    Check,
}

impl Purpose {
    /// Its name in the associated data. Changing one makes old values unreadable.
    const fn as_str(self) -> &'static str {
        match self {
            Self::TunnelKey => "users.wg_private_key",
            Self::DnsPassword => "users.dns_password",
            Self::DeviceKey => "peers.private_key",
            Self::DevicePresharedKey => "peers.preshared_key",
            Self::LastSpec => "last_spec",
            Self::Check => "settings.seal_check",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Seals and opens with one key. Cheap to clone; prints as `[redacted]`; the
/// key is wiped with the last clone.
#[derive(Clone)]
pub struct Sealer(Arc<XChaCha20Poly1305>);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Sealer {
    /// With the key of a file: 32 bytes of base64 and a newline, rights 0600.
    /// Made with a random key where it is missing, whole or not at all; of two
    /// processes that make it at once, both use the first one's.
    ///
    /// # Errors
    /// [`SealError`], a sentence that says what to do.
    pub fn from_key_file(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File {
            path: path.to_owned(),
            source,
        };
        let file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                create_key_file(path, &*random()?).map_err(failed)?;
                File::open(path)
            }
            opened => opened,
        };
        let file = file.map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(failed(io::Error::other("it is not a file")));
        }
        if about.mode() & 0o077 != 0 {
            return Err(SealError::Rights {
                path: path.to_owned(),
                mode: about.mode() & 0o777,
            });
        }
        let mut text = Zeroizing::new(String::new());
        match file.take(KEY_FILE_MAX).read_to_string(&mut text) {
            Err(e) if e.kind() != ErrorKind::InvalidData => return Err(failed(e)),
            _ => {}
        }
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        match <[u8; 32]>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self::from_key(key)),
            Err(_) => Err(SealError::Content {
                path: path.to_owned(),
            }),
        }
    }

    /// With a key in hand.
    pub fn from_key(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        Self(Arc::new(XChaCha20Poly1305::new((&*key).into())))
    }

    /// Seals a value: text that says nothing but the value's length.
    ///
    /// # Errors
    /// [`SealError::Random`].
    pub fn seal(
        &self,
        purpose: Purpose,
        identity: &str,
        plain: &[u8],
    ) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let aad = associated(purpose, identity);
        let payload = Payload {
            msg: plain,
            aad: aad.as_bytes(),
        };
        // Fails only beyond 256 GiB.
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| unopenable(purpose, identity))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(format!("{VERSION}{}", STANDARD.encode(bytes)))
    }

    /// Opens what [`seal`](Self::seal) made for the same purpose and identity.
    ///
    /// # Errors
    /// [`SealError::Unopenable`].
    pub fn open(
        &self,
        purpose: Purpose,
        identity: &str,
        sealed: &str,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let open = || {
            let mut bytes = STANDARD.decode(sealed.strip_prefix(VERSION)?).ok()?;
            let nonce: [u8; NONCE] = bytes.get(..NONCE)?.try_into().ok()?;
            let mut text = Zeroizing::new(bytes.split_off(NONCE));
            let aad = associated(purpose, identity);
            let opened = self
                .0
                .decrypt_in_place(&XNonce::from(nonce), aad.as_bytes(), &mut *text);
            opened.ok().map(|()| text)
        };
        open().ok_or_else(|| unopenable(purpose, identity))
    }
}

fn associated(purpose: Purpose, identity: &str) -> String {
    format!("{purpose}:{identity}")
}

fn unopenable(purpose: Purpose, identity: &str) -> SealError {
    SealError::Unopenable {
        purpose,
        identity: identity.to_owned(),
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, SealError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(SealError::Random)?;
    Ok(key)
}

/// Writes the key beside the path and links it there: a link, unlike a rename,
/// fails where somebody was first, and nobody ever sees half a file.
fn create_key_file(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(p) if p.as_os_str().is_empty() => Path::new("."),
        Some(p) => p,
        None => return Err(io::Error::other("it has no folder")),
    };
    let mut name = [0_u8; 8];
    getrandom::fill(&mut name).map_err(io::Error::other)?;
    let draft = folder.join(format!(".seal-{:016x}", u64::from_ne_bytes(name)));
    let made = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)?;
        let text = Zeroizing::new(STANDARD.encode(key) + "\n");
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    })();
    let removed = fs::remove_file(&draft);
    made?;
    removed?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const P: Purpose = Purpose::DeviceKey;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_owner_only() {
        let s = Sealer::from_key([7; 32]);
        let sealed = s.seal(P, "a", b"secret").unwrap();
        assert!(sealed.starts_with("v1:") && !sealed.contains("secret"));
        assert_eq!(s.open(P, "a", &sealed).unwrap().as_slice(), b"secret");
        assert!(s.open(P, "b", &sealed).is_err());
        assert!(s.open(Purpose::DevicePresharedKey, "a", &sealed).is_err());
        assert!(Sealer::from_key([8; 32]).open(P, "a", &sealed).is_err());
        assert_ne!(
            s.seal(P, "a", b"secret").unwrap(),
            sealed,
            "the nonce is new"
        );
        assert_eq!(format!("{s:?}"), "[redacted]");
    }

    #[test]
    fn a_changed_character_anywhere_is_noticed_and_nothing_panics() {
        let s = Sealer::from_key([7; 32]);
        let sealed = s.seal(P, "a", b"secret").unwrap();
        for i in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[i] = if other[i] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert!(s.open(P, "a", &other).is_err(), "{i}");
            assert!(s.open(P, "a", &sealed[..i]).is_err(), "{i}");
        }
    }

    #[test]
    fn the_key_file_is_made_once_private_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let sealed = Sealer::from_key_file(&path)
            .unwrap()
            .seal(P, "a", b"x")
            .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).unwrap().len(), 45);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no draft is left"
        );
        let again = Sealer::from_key_file(&path).unwrap();
        assert!(again.open(P, "a", &sealed).is_ok());
    }

    #[test]
    fn of_two_that_make_the_file_at_once_both_use_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let sealers: Vec<_> = std::thread::scope(|s| {
            let made: Vec<_> = (0..8)
                .map(|_| s.spawn(|| Sealer::from_key_file(&path)))
                .collect();
            made.into_iter()
                .map(|t| t.join().unwrap().unwrap())
                .collect()
        });
        let sealed = sealers[0].seal(P, "a", b"x").unwrap();
        assert!(sealers.iter().all(|s| s.open(P, "a", &sealed).is_ok()));
    }

    #[test]
    fn a_file_that_others_read_or_that_holds_no_key_is_refused_in_a_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        Sealer::from_key_file(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let e = Sealer::from_key_file(&path).unwrap_err();
        assert!(e.to_string().contains("chmod 600"), "{e}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let (long, short) = ("A".repeat(10_000), STANDARD.encode([1; 31]));
        let contents: [&[u8]; 5] = [
            b"",
            b"nonsense",
            long.as_bytes(),
            &[0xff; 45],
            short.as_bytes(),
        ];
        for content in contents {
            fs::write(&path, content).unwrap();
            let e = Sealer::from_key_file(&path).unwrap_err();
            assert!(matches!(e, SealError::Content { .. }), "{e}");
        }
        let e = Sealer::from_key_file(&dir.path().join("no/seal.key")).unwrap_err();
        assert!(matches!(e, SealError::File { .. }), "{e}");
    }
}
