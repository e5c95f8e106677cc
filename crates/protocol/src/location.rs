//! Where a tenant is.

use domain::{NodeId, Slot};
use serde::{Deserialize, Serialize};

/// Where a tenant is: a slot of a node. A slot alone identifies no tenant once
/// there is a second node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    pub node: NodeId,
    pub slot: Slot,
}
