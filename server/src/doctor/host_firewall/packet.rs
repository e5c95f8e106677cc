//! The packet that is followed: the first one of a device, from the internet.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Whether a condition holds of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// It is not understood, or depends on what is not known.
    Perhaps,
}

impl Truth {
    pub(super) const fn of(holds: bool) -> Self {
        match holds {
            true => Truth::Yes,
            false => Truth::No,
        }
    }

    /// Returns whether both hold.
    pub(super) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Truth::No, _) | (_, Truth::No) => Truth::No,
            (Truth::Yes, Truth::Yes) => Truth::Yes,
            _ => Truth::Perhaps,
        }
    }

    /// Returns whether it does not hold, where `negated`.
    pub(super) const fn negated(self, negated: bool) -> Self {
        match (self, negated) {
            (Truth::Yes, true) => Truth::No,
            (Truth::No, true) => Truth::Yes,
            (truth, _) => truth,
        }
    }
}

/// A UDP packet over IPv4 that begins a connection.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub port: u16,
    /// The link that it comes by; empty where none leads to the internet.
    pub link: String,
    /// The address of this host that it is for; `None` where it has none.
    pub to: Option<Ipv4Addr>,
}

impl Packet {
    /// The sender: an address of no host (RFC 5737), which stands for all of them.
    pub(super) const FROM: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);

    /// The port that it comes from: any of those that systems choose.
    pub(super) const FROM_PORT: u16 = 40_000;

    /// Returns the packet to a port of this host.
    pub(super) fn to_port(port: u16) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
        let to = socket.and_then(|socket| {
            socket.connect((Self::FROM, 9))?;
            socket.local_addr()
        });
        let to = match to.map(|address| address.ip()) {
            Ok(IpAddr::V4(to)) if !to.is_unspecified() => Some(to),
            _ => None,
        };
        let link = super::super::network::uplink().unwrap_or_default();
        Self { port, link, to }
    }

    /// Returns whether it comes by a link of this name; a `*` or `+` at the end stands for
    /// any rest.
    pub(super) fn comes_by(&self, link: &str) -> Truth {
        if self.link.is_empty() {
            return Truth::of(link != "lo").and(Truth::Perhaps);
        }
        match link.strip_suffix(['*', '+']) {
            Some(start) => Truth::of(self.link.starts_with(start)),
            None => Truth::of(self.link == link),
        }
    }
}
