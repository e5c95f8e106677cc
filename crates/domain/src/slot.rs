//! Slots: a tenant's number on a node. It determines every address and port the
//! tenant uses there, so nothing has to be looked up or negotiated.

use crate::{code::ErrorCode, failure::Failure, message::Message};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv4Addr};

/// A tenant's number on a node, 1..=1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Slot(u16);

impl Slot {
    pub const FIRST: Slot = Slot(1);
    /// The highest slot: a Linux bridge has at most 1,024 ports, which is enough
    /// for a thousand containers and some spare.
    pub const LAST: Slot = Slot(1000);

    /// Returns the slot with this number, or `None` outside 1..=1000.
    pub const fn new(n: u16) -> Option<Self> {
        if n >= Self::FIRST.0 && n <= Self::LAST.0 {
            Some(Self(n))
        } else {
            None
        }
    }

    /// Iterates over every slot in ascending order.
    pub fn all() -> impl Iterator<Item = Slot> {
        (Self::FIRST.0..=Self::LAST.0).map(Slot)
    }

    /// Returns the number, 1..=1000.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the name of the WireGuard interface: `wg1` … `wg1000`.
    pub fn interface(self) -> String {
        format!("wg{}", self.0)
    }

    /// Returns the slot of an interface name, or `None` if no slot has that name.
    pub fn of_interface(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("wg")?;
        let n: u16 = digits.parse().ok()?;
        // "wg01" and "wg+1" parse as numbers but are not names of slots.
        (n.to_string() == digits).then_some(n).and_then(Self::new)
    }

    /// Returns the UDP port the tunnel listens on: 51820 + n up to n = 980
    /// (52800); slots 981..=1000 have 51800..=51819. One firewall rule,
    /// 51800-52800, covers all of them.
    pub const fn listen_port(self) -> u16 {
        if self.0 <= 980 {
            51_820 + self.0
        } else {
            51_800 + (self.0 - 981)
        }
    }

    /// Returns the slot whose tunnel listens on this UDP port.
    pub const fn of_port(port: u16) -> Option<Self> {
        match port {
            51_821..=52_800 => Self::new(port - 51_820),
            51_800..=51_819 => Self::new(port - 51_800 + 981),
            _ => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u16> for Slot {
    type Error = String;
    fn try_from(n: u16) -> Result<Self, String> {
        Self::new(n).ok_or_else(|| format!("slot {n} is not in 1..=1000"))
    }
}

impl From<Slot> for u16 {
    fn from(s: Slot) -> u16 {
        s.0
    }
}

/// The address ranges of an installation, from which every slot's addresses are
/// computed. The default is 10.88.0.0/14 for tunnels and 10.92.0.0/21 for
/// containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPlan {
    /// The range of all tunnels, a /14 or larger; each slot has a /24 of it.
    pub tunnels: Ipv4Net,
    /// The range of the bridge with the DNS containers, a /21 or larger.
    pub containers: Ipv4Net,
}

impl Default for AddressPlan {
    fn default() -> Self {
        Self {
            tunnels: Ipv4Net::new_assert(Ipv4Addr::new(10, 88, 0, 0), 14),
            containers: Ipv4Net::new_assert(Ipv4Addr::new(10, 92, 0, 0), 21),
        }
    }
}

impl AddressPlan {
    /// The host part of a tenant's first device; `.1` is the gateway.
    pub const FIRST_HOST: u8 = 2;
    /// The host part of a tenant's last device; `.255` is the broadcast address.
    pub const LAST_HOST: u8 = 254;

    /// Checks configured ranges.
    ///
    /// # Errors
    /// [`ErrorCode::BadConfiguration`] with a message that names the setting.
    pub fn check(&self) -> Result<(), Failure> {
        let bad = |message| Err(Failure::new(ErrorCode::BadConfiguration, message));
        if self.tunnels.prefix_len() > 14 {
            return bad(Message::AddressesTunnelsSmall {
                range: self.tunnels.to_string(),
            });
        }
        if self.containers.prefix_len() > 21 {
            return bad(Message::AddressesContainersSmall {
                range: self.containers.to_string(),
            });
        }
        if self.tunnels.contains(&self.containers) || self.containers.contains(&self.tunnels) {
            return bad(Message::AddressesOverlap {
                tunnels: self.tunnels.to_string(),
                containers: self.containers.to_string(),
            });
        }
        Ok(())
    }

    /// Returns the slot's subnet, a /24: slot n has the n-th of the tunnels' range.
    pub fn subnet(&self, slot: Slot) -> Ipv4Net {
        Ipv4Net::new_assert(offset(self.tunnels, u32::from(slot.get()) << 8), 24)
    }

    /// Returns the server's address inside the tunnel, where DNS answers: `.1`.
    pub fn gateway(&self, slot: Slot) -> Ipv4Addr {
        offset(self.tunnels, (u32::from(slot.get()) << 8) + 1)
    }

    /// Returns a device's address from its host part, 2..=254.
    pub fn device(&self, slot: Slot, host: u8) -> Ipv4Addr {
        offset(self.tunnels, (u32::from(slot.get()) << 8) + u32::from(host))
    }

    /// Returns the slot whose subnet has the address.
    pub fn slot_of(&self, address: Ipv4Addr) -> Option<Slot> {
        let offset = u32::from(address).wrapping_sub(u32::from(self.tunnels.network()));
        let slot = Slot::new(u16::try_from(offset >> 8).ok()?);
        slot.filter(|_| self.tunnels.contains(&address))
    }

    /// Returns the bridge's own address, the containers' gateway.
    pub fn bridge(&self) -> Ipv4Addr {
        offset(self.containers, 1)
    }

    /// Returns the fixed address of the slot's DNS container: slot n has
    /// 10.92.(1 + n/256).(n % 256), which is never the bridge's own.
    pub fn container(&self, slot: Slot) -> Ipv4Addr {
        offset(self.containers, 256 + u32::from(slot.get()))
    }
}

fn offset(net: Ipv4Net, by: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(net.network()).wrapping_add(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn default_addresses_and_ports_are_fixed() {
        let plan = AddressPlan::default();
        let at = |n| {
            Slot::new(n).map(|s| {
                (
                    plan.subnet(s).to_string(),
                    plan.gateway(s).to_string(),
                    s.listen_port(),
                )
            })
        };
        assert_eq!(
            at(1),
            Some(("10.88.1.0/24".into(), "10.88.1.1".into(), 51_821))
        );
        assert_eq!(
            at(256),
            Some(("10.89.0.0/24".into(), "10.89.0.1".into(), 52_076))
        );
        assert_eq!(
            at(980),
            Some(("10.91.212.0/24".into(), "10.91.212.1".into(), 52_800))
        );
        assert_eq!(
            at(981),
            Some(("10.91.213.0/24".into(), "10.91.213.1".into(), 51_800))
        );
        assert_eq!(
            at(1000),
            Some(("10.91.232.0/24".into(), "10.91.232.1".into(), 51_819))
        );
        assert_eq!((at(0), at(1001)), (None, None));
    }

    #[test]
    fn slots_share_nothing_and_stay_in_range() {
        let plan = AddressPlan::default();
        let mut seen = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for s in Slot::all() {
            assert!(plan.tunnels.contains(&plan.subnet(s)));
            assert!(plan.containers.contains(&plan.container(s)));
            assert_ne!(plan.container(s), plan.bridge());
            assert_ne!(plan.container(s), plan.containers.broadcast());
            assert!((51_800..=52_800).contains(&s.listen_port()));
            assert!(plan.subnet(s).contains(&plan.device(s, 254)));
            assert_eq!(plan.slot_of(plan.device(s, 254)), Some(s));
            assert_eq!(plan.slot_of(plan.container(s)), None);
            assert_eq!(Slot::of_interface(&s.interface()), Some(s));
            assert_eq!(Slot::of_port(s.listen_port()), Some(s));
            assert!(seen.0.insert(plan.subnet(s)));
            assert!(seen.1.insert(plan.container(s)));
            assert!(seen.2.insert(s.listen_port()));
        }
        assert_eq!(seen.0.len(), 1000);
    }

    #[test]
    fn other_interface_names_are_no_slots() {
        for name in [
            "wg",
            "wg0",
            "wg01",
            "wg1001",
            "wg+1",
            "wg-1",
            "eth0",
            "wg1x",
            "WG1",
            "wg99999999999",
        ] {
            assert_eq!(Slot::of_interface(name), None, "{name}");
        }
    }

    #[test]
    fn small_or_overlapping_ranges_are_rejected() {
        let with = |t: &str, c: &str| {
            AddressPlan {
                tunnels: t.parse().unwrap(),
                containers: c.parse().unwrap(),
            }
            .check()
        };
        assert!(with("10.88.0.0/14", "10.92.0.0/21").is_ok());
        assert!(with("10.88.0.0/16", "10.92.0.0/21").is_err());
        assert!(with("10.88.0.0/14", "10.92.0.0/24").is_err());
        assert!(with("10.88.0.0/13", "10.92.0.0/21").is_err());
    }
}
