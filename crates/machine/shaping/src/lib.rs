//! The shaping port's implementation on traffic control (`tc(8)`).
//!
//! # What is made
//! A tenant *is* the interface `wg<n>`, so there are no classes, and no packet is
//! compared with a list of tenants:
//! - *Down*, towards the devices: a token bucket (`tc-tbf(8)`) is the root of `wg<n>`.
//! - *Up*, from the devices: what arrives on `wg<n>` is redirected to an ifb of the slot,
//!   `mnup<n>`, whose root is the same token bucket. A packet that has passed it goes on
//!   as if it had just arrived on `wg<n>`, so the firewall sees no difference.
//!
//! Below a token bucket is `fq_codel` where the kernel has it, so that a device that
//! fills the queue does not delay another flow; otherwise a plain queue of 50 ms.
//!
//! # Why a queue upwards
//! The alternative is to drop what is too fast (nft's `limit`). Measured with iperf3 on
//! two cores with a tenant's upward limit of 5, 50 and 200 Mb/s: one TCP flow got 6.4, 66
//! and 255 Mb/s by dropping, and 4.8, 47.8 and 191 Mb/s by queueing; eight flows 5.2,
//! 50.3 and 205, and 4.7, 47.8 and 191 Mb/s. Only the queue keeps 10 % for both.
//!
//! # How ours are recognised
//! Token buckets by their handle ([`state::is_our_handle`]), the redirect by its
//! preference ([`state::PREFERENCE`]), an ifb by its kind and name
//! ([`links::ifb_name`]). Loading the module `ifb` may create `ifb0` and `ifb1`, which
//! are not ours.
//!
//! # Traps of the kernel
//! - A token bucket never sends a packet that is larger than its burst. It segments
//!   large (GSO) packets as they arrive; but one that waits while the burst is lowered
//!   in place blocks the queue forever. Therefore a lower burst makes a new token
//!   bucket, with another handle, which replaces the old one at once and drops what
//!   waits there.
//! - A queue that is shorter than the burst drops every GSO packet between the two
//!   sizes. Therefore the queue is always longer ([`rate::Rate::queue`]).
//! - A redirect to an ifb that is gone or down drops everything that devices send.
//!   Therefore the ifb is made first and removed last, and its removal is an event.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod error;
mod events;
// `links`, `listing`, `rate` and `state` are public for the fuzz targets
// (crates/fuzzing).
#[doc(hidden)]
pub mod links;
#[doc(hidden)]
pub mod listing;
mod plan;
#[doc(hidden)]
pub mod rate;
#[doc(hidden)]
pub mod state;
mod tc;

pub use tc::Tc;
