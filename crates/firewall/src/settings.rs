//! What the rules are written from. A change of any of it changes the table's
//! version mark, so the table is written anew at the next look.

use domain::{AddressPlan, ErrorCode, Failure};
use ipnet::Ipv4Net;

/// What the constant part of the table depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallSettings {
    /// The ranges of tunnels and containers.
    pub addresses: AddressPlan,
    /// The link of the containers' bridge.
    pub bridge: String,
    /// Private ranges tenants and containers may reach all the same, e.g. a
    /// resolver in the LAN. Never the host, a tunnel or a container.
    pub allowed_private: Vec<Ipv4Net>,
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            addresses: AddressPlan::default(),
            bridge: "mn0".to_owned(),
            allowed_private: Vec::new(),
        }
    }
}

impl FirewallSettings {
    /// Checks what somebody configured; the bridge's name ends up in generated
    /// rules, so only what cannot be anything but a name passes.
    ///
    /// # Errors
    /// [`ErrorCode::BadConfiguration`] with a sentence naming the setting.
    pub fn check(&self) -> Result<(), Failure> {
        self.addresses.check()?;
        // IFNAMSIZ is 16 with the closing zero; the kernel takes more
        // characters than these, but no name of ours needs them.
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let name = &self.bridge;
        if name.is_empty()
            || name.len() > 15
            || !name.bytes().all(plain)
            || name.bytes().all(|c| c == b'.')
        {
            return Err(Failure::new(
                ErrorCode::BadConfiguration,
                "bridge: an interface name is 1 to 15 letters, digits, dots, hyphens or underscores",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_rules_are_refused() {
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
