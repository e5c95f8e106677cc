//! The nodes that tenants are placed on: which there are, how many tenants they hold, the
//! spec they get, and whether a change is in force.

mod actor;
mod capacity;
mod certificates;
mod control_planes;
mod handle;
mod in_force;
mod known;
mod moves;
mod names;
mod operator;
mod silence;
mod specs;
mod starting;
mod status;
mod workers;

pub(crate) use capacity::Capacity;
pub use certificates::{Certificates, IssuedCertificate, JoinToken, WorkerAccess};
pub use control_planes::address_problem;
pub use handle::NodesHandle;
pub(crate) use known::{KnownNode, by_share};
pub(crate) use moves::run as run_moves;
pub(crate) use names::run as run_names;
pub use names::{
    EndpointNames, EndpointRecord, NameDifference, NameServer, NamesView, RECORDS_AT_ONCE,
};
pub(crate) use operator::disk_view;
pub use operator::{NewToken, NodeChange};
pub(crate) use silence::{MAX_SILENCE_MILLIS, worker_problem};
pub use specs::StoreSpecs;
pub(crate) use status::location;
