//! A device's WireGuard configuration. It is rendered only here, so that the QR
//! code, the download, the copied text and the one made in the browser are the same.

use crate::code::ErrorCode;
use crate::failure::{Failure, Field};
use crate::key::{PresharedKey, PrivateKey, PublicKey};
use crate::message::Message;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv4Addr, str::FromStr};
use zeroize::Zeroizing;

/// What a device sends through its tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Routing {
    /// All its traffic, IPv6 included: IPv6 enters the tunnel and is dropped
    /// there, because a VPN that leaves IPv6 outside the tunnel leaks it.
    #[default]
    Everything,
    /// Only traffic to the tenant's own network.
    Network,
    /// Only DNS queries.
    Dns,
}

impl Routing {
    /// Every choice, in the order of the menu.
    pub const ALL: [Routing; 3] = [Self::Everything, Self::Network, Self::Dns];

    /// Returns the value used in forms and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Network => "network",
            Self::Dns => "dns",
        }
    }
}

impl fmt::Display for Routing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Routing {
    type Err = Failure;
    fn from_str(s: &str) -> Result<Self, Failure> {
        Self::ALL
            .into_iter()
            .find(|r| r.as_str() == s)
            .ok_or_else(|| {
                Failure::at(
                    Field::Routing,
                    ErrorCode::ChoiceUnknown,
                    Message::RoutingUnknown,
                )
            })
    }
}

/// The content of a device's configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The device's private key.
    pub private_key: PrivateKey,
    /// The device's address inside the tunnel.
    pub address: Ipv4Addr,
    /// The tenant's gateway, where DNS answers.
    pub gateway: Ipv4Addr,
    pub subnet: Ipv4Net,
    /// The tunnel's public key.
    pub server_key: PublicKey,
    /// This device's preshared key.
    pub preshared_key: PresharedKey,
    /// The tunnel's public host and port, e.g. `vpn.example.org:51821`.
    pub endpoint: String,
    /// The traffic that goes through the tunnel.
    pub routing: Routing,
}

/// Seconds between keepalives. A NAT keeps a UDP mapping for 30 s or more;
/// WireGuard's documentation recommends 25.
pub const KEEPALIVE_SECS: u16 = 25;

impl ClientConfig {
    /// Returns the value of `AllowedIPs`.
    pub fn allowed_ips(&self) -> String {
        match self.routing {
            Routing::Everything => "0.0.0.0/0, ::/0".to_owned(),
            Routing::Network => self.subnet.to_string(),
            Routing::Dns => format!("{}/32", self.gateway),
        }
    }

    /// Returns the text of the file, which `wg-quick(8)` and every WireGuard app accept.
    pub fn render(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "[Interface]\n\
             PrivateKey = {}\n\
             Address = {}/32\n\
             DNS = {}\n\
             \n\
             [Peer]\n\
             PublicKey = {}\n\
             PresharedKey = {}\n\
             AllowedIPs = {}\n\
             Endpoint = {}\n\
             PersistentKeepalive = {KEEPALIVE_SECS}\n",
            *self.private_key.expose(),
            self.address,
            self.gateway,
            self.server_key,
            *self.preshared_key.expose(),
            self.allowed_ips(),
            self.endpoint,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::{AddressPlan, Slot};
    use crate::wgconf;
    use proptest::prelude::*;

    fn config(n: u16, host: u8, routing: Routing, seed: u8) -> ClientConfig {
        let (plan, slot) = (AddressPlan::default(), Slot::new(n).unwrap());
        ClientConfig {
            private_key: PrivateKey::from_random([seed; 32]),
            address: plan.device(slot, host),
            gateway: plan.gateway(slot),
            subnet: plan.subnet(slot),
            server_key: PrivateKey::from_random([seed ^ 0x55; 32]).public(),
            preshared_key: PresharedKey::from_random([seed; 32]),
            endpoint: format!("vpn.example.org:{}", slot.listen_port()),
            routing,
        }
    }

    #[test]
    fn routing_decides_the_allowed_ips() {
        assert_eq!(
            config(1, 2, Routing::Everything, 1).allowed_ips(),
            "0.0.0.0/0, ::/0"
        );
        assert_eq!(
            config(1, 2, Routing::Network, 1).allowed_ips(),
            "10.88.1.0/24"
        );
        assert_eq!(config(1, 2, Routing::Dns, 1).allowed_ips(), "10.88.1.1/32");
    }

    proptest! {
        #[test]
        fn a_rendered_configuration_parses_to_the_same_values(n in 1u16..=1000, host in 2u8..=254, r in 0usize..3, seed: u8) {
            let c = config(n, host, Routing::ALL[r], seed);
            let text = c.render();
            let s = wgconf::parse(&text).unwrap();
            prop_assert_eq!(s.len(), 2);
            prop_assert_eq!((s[0].name.as_str(), s[1].name.as_str()), ("Interface", "Peer"));
            prop_assert_eq!(PrivateKey::parse(s[0].get("PrivateKey").unwrap()).unwrap(), c.private_key.clone());
            prop_assert_eq!(s[0].get("Address").unwrap(), format!("{}/32", c.address));
            prop_assert_eq!(s[0].get("DNS").unwrap(), c.gateway.to_string());
            prop_assert_eq!(PublicKey::parse(s[1].get("PublicKey").unwrap()).unwrap(), c.server_key);
            prop_assert_eq!(PresharedKey::parse(s[1].get("PresharedKey").unwrap()).unwrap(), c.preshared_key.clone());
            prop_assert_eq!(s[1].get("AllowedIPs").unwrap(), c.allowed_ips());
            prop_assert_eq!(s[1].get("Endpoint").unwrap(), c.endpoint.as_str());
        }
    }
}
