//! The renewal of a worker's certificate: at half of its life, and when it has expired.
//! What runs goes on whatever becomes of it.

use super::{
    address::ControlPlane,
    control_planes::Cursor,
    credentials::{Credentials, Identity},
    error::LinkError,
    requests::Connection,
    retry,
};
use async_trait::async_trait;
use http::Method;
use pki::NodeKey;
use protocol::wire::{MAX_REQUEST_BYTES, RENEW, REQUESTS, RenewAnswer, RenewRequest};
use std::{io, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Half of a certificate's life of 30 days, in milliseconds.
pub const RENEWAL_MILLIS: i64 = 15 * domain::time::DAY_MILLIS;
/// How often the certificate's date is compared with the clock, which may be set.
const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// Before a failed renewal is tried again, in milliseconds.
const RETRY: std::ops::Range<u64> = 60_000..120_000;
/// Before a certificate that could not be stored is stored again, in milliseconds.
const STORE_RETRY: std::ops::Range<u64> = 10_000..20_000;
/// The least time between renewals that a refusal asks for: what is refused for another
/// reason is not helped by a renewal.
const AFTER_REFUSAL: Duration = Duration::from_secs(300);

/// Where the worker's identity is stored.
#[async_trait]
pub trait IdentityStore: Send + Sync + 'static {
    /// Replaces the stored identity in one step, and durably: the one before may be of no
    /// more use.
    ///
    /// # Errors
    /// The error of the disk.
    async fn store(&self, identity: &Identity) -> io::Result<()>;

    /// Stores the addresses of the control planes that were listed last. A worker that does
    /// not store them learns them again from one that the operator named.
    ///
    /// # Errors
    /// The error of the disk.
    async fn store_control_planes(&self, _listed: &[ControlPlane]) -> io::Result<()> {
        Ok(())
    }

    /// Returns the addresses that were stored last; none if they cannot be read.
    fn stored_control_planes(&self) -> Vec<ControlPlane> {
        Vec::new()
    }
}

/// What the renewal works with.
pub(super) struct Renewal {
    pub credentials: Arc<Credentials>,
    pub control_planes: Cursor,
    pub store: Arc<dyn IdentityStore>,
    pub version: String,
    /// A control plane has refused the certificate.
    pub refused: Arc<Notify>,
}

impl Renewal {
    /// Renews the certificate whenever it is due, forever.
    pub async fn run(mut self) {
        loop {
            if !self.is_due() {
                tokio::select! {
                    () = tokio::time::sleep(CHECK_INTERVAL) => continue,
                    () = self.refused.notified() => {}
                }
            }
            match self.renew().await {
                Ok(identity) => {
                    self.control_planes.note_success();
                    self.store(&identity).await;
                }
                Err(e) => {
                    tracing::warn!(error = %e, cause = ?e, "the certificate could not be renewed; it is tried again");
                    self.control_planes.next();
                    retry::pause(RETRY).await;
                    continue;
                }
            }
            // By a clock that is far off, a new certificate is due as well.
            tokio::time::sleep(AFTER_REFUSAL).await;
        }
    }

    fn is_due(&self) -> bool {
        match self.credentials.remaining_millis() {
            Ok(remaining) => remaining < RENEWAL_MILLIS,
            Err(e) => {
                tracing::error!(error = %e, "the certificate cannot be read");
                true
            }
        }
    }

    async fn renew(&self) -> Result<Identity, LinkError> {
        let identity = self.credentials.identity();
        let key = NodeKey::from_pem(&identity.key)?;
        let request = RenewRequest {
            csr: key.csr()?,
            version: self.version.clone(),
        };
        let unusable = |e: serde_json::Error| LinkError::Answer {
            address: self.control_planes.current().to_string(),
            reason: e.to_string(),
        };
        let body = serde_json::to_vec(&request).map_err(unusable)?;
        let tls = self.credentials.tls(REQUESTS)?;
        let mut connection = Connection::open(self.control_planes.current(), tls).await?;
        let post = Connection::request(Method::POST, RENEW);
        let asking = connection.ask(post, body, Duration::ZERO, MAX_REQUEST_BYTES);
        let answer = asking.await?;
        let answer: RenewAnswer = serde_json::from_slice(&answer.body).map_err(unusable)?;
        Ok(self.credentials.renew(answer.certificate)?)
    }

    /// Stores the new certificate. The one on the disk may be of no more use, so it is
    /// tried until it works; connections use the new one already.
    async fn store(&self, identity: &Identity) {
        while let Err(e) = self.store.store(identity).await {
            tracing::error!(error = %e, "the renewed certificate cannot be stored; it is tried again");
            retry::pause(STORE_RETRY).await;
        }
        tracing::info!("the certificate was renewed");
    }
}
