//! How many questions may be under way: each has a socket, and one tenant leaves room for
//! the others.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The places of all tenants.
#[derive(Clone)]
pub(crate) struct TenantPlaces {
    of_tenant: usize,
    of_all: usize,
    /// Those that are taken, by the tenant's network.
    taken: Arc<Mutex<HashMap<[u8; 3], usize>>>,
}

/// A place that is taken until it is dropped.
pub(crate) struct TakenPlace {
    places: TenantPlaces,
    tenant: [u8; 3],
}

impl TenantPlaces {
    /// Creates so many places for a tenant, and for all.
    pub(crate) fn new((of_tenant, of_all): (usize, usize)) -> Self {
        Self {
            of_tenant,
            of_all,
            taken: Arc::default(),
        }
    }

    /// Takes a place for a device, or returns `None` where its tenant has all of its own or
    /// there is none left. A tenant's devices share the first three bytes of their addresses.
    pub(crate) fn take(&self, device: Ipv4Addr) -> Option<TakenPlace> {
        let [a, b, c, _] = device.octets();
        let tenant = [a, b, c];
        let mut taken = self.taken();
        if taken.values().sum::<usize>() >= self.of_all {
            return None;
        }
        let own = taken.entry(tenant).or_default();
        if *own >= self.of_tenant {
            return None;
        }
        *own += 1;
        Some(TakenPlace {
            places: self.clone(),
            tenant,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<[u8; 3], usize>> {
        // A count is whole at any time.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(own) = taken.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_own_places_and_no_more() {
        let places = TenantPlaces::new((2, 3));
        let (alice, bob) = (Ipv4Addr::new(10, 88, 1, 2), Ipv4Addr::new(10, 88, 2, 2));
        let ally = Ipv4Addr::new(10, 88, 1, 3);
        let first = places.take(alice).unwrap();
        let _second = places.take(ally).unwrap();
        assert!(places.take(alice).is_none(), "a tenant's devices share");
        let _third = places.take(bob).unwrap();
        assert!(places.take(bob).is_none(), "all are taken");
        drop(first);
        assert!(places.take(bob).is_some());
        drop(places.take(alice));
        assert_eq!(places.taken().len(), 2, "nothing is kept of who left");
    }
}
