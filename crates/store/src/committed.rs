//! What a committed change says to its caller.

use domain::{NodeId, Slot};

/// The result of a change that is committed, with what a caller needs to wait until
/// a node has made it true. It is known from the transaction of the change itself:
/// no further query is needed, and no later change is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed<T> {
    /// What the change returns.
    pub value: T,
    /// The node that holds the tenant.
    pub node: NodeId,
    /// The tenant's slot on that node.
    pub slot: Slot,
    /// The generation of the node that contains the change: the one that it
    /// raised the node to. Where nothing had to be changed, the newest one at
    /// that time.
    pub generation: u64,
}
