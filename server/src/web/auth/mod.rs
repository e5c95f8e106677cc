//! Sign-in, sessions, and the permission of a request.

pub mod handoff;
pub mod return_to;
pub mod scope;
pub mod session;
