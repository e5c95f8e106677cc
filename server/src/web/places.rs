//! How much of something one tenant may have at one time, so that a household's
//! open pages are served and a loop of somebody's keeps nobody else waiting.

use domain::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How many each tenant has. Clones count together.
#[derive(Clone, Debug)]
pub struct Places {
    most: usize,
    taken: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// One of them; dropping it makes room.
#[derive(Debug)]
#[must_use]
pub struct Place(Places, TenantId);

impl Places {
    /// So many for each tenant.
    pub fn of(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    /// One for this tenant; `None` where all are taken.
    pub fn take(&self, tenant: TenantId) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(tenant).or_default();
        (*count < self.most).then(|| {
            *count += 1;
            Place(self.clone(), tenant)
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_places_are_bounded_and_make_room_when_they_end() {
        let places = Places::of(20);
        let mut taken: Vec<_> = (0..20).map(|_| places.take(TenantId(1)).unwrap()).collect();
        assert!(places.take(TenantId(1)).is_none());
        assert!(
            places.take(TenantId(2)).is_some(),
            "another tenant has its own"
        );
        taken.pop();
        assert!(places.take(TenantId(1)).is_some());
        taken.clear();
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
