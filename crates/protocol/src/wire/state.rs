//! The stream of a worker's state: whole at first, then what has changed.

use super::MAX_LINE_BYTES;
use crate::{EventKind, MachineState, NodeState, TenantState, other_version};
use domain::{Slot, TenantName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What has changed since the update before. An empty one says that the worker is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeUpdate {
    /// Whether everything that is not in it is unknown: the first update of a stream.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineState>,
    /// The tenant in each slot by the spec in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holders: Option<BTreeMap<Slot, TenantName>>,
    /// The states of tenants that have changed; `None` for a slot without one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<Slot, Option<TenantState>>,
    /// Sent only where it was asked for ([`RAISED`](super::RAISED)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Raised>,
    /// What has happened.
    #[serde(
        default,
        deserialize_with = "other_version::events",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub events: Vec<EventKind>,
    /// How many events were lost, because the reader was too slow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// The version of the worker's program, in the first update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the worker's process calls itself, in the first update: random, another one
    /// after each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Says of all tenants that an update does not name and that were at the generation `from`:
/// they are at `to` now, and nothing else of them has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    pub from: u64,
    pub to: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(b: &bool) -> bool {
    !b
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Why a line is no update.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is longer than [`MAX_LINE_BYTES`].
    #[error("the update has {0} bytes")]
    TooLong(usize),
    /// It is something else.
    #[error("the line is no update: {0}")]
    Damaged(#[from] serde_json::Error),
}

impl NodeUpdate {
    /// Returns the line with its end.
    ///
    /// # Errors
    /// [`StateError::TooLong`].
    pub fn to_line(&self) -> Result<Vec<u8>, StateError> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        if line.len() > MAX_LINE_BYTES {
            return Err(StateError::TooLong(line.len()));
        }
        Ok(line)
    }

    /// Reads a line, with or without its end.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn from_line(line: &[u8]) -> Result<Self, StateError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(StateError::TooLong(line.len()));
        }
        Ok(serde_json::from_slice(line)?)
    }
}
