//! The binary `maliknode`.
// The pages are deep types, and an optimised build lays them out.
#![recursion_limit = "512"]

use clap::Parser;
use server::cli::{self, Cli};
use std::process::ExitCode;

/// Has glibc give large blocks back to the system when they are freed. A
/// password's hash takes 19 MiB for some milliseconds; left alone, glibc learns
/// from the first to keep such blocks, one for each of its arenas (measured at
/// 8 tenants: 130 MB against 35).
#[cfg(target_env = "gnu")]
fn give_large_blocks_back() {
    // SAFETY: mallopt(3) changes two numbers of the allocator; no other thread
    // runs yet. Where it refuses, memory use is higher and nothing else.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 4 << 20);
    }
}

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    give_large_blocks_back();
    cli::run(Cli::parse())
}
