//! The settings of the rules. Changing one changes the tables' version, so that
//! the tables are rebuilt at the next reading.

use crate::ports::TENANT_PORTS;
use domain::{AddressPlan, ErrorCode, Failure, Message, marks::BRIDGE};
use ipnet::{Ipv4Net, Ipv6Net};
use std::{collections::BTreeSet, net::Ipv4Addr};

/// The settings that the constant part of the tables depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallSettings {
    /// The ranges of tunnels and containers.
    pub addresses: AddressPlan,
    /// The name of the containers' bridge.
    pub bridge: String,
    /// Private ranges that tenants and containers may reach nevertheless, e.g. a
    /// resolver in the LAN. They never open the host, a tunnel or a container.
    pub allowed_private: Vec<Ipv4Net>,
    /// The resolvers that containers may ask even in private ranges, at ports 53, 443
    /// and 853. They never open the host, a tunnel or a container.
    pub resolvers: Vec<Ipv4Addr>,
    /// TCP ports of this host's addresses at which devices reach our own pages, whatever
    /// they route through their tunnel.
    pub web_ports: BTreeSet<u16>,
    /// The private address of this host at which they are too, where it has no public one.
    pub web_address: Option<Ipv4Addr>,
    /// What the host reaches by IPv6 without a router, which no tenant reaches. The
    /// firewall reads it itself ([`crate::Nft`]).
    pub neighbours6: Vec<Ipv6Net>,
    /// How much of what tenants share one of them may have.
    pub limits: FirewallLimits,
}

/// How much of what tenants share one of them may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallLimits {
    /// Connections of a device or container at the same time; 2,000 by default,
    /// 100 to 65,536. Up to a tenth fewer where its source ports are uneven.
    pub connections_per_device: u32,
    /// Connections of a tenant's devices together; 16,000 by default, 1,000 to
    /// 262,144. Eight times as many fit into the kernel's table of 262,144.
    pub connections_per_tenant: u32,
    /// Connections of a tenant to the same address, protocol and port; 4,000 by
    /// default, 100 to 41,560, the number of source ports. Eight times as many leave
    /// source ports for others.
    pub connections_per_destination: u32,
    /// New connections of a device per second, with ten seconds' worth at once; 200
    /// by default, 10 to 100,000.
    pub new_per_device: u32,
    /// New connections of a tenant, and of its container, per second, with ten
    /// seconds' worth at once; 500 by default, 10 to 100,000.
    pub new_per_tenant: u32,
    /// DNS queries of a device per second; 100 by default, 1 to 100,000.
    pub dns_per_second: u32,
    /// DNS queries of a device at once; 500 by default, 1 to 1,000,000.
    pub dns_burst: u32,
    /// How long an established TCP connection without packets is remembered, in
    /// seconds; 7,440 by default, 300 to 432,000. RFC 5382 requires at least 2 h 4 min.
    pub established_seconds: u32,
    /// Whether tenants may send mail to servers (TCP port 25); false by default.
    pub smtp_open: bool,
}

impl Default for FirewallLimits {
    fn default() -> Self {
        Self {
            connections_per_device: 2_000,
            connections_per_tenant: 16_000,
            connections_per_destination: 4_000,
            new_per_device: 200,
            new_per_tenant: 500,
            dns_per_second: 100,
            dns_burst: 500,
            established_seconds: 7_440,
            smtp_open: false,
        }
    }
}

impl FirewallLimits {
    fn check(&self) -> Result<(), Failure> {
        let ports = TENANT_PORTS.1.abs_diff(TENANT_PORTS.0).saturating_add(1);
        for (name, value, least, most) in [
            (
                "connections_per_device",
                self.connections_per_device,
                100,
                65_536,
            ),
            (
                "connections_per_tenant",
                self.connections_per_tenant,
                1_000,
                262_144,
            ),
            (
                "connections_per_destination",
                self.connections_per_destination,
                100,
                ports.into(),
            ),
            ("new_per_device", self.new_per_device, 10, 100_000),
            ("new_per_tenant", self.new_per_tenant, 10, 100_000),
            ("dns_per_second", self.dns_per_second, 1, 100_000),
            ("dns_burst", self.dns_burst, 1, 1_000_000),
            (
                "established_seconds",
                self.established_seconds,
                300,
                432_000,
            ),
        ] {
            if !(least..=most).contains(&value) {
                let message = Message::FirewallLimit {
                    name: name.to_owned(),
                    least: least.into(),
                    most: most.into(),
                };
                return Err(Failure::new(ErrorCode::BadConfiguration, message));
            }
        }
        Ok(())
    }
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            addresses: AddressPlan::default(),
            bridge: BRIDGE.to_owned(),
            allowed_private: Vec::new(),
            resolvers: Vec::new(),
            web_ports: BTreeSet::new(),
            web_address: None,
            neighbours6: Vec::new(),
            limits: FirewallLimits::default(),
        }
    }
}

impl FirewallSettings {
    /// Checks configured settings. The bridge's name is part of generated rules, so
    /// only characters that cannot change a rule are accepted.
    ///
    /// # Errors
    /// [`ErrorCode::BadConfiguration`] with a message that names the setting.
    pub fn check(&self) -> Result<(), Failure> {
        self.addresses.check()?;
        // IFNAMSIZ is 16 with the terminating zero. The kernel accepts more
        // characters than these, but a bridge does not need them.
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let name = &self.bridge;
        if name.is_empty()
            || name.len() > 15
            || !name.bytes().all(plain)
            || name.bytes().all(|c| c == b'.')
        {
            return Err(Failure::new(
                ErrorCode::BadConfiguration,
                Message::BridgeName,
            ));
        }
        self.limits.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridge_names_that_could_change_rules_are_rejected() {
        let with = |bridge: &str| {
            FirewallSettings {
                bridge: bridge.to_owned(),
                ..FirewallSettings::default()
            }
            .check()
        };
        for good in ["mn0", "br-lan.1", "a_b", "fifteen-letters"] {
            assert!(with(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "..",
            "mn0\"",
            "a b",
            "a;b",
            "a\nb",
            "sixteen-letters-",
            "mn*",
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_that_would_lock_out_or_not_hold_are_rejected() {
        let with = |change: &dyn Fn(&mut FirewallLimits)| {
            let mut settings = FirewallSettings::default();
            change(&mut settings.limits);
            settings.check().map_err(|failure| failure.message)
        };
        assert_eq!(with(&|_| {}), Ok(()));
        assert_eq!(
            with(&|l| l.connections_per_destination = 0),
            Err(Message::FirewallLimit {
                name: "connections_per_destination".to_owned(),
                least: 100,
                most: 41_560,
            })
        );
        for bad in [0, u32::MAX] {
            assert!(with(&|l| l.connections_per_device = bad).is_err());
            assert!(with(&|l| l.connections_per_tenant = bad).is_err());
            assert!(with(&|l| l.new_per_device = bad).is_err());
            assert!(with(&|l| l.new_per_tenant = bad).is_err());
            assert!(with(&|l| l.dns_per_second = bad).is_err());
            assert!(with(&|l| l.dns_burst = bad).is_err());
        }
    }
}
