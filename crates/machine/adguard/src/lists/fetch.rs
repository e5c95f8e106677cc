//! Fetches a list from its source. Writes it to a partial file beside the list,
//! checks it as it arrives, then replaces the list by rename.

use super::{
    check::{Checker, Rejection, Summary},
    folder::ListFolder,
    list::{CHECK_VERSION, List, ListSource, ListState},
};
use domain::{Clock, ErrorCode, Message, SystemClock};
use hostfs::{share_file, write_private_file};
use provisioning::ports::{PortError, PortResult};
use reqwest::{Client, StatusCode, header};
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// Limit on the size of a list in bytes, uncompressed.
pub const MAX_BYTES: u64 = 64 << 20;

/// Timeout of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

/// Why a list was not fetched, for logs; [`FetchError::message`] is for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{name}: {host} does not answer")]
    Transport {
        name: String,
        host: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{name}: {host} answered {status}")]
    Status {
        name: String,
        host: String,
        status: StatusCode,
    },
    #[error("{name} was refused: {reason}")]
    Refused {
        name: String,
        #[source]
        reason: Rejection,
    },
    #[error("{name} was not written")]
    Disk {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{name} was not copied from {path}")]
    Unreadable {
        name: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Port(#[from] PortError),
}

impl FetchError {
    /// Returns what to say to the operator.
    pub(super) fn message(&self) -> Message {
        match self {
            Self::Transport { name, host, .. } => Message::ListUnreachable {
                list: name.clone(),
                host: host.clone(),
            },
            Self::Status { name, host, status } => Message::ListAnswered {
                list: name.clone(),
                host: host.clone(),
                status: status.as_u16().into(),
            },
            Self::Refused { name, reason } => Message::ListRejected {
                list: name.clone(),
                reason: Box::new(reason.message()),
            },
            Self::Disk { name, .. } => Message::ListNotWritten { list: name.clone() },
            Self::Unreadable { name, path, .. } => Message::ListNotCopied {
                list: name.clone(),
                path: path.display().to_string(),
            },
            Self::Port(e) => e.message.clone(),
        }
    }
}

/// Creates the HTTP client for lists. It uses the proxy of the environment,
/// because a server may have no other way to the internet.
fn client() -> PortResult<Client> {
    crate::tls::install_ring();
    Client::builder()
        .user_agent(concat!("MalikNode/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .timeout(FETCH_TIMEOUT)
        // Lists are fetched once a day, so idle connections are of no use.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|e| {
            let message = Message::TlsUnavailable;
            PortError::because(ErrorCode::Internal, message, e)
        })
}

/// Fetches lists into their folder.
#[derive(Debug)]
pub(super) struct Fetcher {
    folder: ListFolder,
    pub(super) max_bytes: u64,
    http: Client,
}

impl Fetcher {
    /// Creates a fetcher for this folder. Nothing is read or fetched yet.
    ///
    /// # Errors
    /// `Internal` where TLS cannot be set up.
    pub(super) fn new(folder: ListFolder) -> PortResult<Self> {
        Ok(Self {
            folder,
            max_bytes: MAX_BYTES,
            http: client()?,
        })
    }

    /// Returns the folder of the lists.
    pub(super) fn folder(&self) -> &ListFolder {
        &self.folder
    }

    /// Fetches a list if it is older than `max_age`. Returns whether its file
    /// changed.
    pub(super) async fn refresh(&self, list: &List, max_age: Duration) -> Result<bool, FetchError> {
        self.folder.create()?;
        let state = self.folder.state(list);
        match &list.source {
            ListSource::Url(url) => {
                let now = SystemClock.now();
                let age = state.fetched_at.map(|at| now.millis_since(at));
                if age.is_some_and(|age| u128::try_from(age).unwrap_or(0) < max_age.as_millis()) {
                    return Ok(false);
                }
                self.download(list, url, state).await
            }
            ListSource::Path(path) => self.copy_file(list, path, &state),
        }
    }

    /// Copies a file of this machine, if it changed since it was last copied.
    fn copy_file(&self, list: &List, from: &Path, state: &ListState) -> Result<bool, FetchError> {
        let name = &list.name;
        let disk = |source| FetchError::Unreadable {
            name: name.clone(),
            path: from.to_owned(),
            source,
        };
        let changed = fs::metadata(from)
            .and_then(|m| m.modified())
            .map_err(disk)?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Two seconds are added, because some file systems store times no finer.
        let settled = i64::try_from(changed.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_add(2000);
        if state.fetched_at.is_some_and(|at| settled < at.0) {
            return Ok(false);
        }
        let mut partial = self.begin(list)?;
        let mut source = fs::File::open(from).map_err(disk)?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let n = source.read(&mut piece).map_err(disk)?;
            if n == 0 {
                break;
            }
            partial.feed(&piece[..n])?;
        }
        self.install(list, partial, None)
    }

    async fn download(&self, list: &List, url: &str, state: ListState) -> Result<bool, FetchError> {
        let host = host_of(url);
        let name = &list.name;
        let transport = |source| FetchError::Transport {
            name: name.clone(),
            host: host.clone(),
            source,
        };
        let mut request = self.http.get(url);
        if let Some(etag) = &state.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(transport)?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && state.fetched_at.is_some() {
            self.folder.save_state(
                list,
                &ListState {
                    fetched_at: Some(SystemClock.now()),
                    ..state
                },
            )?;
            return Ok(false);
        }
        if status != StatusCode::OK {
            let (name, host) = (name.clone(), host.clone());
            return Err(FetchError::Status { name, host, status });
        }
        let etag = response.headers().get(header::ETAG);
        let etag = etag.and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut partial = self.begin(list)?;
        while let Some(piece) = response.chunk().await.map_err(transport)? {
            partial.feed(&piece)?;
        }
        self.install(list, partial, etag)
    }

    fn begin(&self, list: &List) -> Result<PartialFile, FetchError> {
        PartialFile::create(&self.folder, list, self.max_bytes)
    }

    /// Replaces a list by a complete and good new version. Returns whether it
    /// differs from the old one.
    fn install(
        &self,
        list: &List,
        partial: PartialFile,
        etag: Option<String>,
    ) -> Result<bool, FetchError> {
        let path = self.folder.path(list);
        let (new, summary) = partial.finish()?;
        let disk = |source| FetchError::Disk {
            name: list.name.clone(),
            source,
        };
        let changed = !have_same_content(&new.path, &path).map_err(disk)?;
        if summary.left_out > 0 {
            tracing::warn!(list = %list.name, rules = summary.left_out, "rules that redirect names or single out devices were left out of a block list");
        }
        if changed {
            share_file(&new.path)?;
            fs::rename(&new.path, &path).map_err(disk)?;
            tracing::info!(list = %list.name, rules = summary.rules, "block list in force");
        }
        self.folder.save_state(
            list,
            &ListState {
                source: Some(list.source.clone()),
                checked: CHECK_VERSION,
                etag,
                fetched_at: Some(SystemClock.now()),
                rules: summary.rules,
            },
        )?;
        Ok(changed)
    }
}

/// A list that is being fetched. Its file is removed on drop unless it was
/// installed.
struct PartialFile {
    name: String,
    path: RemoveOnDrop,
    file: fs::File,
    checker: Checker,
}

/// A path that is removed when it is dropped.
struct RemoveOnDrop {
    path: PathBuf,
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

impl PartialFile {
    fn create(folder: &ListFolder, list: &List, max_bytes: u64) -> Result<Self, FetchError> {
        let path = folder.partial_path(list);
        write_private_file(&path, b"")?;
        let name = list.name.clone();
        let file = match fs::OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(source) => return Err(FetchError::Disk { name, source }),
        };
        Ok(Self {
            name,
            path: RemoveOnDrop { path },
            file,
            checker: Checker::new(max_bytes),
        })
    }

    fn feed(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        let name = || self.name.clone();
        self.checker
            .feed(piece)
            .map_err(|reason| FetchError::Refused {
                name: name(),
                reason,
            })?;
        self.write_kept()
    }

    fn write_kept(&mut self) -> Result<(), FetchError> {
        let kept = self.checker.take_kept();
        self.file
            .write_all(&kept)
            .map_err(|source| FetchError::Disk {
                name: self.name.clone(),
                source,
            })
    }

    fn finish(mut self) -> Result<(RemoveOnDrop, Summary), FetchError> {
        match self.checker.finish() {
            Ok(summary) => {
                self.write_kept()?;
                Ok((self.path, summary))
            }
            Err(reason) => Err(FetchError::Refused {
                name: self.name,
                reason,
            }),
        }
    }
}

/// Returns whether two files have the same content. Containers need not read an
/// unchanged list again.
fn have_same_content(a: &Path, b: &Path) -> std::io::Result<bool> {
    let (mut a, mut b) = match (fs::File::open(a), fs::File::open(b)) {
        (Ok(a), Ok(b)) => (a, b),
        (Ok(_), Err(e)) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        (Err(e), _) | (_, Err(e)) => return Err(e),
    };
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut x, mut y) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = a.read(&mut x)?;
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(&mut y[..n])?;
        if x[..n] != y[..n] {
            return Ok(false);
        }
    }
}

fn host_of(url: &str) -> String {
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(reqwest::Url::host_str);
    host.unwrap_or(url).to_owned()
}
