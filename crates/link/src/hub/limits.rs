//! Who may connect, and how often: a client that has shown no certificate has little of
//! the machine, and none of what is kept for workers.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The most connections in all: five for each of 200 workers.
const MAX_CONNECTIONS: usize = 1024;
/// The most connections without a certificate, including those whose handshake is not
/// over.
const MAX_ANONYMOUS: usize = 64;
/// The most of these from one address.
const MAX_ANONYMOUS_OF_ADDRESS: usize = 16;
/// The most attempts to join from one address within [`JOIN_PERIOD`].
const MAX_JOINS: u32 = 10;
const JOIN_PERIOD: Duration = Duration::from_secs(60);
/// The most addresses whose attempts are counted; others may not join meanwhile.
const MAX_ADDRESSES: usize = 4096;

/// What is counted for one client: an IPv4 address, or an IPv6 network of /64, which is
/// what one client has at least.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[derive(Default)]
struct Counts {
    connections: usize,
    anonymous: usize,
    anonymous_by_client: HashMap<IpAddr, usize>,
    joins: HashMap<IpAddr, (Instant, u32)>,
}

/// The limits for connections. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct ConnectionLimits(Arc<Mutex<Counts>>);

impl ConnectionLimits {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Every change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a new connection; `None` if there is none left.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let client = client(address);
        let mut counts = self.lock();
        if counts.connections >= MAX_CONNECTIONS || counts.anonymous >= MAX_ANONYMOUS {
            return None;
        }
        let of_client = counts.anonymous_by_client.entry(client).or_default();
        if *of_client >= MAX_ANONYMOUS_OF_ADDRESS {
            return None;
        }
        *of_client += 1;
        counts.anonymous += 1;
        counts.connections += 1;
        Some(Place {
            limits: self.clone(),
            anonymous: Some(client),
        })
    }

    /// Counts an attempt to join. Returns the time until the next one may be made, if
    /// this one may not.
    pub fn try_join(&self, address: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let is_over = |begun: &Instant| now.duration_since(*begun) >= JOIN_PERIOD;
        let mut counts = self.lock();
        if counts.joins.len() >= MAX_ADDRESSES {
            counts.joins.retain(|_, (begun, _)| !is_over(begun));
        }
        let client = client(address);
        if counts.joins.len() >= MAX_ADDRESSES && !counts.joins.contains_key(&client) {
            return Err(JOIN_PERIOD);
        }
        let (begun, tries) = counts.joins.entry(client).or_insert((now, 0));
        if is_over(begun) {
            (*begun, *tries) = (now, 0);
        }
        if *tries >= MAX_JOINS {
            return Err(JOIN_PERIOD.saturating_sub(now.duration_since(*begun)));
        }
        *tries += 1;
        Ok(())
    }
}

/// The place of a connection, which is free again when this is dropped.
pub(super) struct Place {
    limits: ConnectionLimits,
    /// The client, while it has shown no certificate.
    anonymous: Option<IpAddr>,
}

impl Place {
    /// Notes that the client has shown a certificate.
    pub fn identify(&mut self) {
        let Some(client) = self.anonymous.take() else {
            return;
        };
        let mut counts = self.limits.lock();
        counts.anonymous = counts.anonymous.saturating_sub(1);
        if let Some(count) = counts.anonymous_by_client.get_mut(&client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.anonymous_by_client.remove(&client);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.identify();
        let mut counts = self.limits.lock();
        counts.connections = counts.connections.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn an_address_has_few_places_without_a_certificate() {
        let limits = ConnectionLimits::default();
        let mut taken: Vec<_> = (0..16).map(|_| limits.take(address(1)).unwrap()).collect();
        assert!(limits.take(address(1)).is_none());
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(limits.take(mapped).is_none(), "the same address");
        assert!(limits.take(address(2)).is_some());
        taken[0].identify();
        let one = limits.take(address(1)).unwrap();
        assert!(limits.take(address(1)).is_none());
        drop(one);
        assert!(limits.take(address(1)).is_some());
        drop(taken);
        assert!(limits.lock().anonymous_by_client.is_empty());
        assert_eq!(limits.lock().connections, 0);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let limits = ConnectionLimits::default();
        let address = |n: u16| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, n, 0, 0, n));
        let _taken: Vec<_> = (0..16).map(|n| limits.take(address(n)).unwrap()).collect();
        assert!(limits.take(address(99)).is_none());
    }

    #[test]
    fn all_together_have_a_bound() {
        let limits = ConnectionLimits::default();
        let anonymous: Vec<_> = (0..64).map(|n| limits.take(address(n)).unwrap()).collect();
        assert!(limits.take(address(200)).is_none());
        drop(anonymous);
        let mut workers = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut place = limits.take(address(1)).unwrap();
            place.identify();
            workers.push(place);
        }
        assert!(limits.take(address(2)).is_none());
        workers.pop();
        assert!(limits.take(address(2)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_joins_ten_times_a_minute() {
        let limits = ConnectionLimits::default();
        (0..10).for_each(|_| limits.try_join(address(1)).unwrap());
        assert_eq!(limits.try_join(address(1)), Err(JOIN_PERIOD));
        limits.try_join(address(2)).unwrap();
        tokio::time::advance(JOIN_PERIOD).await;
        limits.try_join(address(1)).unwrap();
    }
}
