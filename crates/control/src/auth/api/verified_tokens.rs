//! Access tokens whose signature was found right, so that the next requests with the same token
//! do not verify it again: that takes longer than all else of a short request. A token's claims
//! never change, and its credential is read with every request all the same.

use super::read_token::ReadToken;
use domain::Timestamp;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most tokens that are kept. One is kept for 15 minutes at most.
const MAX_KEPT: usize = 4_096;

/// The SHA-256 of a token, so that no usable token lies in memory.
type TokenDigest = [u8; 32];

/// The tokens that were verified and have not expired. A token of the time before a restart is
/// verified again.
#[derive(Default)]
pub(crate) struct VerifiedTokens(Mutex<HashMap<TokenDigest, ReadToken>>);

impl VerifiedTokens {
    fn kept(&self) -> MutexGuard<'_, HashMap<TokenDigest, ReadToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what a token says, if it was verified. It may have expired since.
    pub(super) fn get(&self, token: &str) -> Option<ReadToken> {
        self.kept().get(&digest(token)).cloned()
    }

    /// Keeps what a token says whose signature is right.
    pub(super) fn keep(&self, token: &str, read: ReadToken, now: Timestamp) {
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, read| !read.has_expired(now));
        }
        // Where it is full, a token is verified with each request as before.
        if kept.len() < MAX_KEPT {
            kept.insert(digest(token), read);
        }
    }
}

fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(expires_secs: i64) -> ReadToken {
        ReadToken::new("a".to_owned(), "tenant:1".to_owned(), expires_secs)
    }

    #[test]
    fn a_token_is_found_by_all_of_its_bytes_alone() {
        let verified = VerifiedTokens::default();
        verified.keep("head.claims.signature", read(100), Timestamp(0));
        assert!(verified.get("head.claims.signature").is_some());
        for other in ["head.claims.signaturf", "head.claims.", "head.claims", ""] {
            assert!(verified.get(other).is_none(), "{other}");
        }
    }

    #[test]
    fn the_number_of_tokens_is_bounded_and_expired_ones_make_room() {
        let verified = VerifiedTokens::default();
        for n in 0..MAX_KEPT + 10 {
            verified.keep(&n.to_string(), read(100), Timestamp(0));
        }
        assert_eq!(verified.kept().len(), MAX_KEPT);
        assert!(verified.get(&MAX_KEPT.to_string()).is_none());
        verified.keep("new", read(300), Timestamp(100_000));
        assert!(verified.get("new").is_some());
        assert_eq!(verified.kept().len(), 1);
    }
}
