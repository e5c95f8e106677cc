//! Password hashing: argon2id with OWASP's parameters (Password Storage Cheat
//! Sheet: m = 19 MiB, t = 2, p = 1; the library's default), in a bounded pool.
//! A hash takes 19 MiB and tens of milliseconds of a core: two at a time, and
//! a short queue, keep a flood of sign-ins from taking the machine. Judging how
//! easily a new password is guessed goes through the same pool.

use crate::{failures::internal, password};
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use domain::{ErrorCode, Failure, Secret};
use std::sync::Arc;
use tokio::sync::Semaphore;

const AT_ONCE: usize = 2;
const QUEUE: usize = 64;

/// The cost of AdGuard Home's own hash: every request to its API pays for it,
/// and the password is 192 random bits, so a higher cost protects nothing.
const DNS_BCRYPT_COST: u32 = 4;

pub(crate) struct Hasher {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// Verified against where there is no such account, so that the answer
    /// takes as long as for a wrong password.
    nobody: tokio::sync::OnceCell<Secret>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(QUEUE)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: tokio::sync::OnceCell::new(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, Failure> {
        let busy = || {
            Failure::new(
                ErrorCode::Busy,
                "Many people are signing in right now. Try again in a few seconds.",
            )
        };
        let _place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let turn = self
            .turns
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await
            .map_err(|e| e.to_string())
            .flatten()
            .map_err(|e| internal(&e, "The password could not be processed. Try again."))
    }

    /// Judges a new password of somebody named `name`: takes milliseconds of a
    /// core, so it waits for its turn like a hash.
    pub(crate) async fn judge(&self, new: &Secret, name: &str) -> Result<(), Failure> {
        let (new, name) = (new.clone(), name.to_owned());
        self.run(move || Ok(password::check_guessable(&new, &name)))
            .await?
    }

    /// A hash to store.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, Failure> {
        let password = password.clone();
        self.run(move || {
            let hash = Argon2::default().hash_password(password.expose().as_bytes());
            hash.map(|h| Secret::new(h.to_string()))
                .map_err(|e| e.to_string())
        })
        .await
    }

    /// Whether the password belongs to the hash; without a hash it takes as
    /// long and is always no.
    pub(crate) async fn verify(
        &self,
        password: &Secret,
        hash: Option<Secret>,
    ) -> Result<bool, Failure> {
        let known = hash.is_some();
        let hash = match hash {
            Some(h) => h,
            None => self
                .nobody
                .get_or_try_init(|| async { self.hash(&Secret::new("nobody")).await })
                .await?
                .clone(),
        };
        let password = password.clone();
        let fits = self
            .run(move || {
                let hash = PasswordHash::new(hash.expose()).map_err(|e| e.to_string())?;
                Ok(Argon2::default()
                    .verify_password(password.expose().as_bytes(), &hash)
                    .is_ok())
            })
            .await?;
        Ok(fits && known)
    }

    /// AdGuard Home's hash of its own password.
    pub(crate) async fn dns_hash(&self, password: &Secret) -> Result<String, Failure> {
        let password = password.clone();
        self.run(move || {
            bcrypt::hash(password.expose(), DNS_BCRYPT_COST).map_err(|e| e.to_string())
        })
        .await
    }
}
