//! The hub over real TCP and real TLS on loopback: with the worker's own end, and with
//! clients that do what no worker does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bounds;
mod client;
mod copies;
mod damage;
mod folders;
mod partition;
mod proxy;
mod refusals;
mod rig;
mod round;
mod several;
