//! The control plane as a program: configuration, the command line, the
//! machine's real sides put together, and the web in front of the core.
//!
//! Invariant: no rule of the business here. What a person can ask for is in
//! `control`, what the machine should be in `provisioning`.
// The pages are deep types, and an optimised build lays them out.
#![recursion_limit = "512"]

pub mod accept;
pub mod cli;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod machine;
pub mod memory;
pub mod serve;
mod stand_in;
pub mod start_error;
pub mod web;
