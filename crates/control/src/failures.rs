//! Turns causes into failures. An unexpected cause is logged under an id, which is
//! an argument of the message, so that support can find the line.

use domain::{ErrorCode, Failure, Message};
use std::{
    fmt::Debug,
    hash::{BuildHasher, RandomState},
};
use store::StoreError;

tokio::task_local! {
    /// The id of the request that is being answered.
    static REQUEST: String;
}

/// Runs the answer to a request, whose incidents have its id.
pub async fn with_incident_id<F: Future>(id: String, answer: F) -> F::Output {
    REQUEST.scope(id, answer).await
}

/// Returns the id of the request that is being answered, by which its lines in the log are
/// found, or eight hex digits where there is none. It is no secret.
pub fn incident_id() -> String {
    let id = REQUEST.try_with(Clone::clone);
    id.unwrap_or_else(|_| format!("{:08x}", RandomState::new().hash_one(0) as u32))
}

/// Logs an unexpected cause under a new id, and returns the failure for the
/// client, whose message is made of the id.
pub fn internal(cause: &dyn Debug, message: impl FnOnce(String) -> Message) -> Failure {
    let id = incident_id();
    tracing::error!(%id, error = ?cause, "a request failed");
    Failure::new(ErrorCode::Internal, message(id))
}

/// Turns an error of the store into a failure. Logs what a client cannot fix.
pub(crate) fn store_failure(e: StoreError) -> Failure {
    let failure = e.failure();
    if failure.code == ErrorCode::Internal {
        return internal(&e, |incident| Message::InternalError { incident });
    }
    if e.is_outage() {
        tracing::error!(error = ?e, "the database failed a request");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_incident_has_the_id_of_its_request() {
        let answer = async { incident_id() };
        let id = with_incident_id("0af7651916cd43dd8448eb211c80319c".to_owned(), answer).await;
        assert_eq!(id, "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(incident_id(), id);
    }

    #[test]
    fn an_unexpected_failure_shows_an_id_and_no_cause() {
        let f = store_failure(StoreError::Corrupt("users.slot of user 7".to_owned()));
        assert_eq!(f.code, ErrorCode::Internal);
        assert!(
            matches!(&f.message, Message::InternalError { incident } if incident.len() == 8),
            "{f}"
        );
        let second = store_failure(StoreError::Corrupt(String::new()));
        assert_ne!(f.message, second.message, "every incident has its own id");
        assert_eq!(store_failure(StoreError::NotFound), Failure::not_found());
    }
}
