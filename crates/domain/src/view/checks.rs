//! What was checked of a machine, for the operator.

use crate::{message::Message, time::Timestamp};
use serde::{Deserialize, Serialize};

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    Ok,
    /// It works, but the operator should know.
    Warn,
    /// Something does not work.
    Bad,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow {
    /// What was checked, one of `Message::Check…`.
    pub name: Message,
    pub state: CheckState,
    pub message: Message,
    /// The command or the step that fixes it.
    pub fix: Option<Message>,
}

/// The checks of the machine that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecksView {
    /// When they were made.
    pub at: Timestamp,
    /// In the order in which a person sets a machine up.
    pub rows: Vec<CheckRow>,
}
