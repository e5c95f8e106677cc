//! A device's WireGuard configuration. It is rendered only here, so that the QR
//! code, the download, the copied text and the one made in the browser are the same.

use crate::code::ErrorCode;
use crate::failure::{Failure, Field};
use crate::key::{PresharedKey, PrivateKey, PublicKey};
use crate::message::Message;
use crate::routed;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};
use zeroize::Zeroizing;

/// What a device sends through its tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Routing {
    /// All its traffic, IPv6 included: IPv6 enters the tunnel and is dropped
    /// there, because a VPN that leaves IPv6 outside the tunnel leaks it.
    #[default]
    Everything,
    /// All its traffic but that to private and local addresses, which it reaches where it
    /// is: a printer at home stays in reach. The tenant's own network is in the tunnel.
    Internet,
    /// Only traffic to the tenant's own network.
    Network,
    /// Only DNS queries.
    Dns,
}

impl Routing {
    /// Every choice, in the order of the menu.
    pub const ALL: [Routing; 4] = [Self::Everything, Self::Internet, Self::Network, Self::Dns];

    /// Returns the value used in forms and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Internet => "internet",
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

/// What else a device's configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TunnelOptions {
    /// Whether its packets have at most [`SMALL_MTU`] bytes, for a way that loses larger
    /// ones without a word.
    pub small_packets: bool,
    /// Whether no IPv6 is in the file, for a system that refuses a file with IPv6. What
    /// such a device sends over IPv6 does not enter the tunnel.
    pub ipv4_only: bool,
}

/// The MTU of a tunnel with small packets, in bytes: the least that IPv6 allows (RFC 8200,
/// section 5), so every way that carries IPv6 carries it.
pub const SMALL_MTU: u16 = 1280;

/// A device's IPv6 inside the tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientIpv6 {
    /// The device's address.
    pub address: Ipv6Addr,
    /// The tenant's gateway, where DNS answers too.
    pub gateway: Ipv6Addr,
    /// The tenant's network.
    pub subnet: Ipv6Net,
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
    /// What else it says.
    pub options: TunnelOptions,
    /// Its IPv6; `None` where the tunnel has none.
    pub ipv6: Option<ClientIpv6>,
}

/// Seconds between keepalives. A NAT keeps a UDP mapping for 30 s or more;
/// WireGuard's documentation recommends 25.
pub const KEEPALIVE_SECS: u16 = 25;

impl ClientConfig {
    /// Returns the value of `AllowedIPs`. Without IPv6 in the tunnel, what goes through it
    /// by [`Routing::Everything`] and [`Routing::Internet`] is IPv6 too: it would leak else.
    pub fn allowed_ips(&self) -> String {
        let (ipv6, has_ipv6) = (self.ipv6(), !self.options.ipv4_only);
        let mut all: Vec<String> = Vec::new();
        match self.routing {
            Routing::Everything => {
                all.push("0.0.0.0/0".to_owned());
                all.extend(has_ipv6.then(|| "::/0".to_owned()));
            }
            Routing::Internet => {
                all.push(self.subnet.to_string());
                all.extend(routed::internet_v4().iter().map(ToString::to_string));
                all.extend(ipv6.map(|v6| v6.subnet.to_string()));
                if has_ipv6 {
                    all.extend(routed::internet_v6().iter().map(ToString::to_string));
                }
            }
            Routing::Network => {
                all.push(self.subnet.to_string());
                all.extend(ipv6.map(|v6| v6.subnet.to_string()));
            }
            Routing::Dns => {
                all.push(format!("{}/32", self.gateway));
                all.extend(ipv6.map(|v6| format!("{}/128", v6.gateway)));
            }
        }
        all.join(", ")
    }

    /// Returns the value of `Address`.
    pub fn addresses(&self) -> String {
        match self.ipv6() {
            Some(v6) => format!("{}/32, {}/128", self.address, v6.address),
            None => format!("{}/32", self.address),
        }
    }

    /// Returns the value of `DNS`: the gateway's addresses. That of IPv4 is asked first, since
    /// its way to the resolver is the kernel's alone.
    pub fn resolvers(&self) -> String {
        match self.ipv6() {
            Some(v6) => format!("{}, {}", self.gateway, v6.gateway),
            None => self.gateway.to_string(),
        }
    }

    fn ipv6(&self) -> Option<ClientIpv6> {
        self.ipv6.filter(|_| !self.options.ipv4_only)
    }

    /// Returns the text of the file, which `wg-quick(8)` and every WireGuard app accept.
    pub fn render(&self) -> Zeroizing<String> {
        let mtu = match self.options.small_packets {
            true => format!("MTU = {SMALL_MTU}\n"),
            false => String::new(),
        };
        Zeroizing::new(format!(
            "[Interface]\n\
             PrivateKey = {}\n\
             Address = {}\n\
             DNS = {}\n\
             {mtu}\
             \n\
             [Peer]\n\
             PublicKey = {}\n\
             PresharedKey = {}\n\
             AllowedIPs = {}\n\
             Endpoint = {}\n\
             PersistentKeepalive = {KEEPALIVE_SECS}\n",
            *self.private_key.expose(),
            self.addresses(),
            self.resolvers(),
            self.server_key,
            *self.preshared_key.expose(),
            self.allowed_ips(),
            self.endpoint,
        ))
    }
}

#[cfg(test)]
mod tests;
