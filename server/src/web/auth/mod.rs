//! Sign-in, sessions, and the permission of a request.

pub mod arrival;
pub mod client;
mod cookie;
pub mod handoff;
pub mod return_to;
pub mod scope;
pub mod session;
