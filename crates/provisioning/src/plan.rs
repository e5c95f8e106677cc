//! The planner: derives steps from a spec and an observation. Pure.
//!
//! Invariants
//! * What is unreadable is left alone: no step is planned for a port that could not
//!   be read, and a tenant that cannot be read keeps what it has.
//! * Revocations come first, and none of them waits for a creation.
//! * An interface of ours is never up without its elements in the firewall: it is
//!   created only once they are observed there, and they are removed only once it is
//!   observed gone.
//! * A change under way counts as both done and not done: an interface that may be
//!   being created keeps its elements, elements that may be being removed let no
//!   interface be created, and a folder is removed only when no container is being
//!   started from it.
//! * No interface is created for a tenant while connections of the slot's earlier
//!   tenant may be tracked, and no container is started without the complete table.
//! * What carries no mark of ours is never named in a step.
//!
//! The plan for a slot depends only on what is known of that slot and of its tenant's
//! name, and on a few facts of the whole node (`planner::Facts`). That is why a
//! [`Planner`] can update a plan where something has changed; [`plan`] makes a
//! complete one.

mod connections;
mod containers;
mod elements;
mod folders;
mod planner;
mod speed;
pub(crate) mod step;
mod tunnel;
mod unreadable;
mod view;

pub use planner::Planner;
pub use step::{Lane, Plan, Step};
pub use tunnel::peer_change;
pub(crate) use unreadable::is_others_interface;
pub use view::is_ours;
pub(crate) use view::{ContainerIndex, wanted_elements};

use crate::{dirty_set::DirtySet, observed::Observed, pending::Pending, spec::NodeSettings};
use protocol::NodeSpec;
use std::sync::Arc;

/// Makes the complete plan that leads from the observation to the spec. An empty plan
/// means that everything readable matches the spec.
pub fn plan(
    spec: &NodeSpec,
    observed: &Observed,
    pending: &Pending,
    settings: &NodeSettings,
) -> Plan {
    let mut planner = Planner::default();
    let spec = Arc::new(spec.clone());
    planner.update(&spec, observed, pending, settings, DirtySet::default());
    planner.into_plan()
}
