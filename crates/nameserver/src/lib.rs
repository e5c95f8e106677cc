//! Changes of records at an authoritative name server, by dynamic updates (RFC 2136) that a
//! shared key signs (TSIG, RFC 8945). Any server that has them will do: BIND, Knot, NSD's
//! and PowerDNS's primaries, Windows' and those of providers that offer it.
//!
//! Messages go over TCP, one after another on a connection. An answer counts only if it is
//! signed with the same key, where there is a key.

mod client;
mod error;
mod message;
mod name;
mod record;
mod tsig;

pub use client::NameServer;
pub use error::{NameServerError, Refused};
pub use name::DnsName;
pub use record::{Record, Target};
pub use tsig::TsigKey;
