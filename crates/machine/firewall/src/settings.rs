//! The settings of the rules. Changing one changes the tables' version, so that
//! the tables are rebuilt at the next reading.

use domain::{AddressPlan, ErrorCode, Failure, Message, marks::BRIDGE};
use ipnet::Ipv4Net;

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
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            addresses: AddressPlan::default(),
            bridge: BRIDGE.to_owned(),
            allowed_private: Vec::new(),
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
        Ok(())
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
}
