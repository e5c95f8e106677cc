//! Credentials as they were read last. A request that changes nothing need not read its own
//! where nothing that is stored has changed since.
//!
//! What this process writes counts at once ([`store::Store::writes`]). What is written
//! elsewhere, by another control plane or by hand, counts after [`MAX_AGE`] at the latest: so
//! long is a credential known after it was read, or after any other was read that found the
//! database in the same state ([`DatabaseState`]). SQLite tells no state.

use domain::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use store::{CredentialRecord, DatabaseState};

/// How long what is written elsewhere may not be noticed.
pub(crate) const MAX_AGE: Duration = Duration::from_millis(20);
/// How long a credential is known without being read itself: a bound whatever happens.
const LONGEST: Duration = Duration::from_secs(10);
/// The most credentials that are known.
const MAX_KEPT: usize = 1_000;

/// When something was read: before its statement was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadAt {
    /// How often this process had written.
    pub writes: u64,
    pub begun: Instant,
}

#[derive(Default)]
pub(crate) struct KnownCredentials(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The state that was read last.
    state: Option<DatabaseState>,
    /// Rises with each other state: one that comes again after a failover is another one.
    epoch: u64,
    /// When the read began that found the state.
    begun: Option<Instant>,
    credentials: HashMap<String, KnownCredential>,
}

struct KnownCredential {
    record: Arc<CredentialRecord>,
    at: ReadAt,
    /// Of the state that it was read in; `None` where that is not known.
    epoch: Option<u64>,
}

impl Known {
    /// Returns whether nothing of the credential has changed, up to [`MAX_AGE`] ago.
    fn is_current(&self, known: &KnownCredential, now: ReadAt) -> bool {
        let age = |begun| now.begun.saturating_duration_since(begun);
        let is_confirmed = || {
            let confirmed = self.begun.is_some_and(|begun| age(begun) < MAX_AGE);
            confirmed && known.epoch == Some(self.epoch) && age(known.at.begun) < LONGEST
        };
        known.at.writes == now.writes && (age(known.at.begun) < MAX_AGE || is_confirmed())
    }

    /// Notes a state. Returns its epoch, if it is the newest one.
    fn note(&mut self, state: Option<DatabaseState>, begun: Instant) -> Option<u64> {
        let state = Some(state?);
        let is_newest = self.begun.is_none_or(|newest| newest <= begun);
        if is_newest {
            self.begun = Some(begun);
            if self.state != state {
                self.epoch += 1;
                self.state = state;
            }
            return Some(self.epoch);
        }
        (self.state == state).then_some(self.epoch)
    }
}

impl KnownCredentials {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a credential that has not expired, where it need not be read.
    pub(super) fn get(
        &self,
        id: &str,
        now: ReadAt,
        time: Timestamp,
    ) -> Option<Arc<CredentialRecord>> {
        let known = self.known();
        let found = known.credentials.get(id)?;
        let is_valid = known.is_current(found, now) && found.record.expires_at > time;
        is_valid.then(|| found.record.clone())
    }

    /// Keeps a valid credential that was read.
    pub(super) fn keep(
        &self,
        record: &Arc<CredentialRecord>,
        state: Option<DatabaseState>,
        at: ReadAt,
    ) {
        let mut known = self.known();
        let epoch = known.note(state, at.begun);
        if known.credentials.len() >= MAX_KEPT && !known.credentials.contains_key(&record.id) {
            let is_recent = |k: &KnownCredential| {
                let age = at.begun.saturating_duration_since(k.at.begun);
                age < LONGEST && k.at.writes == at.writes
            };
            known.credentials.retain(|_, k| is_recent(k));
            // Where it is full, a credential is read with each request.
            if known.credentials.len() >= MAX_KEPT {
                return;
            }
        }
        let record = record.clone();
        let id = record.id.clone();
        let kept = KnownCredential { record, at, epoch };
        known.credentials.insert(id, kept);
    }

    /// Forgets a credential that is not valid any more.
    pub(super) fn forget(&self, id: &str) {
        self.known().credentials.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Access, Secret, TenantId};
    use store::{CredentialKind, TicketHolder, TokenHash};

    const EXPIRES: Timestamp = Timestamp(1_000);
    const NOW: Timestamp = Timestamp(0);

    fn record(id: &str) -> Arc<CredentialRecord> {
        Arc::new(CredentialRecord {
            id: id.to_owned(),
            kind: CredentialKind::Session,
            holder: TicketHolder::Tenant(TenantId(1)),
            holder_name: "lina".to_owned(),
            holder_password_hash: Secret::new("hash"),
            holder_role: None,
            holder_has_factor: false,
            is_suspended: false,
            is_asleep: false,
            revision: None,
            name: String::new(),
            secret: TokenHash::of(&Secret::new(id)),
            access: Access::Read,
            proof: String::new(),
            created_at: NOW,
            expires_at: EXPIRES,
            used_at: None,
        })
    }

    struct Times(Instant);

    impl Times {
        fn at(&self, millis: u64, writes: u64) -> ReadAt {
            ReadAt {
                writes,
                begun: self.0 + Duration::from_millis(millis),
            }
        }
    }

    fn state(text: &str) -> Option<DatabaseState> {
        Some(DatabaseState::new(text.to_owned()))
    }

    #[test]
    fn a_credential_is_known_until_something_is_written_here() {
        let (known, times) = (KnownCredentials::default(), Times(Instant::now()));
        known.keep(&record("a"), None, times.at(0, 7));
        assert!(known.get("a", times.at(19, 7), NOW).is_some());
        assert!(known.get("a", times.at(19, 8), NOW).is_none());
        assert!(known.get("a", times.at(20, 7), NOW).is_none(), "elsewhere");
        assert!(known.get("a", times.at(0, 7), EXPIRES).is_none());
        assert!(known.get("b", times.at(0, 7), NOW).is_none());
        known.forget("a");
        assert!(known.get("a", times.at(0, 7), NOW).is_none());
    }

    #[test]
    fn another_read_of_the_same_state_confirms_all() {
        let (known, times) = (KnownCredentials::default(), Times(Instant::now()));
        known.keep(&record("a"), state("1:1:"), times.at(0, 0));
        for n in 1..10 {
            known.keep(&record("b"), state("1:1:"), times.at(n * 15, 0));
            assert!(known.get("a", times.at(n * 15 + 19, 0), NOW).is_some());
            assert!(known.get("a", times.at(n * 15 + 20, 0), NOW).is_none());
        }
        known.keep(&record("b"), state("2:2:"), times.at(150, 0));
        assert!(known.get("a", times.at(150, 0), NOW).is_none());
        // A state that comes again is another one, and an older read tells nothing newer.
        known.keep(&record("b"), state("1:1:"), times.at(151, 0));
        assert!(known.get("a", times.at(151, 0), NOW).is_none());
        known.keep(&record("c"), state("2:2:"), times.at(140, 0));
        assert!(known.get("b", times.at(165, 0), NOW).is_some());
        assert!(known.get("c", times.at(159, 0), NOW).is_some());
        assert!(known.get("c", times.at(165, 0), NOW).is_none());
    }

    #[test]
    fn a_credential_is_read_itself_now_and_then() {
        let (known, times) = (KnownCredentials::default(), Times(Instant::now()));
        known.keep(&record("a"), state("1:1:"), times.at(0, 0));
        known.keep(&record("b"), state("1:1:"), times.at(9_990, 0));
        assert!(known.get("a", times.at(9_995, 0), NOW).is_some());
        assert!(known.get("a", times.at(10_000, 0), NOW).is_none());
    }

    #[test]
    fn the_number_of_credentials_is_bounded() {
        let (known, times) = (KnownCredentials::default(), Times(Instant::now()));
        for n in 0..MAX_KEPT + 10 {
            known.keep(&record(&n.to_string()), None, times.at(0, 0));
        }
        assert_eq!(known.known().credentials.len(), MAX_KEPT);
        known.keep(&record("new"), None, times.at(0, 1));
        assert_eq!(known.known().credentials.len(), 1);
    }
}
