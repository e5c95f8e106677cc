//! The core over a real store (SQLite in memory) and a machine that fails on
//! demand: what clients ask for, and how bad input is answered. There is a file
//! for each capability.
#![allow(clippy::unwrap_used)]

#[path = "../rig/mod.rs"]
mod rig;

mod account;
mod api;
mod audit;
mod capacity;
mod devices;
mod events;
mod looking_in;
mod mail;
mod moves;
mod names;
mod operators;
mod passkeys;
mod plans;
mod quotas;
mod resources;
mod restore;
mod sessions;
mod sign_in;
mod sign_up;
mod sign_ups;
mod sleep;
mod tenants;
mod tickets;
mod watch;
mod workers;
