//! From the store's errors to what people read; the cause goes to the log.

use domain::Failure;
use store::StoreError;

/// Turns a store's error into a failure; what people cannot mend is logged.
pub(crate) fn store_failure(e: StoreError) -> Failure {
    let failure = e.failure();
    if failure.code.status() >= 500 {
        tracing::error!(error = ?e, "the database failed a request");
    }
    failure
}
