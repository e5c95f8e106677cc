//! Who asks.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// The port of DNS.
pub(crate) const DNS: u16 = 53;

/// Returns the IPv4 address of the device with an IPv6 address, if there is one.
pub(crate) type DeviceOf = Arc<dyn Fn(Ipv6Addr) -> Option<Ipv4Addr> + Send + Sync>;
