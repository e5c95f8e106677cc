//! The links between a node and a control plane. The one to a control plane in
//! the same process is [`local`]; a worker's will be beside it.

pub(crate) mod copies;
pub(crate) mod local;
mod reading_order;
