//! The proof that the holder of an account is present, as a value that calls take.

use domain::{ErrorCode, Failure, Message, Timestamp};

/// How long a proof holds.
const PRESENCE_MILLIS: i64 = 600_000;

/// A proof that the holder of an account is present. `Account` makes one, where the password was
/// given in the last ten minutes.
#[derive(Clone, Copy, Debug)]
pub struct Presence(());

impl Presence {
    /// Returns the proof. The caller must have checked it.
    pub(crate) const fn proved() -> Self {
        Self(())
    }

    /// Returns until when a proof of that time holds.
    pub(crate) const fn until(at: Timestamp) -> Timestamp {
        at.plus_millis(PRESENCE_MILLIS)
    }
}

/// Returns the failure of an act that needs a proof of presence.
pub(crate) fn presence_needed() -> Failure {
    Failure::new(ErrorCode::PresenceNeeded, Message::PresenceNeeded)
}
