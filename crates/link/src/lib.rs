//! Both ends of the wire between a control plane and its workers
//! ([`protocol::wire`] has its words): [`hub`] is the control plane's end,
//! [`worker`] the worker's. [`JoinedNodes`] puts workers beside the node in the process.

pub mod hub;
pub mod worker;

mod joined;

pub use joined::JoinedNodes;
