//! A block list, its source, and what is known of its last fetch.

use domain::{Message, Timestamp};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The source of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListSource {
    /// `https://…` (or `http://…`).
    Url(String),
    /// A file on this machine.
    Path(PathBuf),
}

/// A block list that every tenant starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Its fixed number, from 1. It is the file name, and the id in every
    /// configuration. The number of a removed list is never used again.
    pub id: u32,
    /// The name that tenants see in AdGuard Home.
    pub name: String,
    /// Its source.
    pub source: ListSource,
}

impl List {
    /// Returns the lists of an installation that configures none.
    pub fn defaults() -> Vec<List> {
        let registry = |id, name: &str, file: &str| List {
            id,
            name: name.to_owned(),
            source: ListSource::Url(format!(
                "https://adguardteam.github.io/HostlistsRegistry/assets/{file}"
            )),
        };
        vec![
            registry(1, "AdGuard DNS filter", "filter_1.txt"),
            registry(2, "OISD small", "filter_5.txt"),
        ]
    }

    /// Returns the file's name, which is the same in AdGuard Home's data.
    pub fn file_name(&self) -> String {
        format!("{}.txt", self.id)
    }
}

/// The status of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStatus {
    /// The list.
    pub list: List,
    /// The number of rules in force; `None` where the file does not exist or was
    /// not counted.
    pub rules: Option<u64>,
    /// When it was last read from its source, or found unchanged there; `None`
    /// before the first time, while the starter list is in force.
    pub fetched_at: Option<Timestamp>,
    /// A message that says why the last fetch failed; `None` if it succeeded.
    pub problem: Option<Message>,
}

/// Grows whenever a list that was fetched before has to be checked again.
pub(super) const CHECK_VERSION: u32 = 1;

/// What is stored about a list's last fetch, in `.<id>.json` beside the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListState {
    /// The source it was fetched from. Another source makes the rest invalid.
    pub(super) source: Option<ListSource>,
    /// The [`CHECK_VERSION`] that it was checked by. An older one makes the rest
    /// invalid.
    #[serde(default)]
    pub(super) checked: u32,
    /// The source's entity tag (RFC 9110, 8.8.3).
    pub(super) etag: Option<String>,
    pub(super) fetched_at: Option<Timestamp>,
    pub(super) rules: u64,
}
