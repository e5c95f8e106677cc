//! The binary `maliknode`.
// The pages are deeply nested types, and an optimised build computes their layout.
#![recursion_limit = "512"]

use clap::Parser;
use server::cli::{self, Cli};
use std::process::ExitCode;

/// Makes glibc return large blocks to the system when they are freed. Hashing a
/// password takes 19 MiB for some milliseconds; by default glibc learns from
/// the first such block to cache them, one for each of its arenas (measured
/// with 8 tenants: 130 MB instead of 35).
#[cfg(target_env = "gnu")]
fn return_large_blocks_to_the_system() {
    // SAFETY: mallopt(3) sets two numbers of the allocator, and no other thread
    // runs yet. If it fails, the process only uses more memory.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 4 << 20);
    }
}

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    return_large_blocks_to_the_system();
    cli::run(Cli::parse())
}
