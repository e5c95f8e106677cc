//! From causes to what people read. What we did not foresee goes to the log
//! under an id, and the sentence ends with it: who asks for help quotes it.

use domain::{ErrorCode, Failure};
use std::{
    fmt::Debug,
    hash::{BuildHasher, RandomState},
};
use store::StoreError;

/// Eight letters that are enough to find a line in a log. Not a secret.
pub fn incident_id() -> String {
    format!("{:08x}", RandomState::new().hash_one(0) as u32)
}

/// A failure nobody foresaw: logs the cause under a new id, which the sentence
/// ends with.
pub fn internal(cause: &dyn Debug, sentence: &str) -> Failure {
    let id = incident_id();
    tracing::error!(%id, error = ?cause, "a request failed");
    Failure::new(ErrorCode::Internal, format!("{sentence} Quote {id}."))
}

/// Turns a store's error into a failure; what people cannot mend is logged.
pub(crate) fn store_failure(e: StoreError) -> Failure {
    let failure = e.failure();
    if failure.code == ErrorCode::Internal {
        return internal(&e, &failure.sentence);
    }
    if failure.code.status() >= 500 {
        tracing::error!(error = ?e, "the database failed a request");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_foresaw_ends_with_an_id_and_tells_no_cause() {
        let f = store_failure(StoreError::Corrupt("users.slot of user 7".to_owned()));
        assert_eq!(f.code, ErrorCode::Internal);
        let id = f.sentence.rsplit("Quote ").next().unwrap_or_default();
        assert!(id.len() == 9 && id.ends_with('.'), "{f}");
        assert!(!f.sentence.contains("users.slot"), "{f}");
        let again = store_failure(StoreError::Corrupt(String::new()));
        assert_ne!(f.sentence, again.sentence, "every incident has its own");
        assert_eq!(store_failure(StoreError::NotFound), Failure::not_found());
    }
}
