//! Reserves the tunnels' UDP ports. 51800-52800 are in the range from which the kernel
//! chooses ports for outgoing sockets (32768-60999), so any program's DNS query could
//! occupy a tenant's port for a moment.

use std::{fs, io, ops::RangeInclusive};

/// The ports of all slots.
pub const RESERVED_PORTS: RangeInclusive<u16> = 51_800..=52_800;

/// `ip-sysctl.rst`: "Specify the ports which are reserved for known
/// third-party applications", comma-separated ports and ranges.
const FILE: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Adds [`RESERVED_PORTS`] to the kernel's reserved ports and returns whether that was
/// necessary. Other reserved ports stay reserved. It needs root, and its effect ends
/// at the next boot, so it has to be called at every start.
///
/// # Errors
/// If the file cannot be read or written, e.g. in a container.
pub fn reserve_ports() -> io::Result<bool> {
    let now = fs::read_to_string(FILE)?;
    let ranges = parse(&now);
    if ranges
        .iter()
        .any(|r| r.contains(RESERVED_PORTS.start()) && r.contains(RESERVED_PORTS.end()))
    {
        return Ok(false);
    }
    let mut text = now.trim().to_owned();
    if !text.is_empty() {
        text.push(',');
    }
    // The kernel merges ranges that overlap.
    text.push_str(&format!(
        "{}-{}",
        RESERVED_PORTS.start(),
        RESERVED_PORTS.end()
    ));
    fs::write(FILE, text)?;
    Ok(true)
}

/// Parses a list of ports and ranges. Malformed parts are skipped: the result only
/// decides whether the file has to be written.
fn parse(text: &str) -> Vec<RangeInclusive<u16>> {
    text.trim()
        .split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_of_ports_is_parsed() {
        assert_eq!(parse("\n"), []);
        assert_eq!(parse("8080\n"), [8080..=8080]);
        assert_eq!(
            parse("1-9,8080,60000-61000\n"),
            [1..=9, 8080..=8080, 60_000..=61_000]
        );
        assert_eq!(parse("x,,1-,70000"), []);
    }

    #[test]
    fn every_slots_port_is_reserved() {
        assert!(domain::Slot::all().all(|s| RESERVED_PORTS.contains(&s.listen_port())));
    }
}
