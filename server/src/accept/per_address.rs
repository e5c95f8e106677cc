//! Counts the open connections of each client address, so that one client cannot have
//! all that the server accepts.
//!
//! A connection above the limit is closed, and not the oldest one of that address:
//! which of them is idle is known only to hyper, the closed one might just be sending
//! a request, and behind one address there may be several people, of whom the one who
//! came first would lose to the one who asks more often. What idles ends by itself,
//! within the time for a request's head.

use ipnet::IpNet;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// Who counts as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    V4(Ipv4Addr),
    /// The first 64 bits: a network at home has a /64 of addresses.
    V6(u64),
}

impl Client {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

type Counts = Arc<Mutex<HashMap<Client, usize>>>;

/// The open connections of each client. There are at most as many clients as
/// connections are accepted.
#[derive(Debug)]
pub(super) struct OpenConnections {
    limit: usize,
    unlimited: Vec<IpNet>,
    open: Counts,
}

impl OpenConnections {
    /// Starts without connections. Addresses in `unlimited` have no limit.
    pub(super) fn new(limit: usize, unlimited: Vec<IpNet>) -> Self {
        Self {
            limit,
            unlimited,
            open: Arc::default(),
        }
    }

    /// Counts a connection of a client until the result is dropped. Returns `None` if
    /// the client has as many as it may.
    pub(super) fn add(&self, address: IpAddr) -> Option<Counted> {
        let address = address.to_canonical();
        if self.unlimited.iter().any(|net| net.contains(&address)) {
            return Some(Counted(None));
        }
        let client = Client::of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&client).copied().unwrap_or(0);
        if count >= self.limit {
            return None;
        }
        open.insert(client, count + 1);
        Some(Counted(Some((client, self.open.clone()))))
    }
}

/// A connection that is counted. It is not, if it belongs to an unlimited client.
#[derive(Debug)]
pub(super) struct Counted(Option<(Client, Counts)>);

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((client, open)) = self.0.take() else {
            return;
        };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(&client).map_or(0, |count| count.saturating_sub(1));
        match left {
            0 => drop(open.remove(&client)),
            left => drop(open.insert(client, left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_no_more_than_its_limit() {
        let open = OpenConnections::new(2, vec![]);
        let mut counted: Vec<_> = (0..2).map(|_| open.add(at("192.0.2.1")).unwrap()).collect();
        assert!(open.add(at("192.0.2.1")).is_none());
        assert!(open.add(at("::ffff:192.0.2.1")).is_none(), "the same one");
        assert!(open.add(at("192.0.2.2")).is_some());
        counted.pop();
        assert!(open.add(at("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let open = OpenConnections::new(1, vec![]);
        let _first = open.add(at("2001:db8::1")).unwrap();
        assert!(open.add(at("2001:db8::ffff:1")).is_none());
        assert!(open.add(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_has_no_limit() {
        let nets = vec!["127.0.0.1/32".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let open = OpenConnections::new(0, nets);
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "fd00::7"] {
            assert!(open.add(at(address)).is_some(), "{address}");
        }
        assert!(open.add(at("127.0.0.2")).is_none());
    }

    #[test]
    fn clients_without_connections_take_no_memory() {
        let open = OpenConnections::new(2, vec![]);
        for n in 0..10_000_u32 {
            let address = IpAddr::V4(Ipv4Addr::from(n));
            let _counted = open.add(address).unwrap();
        }
        assert!(open.open.lock().unwrap().is_empty());
        let refusing = OpenConnections::new(0, vec![]);
        assert!(refusing.add(at("192.0.2.1")).is_none());
        assert!(refusing.open.lock().unwrap().is_empty());
    }
}
