//! IPv6 inside tunnels: the installation's prefix, and what a tenant has of it. A device's
//! address follows from its IPv4 address, so that nothing has to be stored or allocated.

use crate::slot::Slot;
use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// The installation's prefix, a /48 of unique local addresses (RFC 4193). Each slot has a
/// /64 of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ipv6Prefix(Ipv6Net);

impl Ipv6Prefix {
    /// Returns the prefix with this Global ID (RFC 4193, 3.1), which must be random.
    pub fn from_random(id: [u8; 5]) -> Self {
        let [a, b, c, d, e] = id;
        let address = Ipv6Addr::new(
            0xfd00 | u16::from(a),
            u16::from_be_bytes([b, c]),
            u16::from_be_bytes([d, e]),
            0,
            0,
            0,
            0,
            0,
        );
        Self(Ipv6Net::new_assert(address, 48))
    }

    /// Returns the slot's network, a /64 whose fourth group is the slot's number.
    pub fn subnet(self, slot: Slot) -> Ipv6Subnet {
        let [a, b, c, ..] = self.0.network().segments();
        let address = Ipv6Addr::new(a, b, c, slot.get(), 0, 0, 0, 0);
        Ipv6Subnet(Ipv6Net::new_assert(address, 64))
    }

    /// Returns the prefix as a network.
    pub fn net(self) -> Ipv6Net {
        self.0
    }
}

impl fmt::Display for Ipv6Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error for a text that is no /48 of unique local addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a /48 of unique local addresses (fd00::/8)")]
pub struct NoUniqueLocal;

impl FromStr for Ipv6Prefix {
    type Err = NoUniqueLocal;

    fn from_str(text: &str) -> Result<Self, NoUniqueLocal> {
        let net: Ipv6Net = text.parse().map_err(|_| NoUniqueLocal)?;
        let is_local = net.addr().octets()[0] == 0xfd;
        match is_local && net.prefix_len() == 48 && net.trunc() == net {
            true => Ok(Self(net)),
            false => Err(NoUniqueLocal),
        }
    }
}

impl TryFrom<String> for Ipv6Prefix {
    type Error = NoUniqueLocal;

    fn try_from(text: String) -> Result<Self, NoUniqueLocal> {
        text.parse()
    }
}

impl From<Ipv6Prefix> for String {
    fn from(prefix: Ipv6Prefix) -> Self {
        prefix.to_string()
    }
}

/// A tenant's network of IPv6, a /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ipv6Net", into = "Ipv6Net")]
pub struct Ipv6Subnet(Ipv6Net);

impl Ipv6Subnet {
    /// The length of its prefix.
    pub const LENGTH: u8 = 64;

    /// Returns the network with this prefix, or `None` unless it is a /64 of unique local
    /// addresses.
    pub fn new(net: Ipv6Net) -> Option<Self> {
        let is_local = net.addr().octets()[0] == 0xfd;
        (is_local && net.prefix_len() == Self::LENGTH && net.trunc() == net).then_some(Self(net))
    }

    /// Returns the slot that the network is of, by its fourth group.
    pub fn slot(self) -> Option<Slot> {
        Slot::new(self.0.network().segments()[3])
    }

    /// Returns the installation's prefix.
    pub fn prefix(self) -> Ipv6Prefix {
        let [a, b, c, ..] = self.0.network().segments();
        let address = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
        Ipv6Prefix(Ipv6Net::new_assert(address, 48))
    }

    /// Returns the network.
    pub fn net(self) -> Ipv6Net {
        self.0
    }

    /// Returns the server's address inside the tunnel: `::1`.
    pub fn gateway(self) -> Ipv6Addr {
        self.host(1)
    }

    /// Returns the address of the device with this IPv4 address: both end with the same
    /// number.
    pub fn device(self, address: Ipv4Addr) -> Ipv6Addr {
        let [.., host] = address.octets();
        self.host(host)
    }

    fn host(self, number: u8) -> Ipv6Addr {
        let [a, b, c, d, ..] = self.0.network().segments();
        Ipv6Addr::new(a, b, c, d, 0, 0, 0, u16::from(number))
    }
}

impl fmt::Display for Ipv6Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<Ipv6Net> for Ipv6Subnet {
    type Error = NoUniqueLocal;

    fn try_from(net: Ipv6Net) -> Result<Self, NoUniqueLocal> {
        Self::new(net).ok_or(NoUniqueLocal)
    }
}

impl From<Ipv6Subnet> for Ipv6Net {
    fn from(subnet: Ipv6Subnet) -> Self {
        subnet.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn addresses_follow_from_prefix_slot_and_ipv4() {
        let prefix = Ipv6Prefix::from_random([0x12, 0x34, 0x56, 0x78, 0x9a]);
        assert_eq!(prefix.to_string(), "fd12:3456:789a::/48");
        let subnet = prefix.subnet(Slot::new(1000).unwrap());
        assert_eq!(subnet.to_string(), "fd12:3456:789a:3e8::/64");
        assert_eq!(subnet.gateway().to_string(), "fd12:3456:789a:3e8::1");
        let device = subnet.device(Ipv4Addr::new(10, 91, 232, 254));
        assert_eq!(device.to_string(), "fd12:3456:789a:3e8::fe");
        assert_eq!((subnet.slot(), subnet.prefix()), (Slot::new(1000), prefix));
    }

    #[test]
    fn slots_share_no_network() {
        let prefix = Ipv6Prefix::from_random([0; 5]);
        let all: BTreeSet<_> = Slot::all().map(|slot| prefix.subnet(slot)).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|s| prefix.net().contains(&s.net())));
    }

    #[test]
    fn only_unique_local_prefixes_are_accepted() {
        for text in ["fd00::/48", "fdff:ffff:ffff::/48"] {
            assert_eq!(text.parse::<Ipv6Prefix>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "fd00::",
            "fd00::/47",
            "fd00::/64",
            "fd00::1/48",
            "fc00::/48",
            "fe80::/48",
            "2001:db8::/48",
            "10.0.0.0/8",
        ] {
            assert_eq!(text.parse::<Ipv6Prefix>(), Err(NoUniqueLocal), "{text}");
        }
        for text in ["2001:db8::/64", "fd00::1/64", "fd00::/48"] {
            assert_eq!(Ipv6Subnet::new(text.parse().unwrap()), None, "{text}");
        }
    }
}
