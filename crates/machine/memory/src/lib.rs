//! The machine's memory: what is free, what each DNS container uses, and what
//! the process that holds the userspace tunnels uses.
//!
//! `/proc/meminfo` is parsed by hand: only two of its lines are needed, and the
//! crate `procfs` fails where any of a dozen others is missing, as it is in
//! some containers.

use async_trait::async_trait;
use containers::Docker;
use domain::{ErrorCode, Message};
use provisioning::{
    capacity::{Memory, MemoryReading},
    ports::{PortError, PortResult},
};
use std::{fs, path::PathBuf, sync::Arc};
use wireguard::Userspace;

/// `proc_meminfo(5)`.
const MEMINFO: &str = "/proc/meminfo";

/// Reads this machine's memory.
#[derive(Debug)]
pub struct MachineMemory {
    docker: Arc<Docker>,
    userspace_socket: PathBuf,
}

impl MachineMemory {
    /// Returns a reader that uses this engine and the control socket of the
    /// userspace WireGuard, which need not exist.
    pub fn new(docker: Arc<Docker>, userspace_socket: PathBuf) -> Self {
        Self {
            docker,
            userspace_socket,
        }
    }
}

#[async_trait]
impl Memory for MachineMemory {
    async fn read(&self) -> PortResult<MemoryReading> {
        // The containers are read first: one that starts between the two
        // readings then lowers what is free, but is not also counted as running.
        let containers = self.docker.memory().await?;
        let tunnels = Userspace::running(&self.userspace_socket).await;
        let (total, available) = total_and_available()?;
        Ok(MemoryReading {
            total,
            available,
            containers: containers.containers,
            shim_bytes: containers.shim_bytes,
            tunnels: tunnels.and_then(containers::private_bytes).unwrap_or(0),
        })
    }
}

/// Returns the machine's total and available memory, in bytes.
///
/// # Errors
/// `MemoryUnknown`.
pub fn total_and_available() -> PortResult<(u64, u64)> {
    let text = fs::read_to_string(MEMINFO).map_err(|e| {
        PortError::because(
            ErrorCode::MemoryUnknown,
            Message::MeminfoUnreadable {
                path: MEMINFO.to_owned(),
            },
            e,
        )
    })?;
    parse(&text).ok_or_else(|| {
        PortError::new(
            ErrorCode::MemoryUnknown,
            Message::MeminfoIncomplete {
                path: MEMINFO.to_owned(),
            },
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
    // In some containers the two have different sources: the container's limit
    // and the host's memory.
    Some((total, available.min(total)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_and_available_memory_are_parsed() {
        let text = "MemTotal:       24683656 kB\nMemFree:  1 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(parse(text), Some((24_683_656 << 10, 2 << 20)));
        let other = "MemTotal: 1024 kB\nMemAvailable: 2048 kB\n";
        assert_eq!(parse(other), Some((1 << 20, 1 << 20)));
        for malformed in [
            "",
            "MemTotal: 1 kB\n",
            "MemTotal: 1\nMemAvailable: 1 kB\n",
            "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n",
        ] {
            assert_eq!(parse(malformed), None, "{malformed}");
        }
        let (total, available) = total_and_available().unwrap();
        assert!(available > 0 && available <= total);
    }
}
