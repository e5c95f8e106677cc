//! The networks of [`Routing::Internet`](crate::Routing::Internet): all but those that are
//! reached where a device is. A file for WireGuard can only name what goes through the
//! tunnel, so the networks between are computed.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

const fn v4(a: u8, b: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), len)
}

const fn v6(first: u16, len: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0), len)
}

/// What is reached directly: private addresses (RFC 1918), those between a provider and its
/// customers (RFC 6598), link-local ones (RFC 3927), and multicast with all above it
/// (RFC 1112), by which devices at home find each other.
const DIRECT_V4: [Ipv4Net; 6] = [
    v4(10, 0, 8),
    v4(172, 16, 12),
    v4(192, 168, 16),
    v4(100, 64, 10),
    v4(169, 254, 16),
    v4(224, 0, 3),
];

/// Unique local (RFC 4193) and link-local addresses and multicast (RFC 4291).
const DIRECT_V6: [Ipv6Net; 3] = [v6(0xfc00, 7), v6(0xfe80, 10), v6(0xff00, 8)];

static INTERNET_V4: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| without(v4(0, 0, 0).into(), &DIRECT_V4.map(IpNet::from)));
static INTERNET_V6: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| without(v6(0, 0).into(), &DIRECT_V6.map(IpNet::from)));

/// Returns the IPv4 networks of the internet, in order.
pub(crate) fn internet_v4() -> &'static [IpNet] {
    &INTERNET_V4
}

/// Returns the IPv6 networks of the internet, in order.
pub(crate) fn internet_v6() -> &'static [IpNet] {
    &INTERNET_V6
}

/// Returns the fewest networks that together are `net` without `left_out`.
fn without(net: IpNet, left_out: &[IpNet]) -> Vec<IpNet> {
    if left_out.iter().any(|n| n.contains(&net)) {
        return Vec::new();
    }
    let halves = net.subnets(net.prefix_len().saturating_add(1));
    match halves {
        Ok(halves) if left_out.iter().any(|n| net.contains(n)) => {
            halves.flat_map(|half| without(half, left_out)).collect()
        }
        _ => vec![net],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_out_and_what_is_left_are_the_whole() {
        let size =
            |nets: &[IpNet]| -> u64 { nets.iter().map(|n| 1u64 << (32 - n.prefix_len())).sum() };
        let direct = DIRECT_V4.map(IpNet::from);
        assert_eq!(size(internet_v4()) + size(&direct), 1 << 32);
        for left in internet_v4() {
            assert!(
                direct
                    .iter()
                    .all(|d| !d.contains(left) && !left.contains(d))
            );
        }
        assert_eq!(internet_v6().first(), Some(&net("::/1")));
    }

    #[test]
    fn the_fewest_networks_are_left() {
        let left = without(
            net("10.0.0.0/8"),
            &[net("10.128.0.0/10"), net("10.192.0.0/10")],
        );
        assert_eq!(left, [net("10.0.0.0/9")]);
        assert_eq!(without(net("10.0.0.0/8"), &[]), [net("10.0.0.0/8")]);
        assert_eq!(without(net("10.0.0.0/8"), &[net("0.0.0.0/0")]), []);
    }
}
