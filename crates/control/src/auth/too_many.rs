//! What a client reads that has tried too often.

use domain::{ErrorCode, Failure, Message};

/// Returns the failure that says how long to wait.
pub(crate) fn too_many(wait_millis: i64) -> Failure {
    let secs = (wait_millis + 999) / 1000;
    let seconds = secs.unsigned_abs();
    let message = if secs > 90 {
        Message::TooManyTriesMinutes {
            minutes: seconds.div_ceil(60),
        }
    } else {
        Message::TooManyTries { seconds }
    };
    Failure::new(ErrorCode::TooManyTries, message)
}
