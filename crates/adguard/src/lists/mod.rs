//! Block lists: fetched once per node into `<root>/lists/<id>.txt`, which every
//! container sees read-only. A list that cannot be fetched, or comes as
//! something else, leaves the last good copy in force; before the first fetch
//! a small list of our own is.

mod check;
mod fetch;

#[doc(hidden)]
pub use check::Checker;
pub use check::{Reason, Summary};

use domain::Timestamp;
use provisioning::{
    Clock, SystemClock,
    disk::{private_dir, private_file},
    ports::PortResult,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How old a list gets before it is fetched again.
const EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often a file of this machine that serves as a list is looked at.
const LOOK: Duration = Duration::from_secs(600);
/// First and longest wait after a fetch that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// Most bytes of a list, unpacked.
pub const MAX_BYTES: u64 = 64 << 20;

/// What is in force until the first fetch: well-known names of advertising and
/// tracking services, gathered by hand.
const STARTER: &str = include_str!("starter.txt");

/// Where a list comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `https://…` (or `http://…`).
    Url(String),
    /// A file of this machine.
    Path(PathBuf),
}

/// A block list every tenant starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its fixed number, from 1: file name and id in every configuration. A
    /// list that goes never gives its number to another.
    pub id: u32,
    /// What a tenant reads in AdGuard Home.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
}

impl List {
    /// The lists an installation has unless it is told otherwise.
    pub fn defaults() -> Vec<List> {
        let registry = |id, name: &str, file: &str| List {
            id,
            name: name.to_owned(),
            source: Source::Url(format!(
                "https://adguardteam.github.io/HostlistsRegistry/assets/{file}"
            )),
        };
        vec![
            registry(1, "AdGuard DNS filter", "filter_1.txt"),
            registry(2, "OISD small", "filter_5.txt"),
        ]
    }

    /// Its file's name, here and in AdGuard Home's data.
    pub fn file_name(&self) -> String {
        format!("{}.txt", self.id)
    }
}

/// How a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStatus {
    /// The list.
    pub list: List,
    /// Rules in force; `None` where the file is not there or was not counted.
    pub rules: Option<u64>,
    /// When it was last found good at its source; `None` before the first time
    /// (the starter list serves).
    pub fetched_at: Option<Timestamp>,
    /// Why the last try failed, in a sentence; `None` where it did not.
    pub problem: Option<String>,
}

/// What is remembered of a list between starts, beside it as `.<id>.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The source it came from: another one makes the rest void.
    source: Option<Source>,
    /// The source's own version (RFC 9110, 8.8.3).
    etag: Option<String>,
    fetched_at: Option<Timestamp>,
    rules: u64,
}

/// The node's lists.
#[derive(Debug)]
pub struct Lists {
    dir: PathBuf,
    lists: Vec<List>,
    max_bytes: u64,
    http: reqwest::Client,
    generation: AtomicU64,
    problems: Mutex<Vec<Option<String>>>,
}

/// The TLS implementation of the whole process: ring, which sqlx brings
/// already. Whoever was first wins; that is the same one.
pub(crate) fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Lists {
    /// Lists below `dir` (`<root>/lists`). Nothing is read or fetched yet.
    ///
    /// # Errors
    /// `Internal` where TLS cannot be set up.
    pub fn new(dir: impl Into<PathBuf>, lists: Vec<List>) -> PortResult<Self> {
        Ok(Self {
            dir: dir.into(),
            problems: Mutex::new(vec![None; lists.len()]),
            lists,
            max_bytes: MAX_BYTES,
            http: fetch::client()?,
            generation: AtomicU64::new(0),
        })
    }

    /// The lists, in the order of their settings.
    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// A list's file.
    pub fn path(&self, list: &List) -> PathBuf {
        self.dir.join(list.file_name())
    }

    /// Grows whenever a list's file changed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Makes the folder and, where the first list's file is not there, writes
    /// the starter in its place.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub fn install_starter(&self) -> PortResult<()> {
        private_dir(&self.dir)?;
        match self.lists.first().map(|l| self.path(l)) {
            Some(path) if !path.exists() => private_file(&path, STARTER.as_bytes()),
            _ => Ok(()),
        }
    }

    /// How each list is.
    pub fn status(&self) -> Vec<ListStatus> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |(list, problem): (&List, &Option<String>)| {
            let memory = self.memory(list);
            ListStatus {
                list: list.clone(),
                rules: (memory.rules > 0).then_some(memory.rules),
                fetched_at: memory.fetched_at,
                problem: problem.clone(),
            }
        };
        self.lists.iter().zip(problems.iter()).map(status).collect()
    }

    /// Fetches every list that is `older` than given. What fails is kept for
    /// [`Lists::status`] and logged.
    ///
    /// Returns whether all lists are good now.
    pub async fn refresh(&self, older: Duration) -> bool {
        let mut all = true;
        for (i, list) in self.lists.iter().enumerate() {
            let problem = match self.refresh_one(list, older).await {
                Ok(changed) => {
                    if changed {
                        self.generation.fetch_add(1, Ordering::Relaxed);
                    }
                    None
                }
                Err(e) => {
                    let cause = std::error::Error::source(&e);
                    tracing::warn!(list = %list.name, ?cause, "block list not fetched: {e}");
                    all = false;
                    Some(e.to_string())
                }
            };
            let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
            problems[i] = problem;
        }
        all
    }

    /// Keeps the lists up to date. Runs until it is dropped.
    pub async fn run(&self) {
        let mut wait = BACKOFF.0;
        loop {
            if self.refresh(EVERY).await {
                wait = BACKOFF.0;
                tokio::time::sleep(self.until_due()).await;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
        }
    }

    /// Until the first list is due again.
    fn until_due(&self) -> Duration {
        let now = SystemClock.now();
        let due = |list: &List| match list.source {
            Source::Path(_) => LOOK,
            Source::Url(_) => {
                let age = self.memory(list).fetched_at.map(|at| now.millis_since(at));
                let age = age.and_then(|age| u64::try_from(age).ok()).unwrap_or(0);
                EVERY.saturating_sub(Duration::from_millis(age))
            }
        };
        // At least a minute: a clock that jumps must not make a busy loop.
        let first = self.lists.iter().map(due).min().unwrap_or(EVERY);
        first.max(BACKOFF.0)
    }

    fn memory_path(&self, list: &List) -> PathBuf {
        self.dir.join(format!(".{}.json", list.id))
    }

    /// What is remembered of a list, where it is of this source and the file
    /// is there; else nothing, which costs a fetch.
    fn memory(&self, list: &List) -> Memory {
        let read = || -> Option<Memory> {
            let text = fs::read(self.memory_path(list)).ok()?;
            let memory: Memory = serde_json::from_slice(&text).ok()?;
            (memory.source.as_ref() == Some(&list.source) && self.path(list).exists())
                .then_some(memory)
        };
        read().unwrap_or_default()
    }

    fn remember(&self, list: &List, memory: &Memory) -> PortResult<()> {
        let text = serde_json::to_vec(memory).unwrap_or_default();
        private_file(&self.memory_path(list), &text)
    }
}

/// Puts a list that was found good in force.
fn put_in_force(new: &Path, path: &Path) -> std::io::Result<()> {
    fs::rename(new, path)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
