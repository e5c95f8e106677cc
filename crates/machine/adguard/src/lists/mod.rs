//! The node's block lists. Each is fetched once per node into
//! `<root>/lists/<id>.txt`, which every container mounts read-only. If a list
//! cannot be fetched, or is not a block list, the last good copy stays in force.
//! Before the first fetch, a small list of our own is in force.

mod check;
mod fetch;
mod folder;
mod list;
pub(crate) mod lock;
mod rule;

#[doc(hidden)]
pub use check::Checker;
pub use check::{Rejection, Summary};
pub use fetch::MAX_BYTES;
pub use list::{List, ListSource, ListStatus};

use domain::{Clock, Message, SystemClock};
use fetch::Fetcher;
use folder::ListFolder;
use provisioning::ports::PortResult;
use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How old a list gets before it is fetched again.
const FETCH_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// How often a list that is a file on this machine is checked for changes.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(600);
/// The first and the longest wait after a fetch that failed.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// The list in force until the first fetch: well-known names of advertising and
/// tracking services, collected by hand.
const STARTER_LIST: &str = include_str!("starter.txt");

/// The list in force in place of any other until its first fetch. AdGuard Home takes no list
/// without a rule; `.invalid` has no names (RFC 6761, 6.4).
const UNFETCHED_LIST: &str = "! Title: not fetched yet\n||not-fetched-yet.invalid^\n";

/// The node's lists.
#[derive(Debug)]
pub struct Lists {
    /// Those that are fetched.
    lists: Vec<List>,
    /// All that tenants start with: those, and the list for locked devices.
    all: Vec<List>,
    fetcher: Fetcher,
    generation: AtomicU64,
    problems: Mutex<Vec<Option<Message>>>,
}

impl Lists {
    /// Creates the lists in `dir` (`<root>/lists`). Nothing is read or fetched yet.
    ///
    /// # Errors
    /// `Internal` where TLS cannot be set up.
    pub fn new(dir: impl Into<PathBuf>, lists: Vec<List>) -> PortResult<Self> {
        let folder = ListFolder::new(dir.into());
        let mut all = lists.clone();
        all.push(lock::list(&folder));
        Ok(Self {
            fetcher: Fetcher::new(folder)?,
            all,
            problems: Mutex::new(vec![None; lists.len()]),
            lists,
            generation: AtomicU64::new(0),
        })
    }

    /// Returns the lists that tenants start with, in the order of the settings. The last
    /// one is ours, for devices whose policy is a lock.
    pub fn shared(&self) -> &[List] {
        &self.all
    }

    /// Returns the path of a list's file.
    pub fn path(&self, list: &List) -> PathBuf {
        self.folder().path(list)
    }

    /// Returns a number that grows whenever a list's file has changed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Creates the folder, and lets containers read it. If the first list's file does
    /// not exist, writes the starter list in its place; in place of each other one a list
    /// with a rule that blocks nothing, because AdGuard Home can neither rename nor switch
    /// off a list whose file does not exist. Writes the list for locked devices.
    ///
    /// # Errors
    /// `DiskUnavailable`.
    pub fn install_starter(&self) -> PortResult<()> {
        self.folder().create()?;
        if let Some(list) = self.lists.first() {
            self.folder()
                .write_if_missing(list, STARTER_LIST.as_bytes())?;
        }
        for list in self.lists.iter().skip(1) {
            self.folder()
                .write_if_missing(list, UNFETCHED_LIST.as_bytes())?;
        }
        for list in self.all.iter().skip(self.lists.len()) {
            self.folder().write_if_other(list, &lock::text())?;
        }
        self.all
            .iter()
            .try_for_each(|list| self.folder().share(list))
    }

    /// Returns the status of each list.
    pub fn status(&self) -> Vec<ListStatus> {
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |(list, problem): (&List, &Option<Message>)| {
            let state = self.folder().state(list);
            ListStatus {
                list: list.clone(),
                rules: (state.rules > 0).then_some(state.rules),
                fetched_at: state.fetched_at,
                problem: problem.clone(),
            }
        };
        self.lists.iter().zip(problems.iter()).map(status).collect()
    }

    /// Fetches every list that is older than `max_age`. Logs each failure and
    /// stores it for [`Lists::status`].
    ///
    /// Returns whether all lists are good now.
    pub async fn refresh(&self, max_age: Duration) -> bool {
        let mut all_good = true;
        for (i, list) in self.lists.iter().enumerate() {
            let problem = match self.fetcher.refresh(list, max_age).await {
                Ok(changed) => {
                    if changed {
                        self.generation.fetch_add(1, Ordering::Relaxed);
                    }
                    None
                }
                Err(e) => {
                    let cause = std::error::Error::source(&e);
                    tracing::warn!(list = %list.name, ?cause, "block list not fetched: {e}");
                    all_good = false;
                    Some(e.message())
                }
            };
            let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
            problems[i] = problem;
        }
        all_good
    }

    /// Fetches the lists whenever they are due. Runs until it is dropped.
    pub async fn run(&self) {
        let mut wait = BACKOFF.0;
        loop {
            if self.refresh(FETCH_INTERVAL).await {
                wait = BACKOFF.0;
                tokio::time::sleep(self.until_due()).await;
            } else {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF.1);
            }
        }
    }

    /// Returns the time until the first list is due.
    fn until_due(&self) -> Duration {
        let now = SystemClock.now();
        let due = |list: &List| match list.source {
            ListSource::Path(_) => FILE_CHECK_INTERVAL,
            ListSource::Url(_) => {
                let fetched_at = self.folder().state(list).fetched_at;
                let age = fetched_at.map(|at| now.millis_since(at));
                let age = age.and_then(|age| u64::try_from(age).ok()).unwrap_or(0);
                FETCH_INTERVAL.saturating_sub(Duration::from_millis(age))
            }
        };
        // At least a minute, so that a clock that jumps cannot cause a busy loop.
        let first = self.lists.iter().map(due).min().unwrap_or(FETCH_INTERVAL);
        first.max(BACKOFF.0)
    }

    fn folder(&self) -> &ListFolder {
        self.fetcher.folder()
    }
}

#[cfg(test)]
mod tests;
