//! Password hashing: argon2id with OWASP's parameters (Password Storage Cheat
//! Sheet: m = 19 MiB, t = 2, p = 1; the library's default), in a bounded pool.
//! A hash takes 19 MiB and tens of milliseconds of a core. Two at a time and a
//! short queue protect the machine from a flood of sign-ins. Checking how easily
//! a new password is guessed uses the same pool.

use super::password_strength::check_guessable;
use crate::failures::internal;
use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use domain::{ErrorCode, Failure, Message, Secret};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Hashes computed at the same time.
const WORKERS: usize = 2;
/// Requests waiting or being worked on; the next one is refused as `Busy`.
const QUEUE: usize = 64;

/// The cost of AdGuard Home's own hash. Every request to its API pays for it,
/// and the password is 192 random bits, so a higher cost protects nothing.
const DNS_BCRYPT_COST: u32 = 4;

pub(crate) struct Hasher {
    queue: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    /// Verified against when there is no such account, so that the answer takes
    /// as long as for a wrong password.
    decoy_hash: tokio::sync::OnceCell<Secret>,
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self {
            queue: Arc::new(Semaphore::new(QUEUE)),
            workers: Arc::new(Semaphore::new(WORKERS)),
            decoy_hash: tokio::sync::OnceCell::new(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, Failure> {
        let busy = || Failure::new(ErrorCode::Busy, Message::SigningInBusy);
        let _queued = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let permit = self
            .workers
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await
            .map_err(|e| e.to_string())
            .flatten()
            .map_err(|e| internal(&e, |incident| Message::PasswordNotProcessed { incident }))
    }

    /// Checks the strength of a new password of a tenant named `name`.
    pub(crate) async fn check_strength(&self, new: &Secret, name: &str) -> Result<(), Failure> {
        let (new, name) = (new.clone(), name.to_owned());
        self.run(move || Ok(check_guessable(&new, &name))).await?
    }

    /// Returns the hash to store.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret, Failure> {
        let password = password.clone();
        self.run(move || {
            let hash = Argon2::default().hash_password(password.expose().as_bytes());
            hash.map(|h| Secret::new(h.to_string()))
                .map_err(|e| e.to_string())
        })
        .await
    }

    /// Returns whether the password belongs to the hash. Without a hash it takes
    /// as long, and the answer is always no.
    pub(crate) async fn verify(
        &self,
        password: &Secret,
        hash: Option<Secret>,
    ) -> Result<bool, Failure> {
        let is_known = hash.is_some();
        let hash = match hash {
            Some(h) => h,
            None => self
                .decoy_hash
                .get_or_try_init(|| async { self.hash(&Secret::new("nobody")).await })
                .await?
                .clone(),
        };
        let password = password.clone();
        let matches = self
            .run(move || {
                let hash = PasswordHash::new(hash.expose()).map_err(|e| e.to_string())?;
                Ok(Argon2::default()
                    .verify_password(password.expose().as_bytes(), &hash)
                    .is_ok())
            })
            .await?;
        Ok(matches && is_known)
    }

    /// Returns AdGuard Home's hash of its own password.
    pub(crate) async fn dns_hash(&self, password: &Secret) -> Result<String, Failure> {
        let password = password.clone();
        self.run(move || {
            bcrypt::hash(password.expose(), DNS_BCRYPT_COST).map_err(|e| e.to_string())
        })
        .await
    }
}
