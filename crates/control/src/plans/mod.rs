//! The plans (tariffs) that a tenant chooses from.

use crate::{failures::store_failure, inner::Inner};
use domain::{Failure, Plan};

/// The handle on the plans.
#[derive(Clone, Copy)]
pub struct Plans<'a>(pub(crate) &'a Inner);

impl Plans<'_> {
    /// Returns the plans in the order in which the landing page shows them.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn list(self) -> Result<Vec<Plan>, Failure> {
        self.0.store.plans().await.map_err(store_failure)
    }
}
