//! The control plane as a program: the configuration, the command line, the
//! web in front of the core, and the node's process beside it.
//!
//! Invariant: there are no business rules here. What a person can ask for is in
//! `control`, what the machine should be in `provisioning`.
// The pages are deeply nested types, and an optimised build computes their layout.
#![recursion_limit = "512"]

pub mod accept;
pub mod cli;
pub mod config;
mod console;
pub mod control_socket;
mod database_file;
mod degraded;
pub mod doctor;
pub mod health;
mod local_node;
mod mail;
pub mod metrics;
pub mod name_server;
mod node_port;
mod presence;
pub mod readiness;
pub mod serve;
mod shutdown;
pub mod start_error;
pub mod storage;
pub mod web;
mod wiring;
pub mod worker;
pub mod workers;
