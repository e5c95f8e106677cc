//! The plans (tariffs) that a tenant chooses from.

use crate::{Control, failures::store_failure};
use domain::{Failure, Plan};

impl Control {
    /// Returns the plans in the order in which the landing page shows them.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn plans(&self) -> Result<Vec<Plan>, Failure> {
        self.0.store.plans().await.map_err(store_failure)
    }
}
