//! The kernel's switches for forwarding and reserved ports.

use super::report::{Check, run};
use domain::Message;
use std::fs;

pub(super) fn forwarding() -> Check {
    const NAME: Message = Message::CheckForwarding;
    match fs::read_to_string("/proc/sys/net/ipv4/ip_forward") {
        Ok(on) if on.trim() == "1" => Check::ok(NAME, Message::ForwardingIsOn),
        _ => Check::warn(
            NAME,
            Message::ForwardingIsOff,
            run("sysctl -w net.ipv4.ip_forward=1"),
        ),
    }
}

pub(super) fn reserved_ports() -> Check {
    const NAME: Message = Message::CheckReservedPorts;
    let list = fs::read_to_string("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    if covers(&list, 51_800, 52_800) {
        Check::ok(NAME, Message::PortsReserved)
    } else {
        Check::warn(
            NAME,
            Message::PortsUnreserved,
            run("sysctl -w net.ipv4.ip_local_reserved_ports=51800-52800"),
        )
    }
}

/// Returns whether one range of the kernel's list contains all these ports.
fn covers(list: &str, first: u16, last: u16) -> bool {
    list.trim().split(',').any(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        matches!((from.trim().parse::<u16>(), to.trim().parse::<u16>()), (Ok(from), Ok(to)) if from <= first && last <= to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_reserved_only_if_all_are() {
        assert!(covers("51800-52800\n", 51_800, 52_800));
        assert!(covers("1,40000-60000", 51_800, 52_800));
        assert!(!covers("51800-52799", 51_800, 52_800));
        assert!(!covers("\n", 51_800, 52_800));
    }
}
