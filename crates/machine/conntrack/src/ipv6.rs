//! Entries of IPv6. A device's address of IPv6 follows from its IPv4 address, so both are
//! treated as the same end: what is said of an IPv4 address holds for the other, too.

use domain::{AddressPlan, Ipv6Prefix, Ipv6Subnet};
use ipnet::Ipv6Net;
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::OnceLock,
};

/// The prefix and the ranges of the installation. A process serves one; before the first
/// spec with IPv6 it has none, and then no tenant has an entry of IPv6.
static INSTALLATION: OnceLock<(Ipv6Prefix, AddressPlan)> = OnceLock::new();

/// Records the installation's prefix.
pub(crate) fn set(prefix: Ipv6Prefix, plan: AddressPlan) {
    INSTALLATION.get_or_init(|| (prefix, plan));
}

/// Returns how ends of IPv6 are read, once the installation has a prefix.
pub(crate) fn ends() -> Option<DeviceEnds> {
    INSTALLATION.get().map(|(prefix, plan)| DeviceEnds {
        prefix: *prefix,
        plan: *plan,
    })
}

/// Reads ends of IPv6 as the addresses of IPv4 of the same devices.
#[derive(Clone, Copy, Debug)]
pub struct DeviceEnds {
    pub prefix: Ipv6Prefix,
    pub plan: AddressPlan,
}

impl DeviceEnds {
    /// Returns the device's or gateway's address of IPv4, and the unspecified address for
    /// one that is no tenant's.
    pub(crate) fn ipv4(&self, address: Ipv6Addr) -> Ipv4Addr {
        let of = || {
            let subnet = Ipv6Subnet::new(Ipv6Net::new(address, Ipv6Subnet::LENGTH).ok()?.trunc())?;
            let slot = subnet.slot().filter(|_| subnet.prefix() == self.prefix)?;
            let [.., a, b, c, host] = address.segments();
            let host = u8::try_from(host).ok().filter(|_| [a, b, c] == [0; 3])?;
            Some(self.plan.device(slot, host))
        };
        of().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Slot;

    #[test]
    fn a_device_has_one_end_in_both_families() {
        let (prefix, plan) = (
            Ipv6Prefix::from_random([1, 2, 3, 4, 5]),
            AddressPlan::default(),
        );
        let ends = DeviceEnds { prefix, plan };
        for slot in Slot::all() {
            let subnet = prefix.subnet(slot);
            assert_eq!(ends.ipv4(subnet.gateway()), plan.gateway(slot));
            for host in [2, 254] {
                let device = plan.device(slot, host);
                assert_eq!(ends.ipv4(subnet.device(device)), device);
            }
        }
        for other in [
            "::",
            "2001:db8:0:1::2",
            "fd01:203:406:1::2",
            "fd01:203:405::2",
            "fd01:203:405:3e9::2",
            "fd01:203:405:1::1:2",
            "fd01:203:405:1::100",
        ] {
            let found = ends.ipv4(other.parse().unwrap());
            assert_eq!(found, Ipv4Addr::UNSPECIFIED, "{other}");
        }
    }
}
