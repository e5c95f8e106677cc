//! A list's way from its source to its file: into a file beside it, checked as
//! it comes, then by rename.

use super::{
    List, Lists, Memory, Source,
    check::{Checker, Reason, Summary},
    put_in_force,
};
use domain::ErrorCode;
use provisioning::{
    Clock, SystemClock,
    disk::{private_dir, private_file},
    ports::{PortError, PortResult},
};
use reqwest::{Client, StatusCode, header};
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// Longest fetch.
const BUDGET: Duration = Duration::from_secs(300);

/// Why a list was not fetched: a sentence, and what lies below it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{name} was not fetched: {host} does not answer.")]
    Transport {
        name: String,
        host: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{name} was not fetched: {host} answered {status}.")]
    Status {
        name: String,
        host: String,
        status: StatusCode,
    },
    #[error("{name} was refused: {reason}. The last good copy stays in force.")]
    Refused {
        name: String,
        #[source]
        reason: Reason,
    },
    #[error("{name} was not written: is the disk full or read-only?")]
    Disk {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{name} was not taken: {path} cannot be read.")]
    Unreadable {
        name: String,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A client for lists. The environment's proxy is taken: a server may have no
/// other way out.
pub(super) fn client() -> PortResult<Client> {
    super::use_ring();
    Client::builder()
        .user_agent(concat!("MalikNode/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
        .timeout(BUDGET)
        // Lists are fetched once a day: a connection kept open is of no use.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|e| {
            let sentence = "TLS cannot be set up for fetching block lists.";
            PortError::because(ErrorCode::Internal, sentence, e)
        })
}

impl Lists {
    /// Fetches a list where it is older than given; tells whether its file
    /// changed.
    pub(super) async fn refresh_one(
        &self,
        list: &List,
        older: Duration,
    ) -> Result<bool, FetchError> {
        private_dir(&self.dir)?;
        let memory = self.memory(list);
        match &list.source {
            Source::Url(url) => {
                let now = SystemClock.now();
                let age = memory.fetched_at.map(|at| now.millis_since(at));
                if age.is_some_and(|age| u128::try_from(age).unwrap_or(0) < older.as_millis()) {
                    return Ok(false);
                }
                self.download(list, url, memory).await
            }
            Source::Path(path) => self.take(list, path, &memory),
        }
    }

    /// A file of this machine. Looked at every time; read where it changed
    /// since it was last taken.
    fn take(&self, list: &List, from: &Path, memory: &Memory) -> Result<bool, FetchError> {
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
        // Two seconds of room: some file systems keep no finer times.
        let settled = i64::try_from(changed.as_millis())
            .unwrap_or(i64::MAX)
            .saturating_add(2000);
        if memory.fetched_at.is_some_and(|at| settled < at.0) {
            return Ok(false);
        }
        let mut new = NewFile::begin(self, list)?;
        let mut source = fs::File::open(from).map_err(disk)?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            let n = source.read(&mut piece).map_err(disk)?;
            if n == 0 {
                break;
            }
            new.feed(&piece[..n])?;
        }
        self.accept(list, new, None)
    }

    async fn download(&self, list: &List, url: &str, memory: Memory) -> Result<bool, FetchError> {
        let host = host_of(url);
        let name = &list.name;
        let transport = |source| FetchError::Transport {
            name: name.clone(),
            host: host.clone(),
            source,
        };
        let mut request = self.http.get(url);
        if let Some(etag) = &memory.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let mut response = request.send().await.map_err(transport)?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED && memory.fetched_at.is_some() {
            self.remember(
                list,
                &Memory {
                    fetched_at: Some(SystemClock.now()),
                    ..memory
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
        let mut new = NewFile::begin(self, list)?;
        while let Some(piece) = response.chunk().await.map_err(transport)? {
            new.feed(&piece)?;
        }
        self.accept(list, new, etag)
    }

    /// Puts a list that came whole and is good in force.
    fn accept(&self, list: &List, new: NewFile, etag: Option<String>) -> Result<bool, FetchError> {
        let path = self.path(list);
        let (new, summary) = new.finish()?;
        let disk = |source| FetchError::Disk {
            name: list.name.clone(),
            source,
        };
        let changed = !same(&new.path, &path).map_err(disk)?;
        if changed {
            put_in_force(&new.path, &path).map_err(disk)?;
            tracing::info!(list = %list.name, rules = summary.rules, "block list in force");
        }
        self.remember(
            list,
            &Memory {
                source: Some(list.source.clone()),
                etag,
                fetched_at: Some(SystemClock.now()),
                rules: summary.rules,
            },
        )?;
        Ok(changed)
    }
}

/// A list on its way: gone again unless it is put in force.
struct NewFile {
    name: String,
    beside: Beside,
    file: fs::File,
    checker: Checker,
}

/// A path that is removed when it is dropped.
struct Beside {
    path: PathBuf,
}

impl Drop for Beside {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

impl NewFile {
    fn begin(lists: &Lists, list: &List) -> Result<Self, FetchError> {
        // Not `*.txt`: AdGuard Home must not be able to read it.
        let path = lists.dir.join(format!(".{}.part", list.id));
        private_file(&path, b"")?;
        let name = list.name.clone();
        let file = match fs::OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(source) => return Err(FetchError::Disk { name, source }),
        };
        Ok(Self {
            name,
            beside: Beside { path },
            file,
            checker: Checker::new(lists.max_bytes),
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
        self.file
            .write_all(piece)
            .map_err(|source| FetchError::Disk {
                name: name(),
                source,
            })
    }

    fn finish(self) -> Result<(Beside, Summary), FetchError> {
        let Self {
            name,
            beside,
            checker,
            ..
        } = self;
        match checker.finish() {
            Ok(summary) => Ok((beside, summary)),
            Err(reason) => Err(FetchError::Refused { name, reason }),
        }
    }
}

/// Whether two files hold the same, so that an unchanged list makes no
/// container read it again.
fn same(a: &Path, b: &Path) -> std::io::Result<bool> {
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
    host.unwrap_or("its address").to_owned()
}
