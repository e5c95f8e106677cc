//! What every operation passes through, and what they share.

pub mod body;
pub mod client;
pub mod cursor;
pub mod etag;
pub mod guard;
pub mod idempotency;
pub mod list;
pub mod path;
pub mod permission;
pub mod problem;
pub mod query;
pub mod sse;
pub mod streams;
