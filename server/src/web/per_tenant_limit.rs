//! A limit on what one tenant uses at the same time, so that one tenant's open
//! pages or scripts do not make other tenants wait.

use domain::TenantId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts the permits of each tenant. Clones share the counts.
#[derive(Clone, Debug)]
pub struct PerTenantLimit {
    max: usize,
    used: Arc<Mutex<HashMap<TenantId, usize>>>,
}

/// One use; dropping it frees it.
#[derive(Debug)]
#[must_use]
pub struct Permit(PerTenantLimit, TenantId);

impl PerTenantLimit {
    /// Allows `max` permits for each tenant.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            used: Arc::default(),
        }
    }

    /// Returns a permit for this tenant, or `None` where all are in use.
    pub fn try_acquire(&self, tenant: TenantId) -> Option<Permit> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let count = used.entry(tenant).or_default();
        (*count < self.max).then(|| {
            *count += 1;
            Permit(self.clone(), tenant)
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = used.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                used.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_can_be_acquired_again() {
        let limit = PerTenantLimit::new(20);
        let mut permits: Vec<_> = (0..20)
            .map(|_| limit.try_acquire(TenantId(1)).unwrap())
            .collect();
        assert!(limit.try_acquire(TenantId(1)).is_none());
        assert!(
            limit.try_acquire(TenantId(2)).is_some(),
            "another tenant has its own permits"
        );
        permits.pop();
        assert!(limit.try_acquire(TenantId(1)).is_some());
        permits.clear();
        assert!(limit.used.lock().unwrap().is_empty());
    }
}
