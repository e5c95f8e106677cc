//! This process: memory, processor time, open files, and which program it is. The names are
//! those that every Prometheus client has.

use super::samples::Samples;
use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage},
    time::TimeVal,
};
use prometheus_client::registry::Unit;
use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

/// Adds the figures of this process, which began then. What cannot be read is left out.
pub(super) fn add_to(samples: &mut Samples, started: SystemTime) {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    samples.gauges(
        ("maliknode_build_info", "The version that runs; always 1"),
        [(vec![("version", version)], 1.0)],
    );
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    samples.gauge(
        (
            "process_start_time",
            "When the process began, as seconds since 1970",
        ),
        Some(Unit::Seconds),
        since.as_secs_f64(),
    );
    let uptime = started.elapsed().unwrap_or_default();
    samples.gauge(
        ("maliknode_uptime", "Time since the process began"),
        Some(Unit::Seconds),
        uptime.as_secs_f64(),
    );
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let seconds = |t: TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
        samples.counter(
            ("process_cpu", "Processor time, of user and system together"),
            Some(Unit::Seconds),
            seconds(usage.user_time()) + seconds(usage.system_time()),
        );
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (field, name, help) in [
        ("VmRSS:", "process_resident_memory", "Memory in use"),
        ("VmSize:", "process_virtual_memory", "Address space in use"),
    ] {
        if let Some(bytes) = kilobytes(&status, field) {
            samples.gauge((name, help), Some(Unit::Bytes), bytes);
        }
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder itself.
        let open = files.count().saturating_sub(1);
        samples.gauge(("process_open_fds", "Open files"), None, open as f64);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let named = ("process_max_fds", "The most files that may be open");
        samples.gauge(named, None, soft as f64);
    }
}

/// Returns a field of `/proc/self/status` in bytes (proc_pid_status(5): kB are 1024 bytes).
fn kilobytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((number * 1024) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmSize:\t  2048 kB\nVmRSS:\t   100 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(102_400.0));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}
