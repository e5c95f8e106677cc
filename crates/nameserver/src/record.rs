//! Records of names, as they are set.

use crate::name::DnsName;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// Another name (CNAME).
    Host(DnsName),
}

impl Target {
    /// Parses a host: an address, in brackets or not, or a name.
    pub fn parse(host: &str) -> Option<Self> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Some(Self::V4(address)),
            Ok(IpAddr::V6(address)) => Some(Self::V6(address)),
            Err(_) => DnsName::parse(host).map(Self::Host),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
            Self::Host(name) => name.fmt(f),
        }
    }
}

/// A name and what it leads to; `None` is nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: DnsName,
    pub target: Option<Target>,
}
