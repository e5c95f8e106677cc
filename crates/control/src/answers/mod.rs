//! The answers of requests that may be repeated with the same key
//! (draft-ietf-httpapi-idempotency-key-header): what was asked for is done once, and every
//! repetition gets the same answer for a day.

use crate::{failures::store_failure, inner::Inner};
use domain::{ErrorCode, Failure, Message};
use store::{AnswerKey, Claim};
use zeroize::Zeroizing;

/// The most characters of a key.
const MAX_KEY: usize = 255;
/// How long an answer is given again.
const ANSWER_MILLIS: i64 = 86_400_000;
/// How long a request may take. A control plane that ends meanwhile leaves the key claimed
/// for so long.
const PENDING_MILLIS: i64 = 90_000;

/// The handle on answers that are given again.
#[derive(Clone, Copy)]
pub struct Answers<'a>(pub(crate) &'a Inner);

/// What the caller does with a request.
#[derive(Debug)]
pub enum Repeat {
    /// It carries the request out, and reports what became of it.
    New(ClaimedKey),
    /// It gives this answer, the one of the first time.
    Answered(Zeroizing<Vec<u8>>),
}

/// A key whose request is being carried out.
#[derive(Debug)]
#[must_use]
pub struct ClaimedKey(AnswerKey);

impl Answers<'_> {
    /// Claims a key that `sender` sent for a request, which is given by its hash.
    ///
    /// # Errors
    /// `BadRequest` for a malformed key, `KeyReused`, `KeyPending`, `TooManyTries`,
    /// `DatabaseUnavailable`.
    pub async fn claim(self, sender: &str, key: &str, request: &str) -> Result<Repeat, Failure> {
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
            let most = MAX_KEY as u64;
            let message = Message::IdempotencyKeyMalformed { most };
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
        let key = AnswerKey::of(sender, key);
        let now = self.0.clock.now();
        self.0.limits.count_claim(sender, now)?;
        let expires = now.plus_millis(PENDING_MILLIS);
        let claim = self.0.store.claim_answer(&key, request, now, expires).await;
        match claim.map_err(store_failure)? {
            Claim::New => Ok(Repeat::New(ClaimedKey(key))),
            Claim::Answered(answer) => Ok(Repeat::Answered(answer)),
            Claim::OtherRequest => {
                let (code, message) = (ErrorCode::KeyReused, Message::IdempotencyKeyReused);
                Err(Failure::new(code, message))
            }
            Claim::Pending => {
                let (code, message) = (ErrorCode::KeyPending, Message::IdempotencyKeyPending);
                Err(Failure::new(code, message))
            }
        }
    }

    /// Stores the answer of a request that was carried out. If that fails, it is logged: the
    /// request is done all the same.
    pub async fn store(self, key: ClaimedKey, answer: &[u8]) {
        let expires = self.0.clock.now().plus_millis(ANSWER_MILLIS);
        if let Err(error) = self.0.store.store_answer(&key.0, answer, expires).await {
            tracing::warn!(?error, "an answer could not be stored for its repetitions");
        }
    }

    /// Gives a key back whose request was refused and changed nothing.
    pub async fn forget(self, key: ClaimedKey) {
        if let Err(error) = self.0.store.forget_answer(&key.0).await {
            tracing::warn!(?error, "a key could not be given back");
        }
    }
}
