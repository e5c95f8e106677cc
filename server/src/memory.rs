//! The machine's memory: what is free, what every DNS container takes, and what
//! holds the userspace tunnels.

use async_trait::async_trait;
use containers::Docker;
use domain::ErrorCode;
use provisioning::{
    capacity::{Memory, MemoryReading},
    ports::{PortError, PortResult},
};
use std::{fs, path::PathBuf, sync::Arc};
use wireguard::Userspace;

/// Where the kernel tells (`proc_meminfo(5)`).
const MEMINFO: &str = "/proc/meminfo";

/// This machine's memory.
#[derive(Debug)]
pub struct MachineMemory {
    docker: Arc<Docker>,
    /// The userspace WireGuard's socket.
    socket: PathBuf,
}

impl MachineMemory {
    /// By the engine, and the socket of the userspace WireGuard, which may not
    /// be there.
    pub fn new(docker: Arc<Docker>, socket: PathBuf) -> Self {
        Self { docker, socket }
    }
}

#[async_trait]
impl Memory for MachineMemory {
    async fn read(&self) -> PortResult<MemoryReading> {
        // The containers first: one that starts in between is then missing in
        // what is free, and not counted as running beside it.
        let seen = self.docker.memory().await?;
        let tunnels = Userspace::running(&self.socket).await;
        let (total, available) = free()?;
        Ok(MemoryReading {
            total,
            available,
            containers: seen.containers,
            aside_each: seen.aside_each,
            tunnels: tunnels.and_then(containers::private_bytes).unwrap_or(0),
        })
    }
}

/// What the machine has and what is free of it, in bytes.
///
/// # Errors
/// `MemoryUnknown`.
pub fn free() -> PortResult<(u64, u64)> {
    let text = fs::read_to_string(MEMINFO).map_err(|e| {
        PortError::because(
            ErrorCode::MemoryUnknown,
            format!("{MEMINFO} cannot be read."),
            e,
        )
    })?;
    parse(&text).ok_or_else(|| {
        PortError::new(
            ErrorCode::MemoryUnknown,
            format!("{MEMINFO} does not say what is free."),
        )
    })
}

fn parse(meminfo: &str) -> Option<(u64, u64)> {
    let bytes = |name: &str| {
        let line = meminfo
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        let kib: u64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let (total, available) = (bytes("MemTotal")?, bytes("MemAvailable")?);
    // In some containers the two come from different books.
    Some((total, available.min(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read_and_odd_ones_are_none() {
        let text = "MemTotal:       24683656 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(parse(text), Some((24_683_656 << 10, 2 << 20)));
        let other = "MemTotal: 1024 kB\nMemAvailable: 2048 kB\n";
        assert_eq!(parse(other), Some((1 << 20, 1 << 20)));
        for odd in [
            "",
            "MemTotal: 1 kB\n",
            "MemTotal: 1\nMemAvailable: 1 kB\n",
            "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n",
        ] {
            assert_eq!(parse(odd), None, "{odd}");
        }
        let (total, available) = free().unwrap();
        assert!(available > 0 && available <= total);
    }
}
