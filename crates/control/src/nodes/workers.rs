//! The workers' side: who may join, whose certificate is renewed, and whose is admitted.
//! The link to the workers asks; who the other side is, it has checked by then.

use super::{
    NodesHandle,
    certificates::{Certificates, IssuedCertificate, WorkerAccess},
};
use crate::failures::store_failure;
use domain::{ErrorCode, Failure, Message, NodeHost, NodeId, NodeName, Secret, Timestamp};
use protocol::wire::{JoinAnswer, JoinRequest, RenewAnswer, RenewRequest};
use std::sync::Arc;
use store::{AuthorityPem, JoiningNode, StoreError};

/// For how many days after its end a certificate is renewed.
const RENEWAL_DAYS: i64 = 90;
const DAY_MILLIS: i64 = 86_400_000;

/// An error within the transaction of a join.
enum JoinError {
    Store(StoreError),
    Refused(Failure),
}

impl From<StoreError> for JoinError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl NodesHandle<'_> {
    /// Returns the installation's certificate authority, which is made the first time. Of
    /// two processes that make one, both get the one that was stored first.
    ///
    /// # Errors
    /// `WorkersUnavailable`, `DatabaseUnavailable`, `Internal`.
    pub async fn authority(self) -> Result<AuthorityPem, Failure> {
        let (_, certificates) = self.access()?;
        let store = &self.0.store;
        if let Some(stored) = store.authority().await.map_err(store_failure)? {
            return Ok(stored);
        }
        let new = certificates.new_authority(self.0.clock.now())?;
        let stored = store.authority_or_insert(&new).await;
        stored.map_err(store_failure)
    }

    /// Makes a machine with a join token a node, or the node again that the token is for.
    ///
    /// # Errors
    /// `NodeRefused` for the token, `NodeTaken`, `NodeMalformed`, `BadRequest`,
    /// `WorkersUnavailable`, `DatabaseUnavailable`.
    pub async fn join(self, request: JoinRequest) -> Result<JoinAnswer, Failure> {
        let (_, certificates) = self.access()?;
        let authority = self.authority().await?;
        let token = request.token.expose().split_once('_');
        let (token, secret) = token.ok_or_else(|| store_failure(StoreError::JoinTokenUnknown))?;
        let joining = JoiningNode {
            token: token.to_owned(),
            secret: Secret::new(secret),
            name: NodeName::parse(&request.name)?,
            host: NodeHost::parse(&request.host)?,
            version: request.version,
            now: self.0.clock.now(),
        };
        let now = joining.now;
        let issue = |node| {
            let issued = certificates.issue(&authority, &request.csr, node, now);
            let issued = issued.map_err(JoinError::Refused)?;
            Ok((issued.record, issued.pem))
        };
        let joined = self.0.store.join_node(joining, issue).await;
        let (node, certificate) = joined.map_err(|e| match e {
            JoinError::Store(e) => store_failure(e),
            JoinError::Refused(failure) => failure,
        })?;
        tracing::info!(%node, "a worker has joined");
        Ok(JoinAnswer {
            node,
            certificate,
            authority: authority.certificate,
            addresses: self.0.settings.addresses,
        })
    }

    /// Renews a worker's certificate, for the key that it joined with only, and up to 90
    /// days after its end.
    ///
    /// # Errors
    /// `NodeRefused`, `NodeFixed` for a revoked node, `NotFound`, `BadRequest`,
    /// `DatabaseUnavailable`.
    pub async fn renew(self, node: NodeId, request: RenewRequest) -> Result<RenewAnswer, Failure> {
        let (_, certificates) = self.access()?;
        let (store, now) = (&self.0.store, self.0.clock.now());
        let record = store.node(node).await.map_err(store_failure)?;
        let expired = record.certificate_expires.map(|end| now.millis_since(end));
        let days = expired.unwrap_or_default() / DAY_MILLIS;
        if days >= RENEWAL_DAYS {
            let days = days.unsigned_abs();
            let message = Message::RenewalTooLate { days };
            return Err(Failure::new(ErrorCode::NodeRefused, message));
        }
        let authority = self.authority().await?;
        let IssuedCertificate { pem, record } =
            certificates.issue(&authority, &request.csr, node, now)?;
        let renewed = store.renew_certificate(node, &record, now).await;
        renewed.map_err(store_failure)?;
        Ok(RenewAnswer { certificate: pem })
    }

    /// Returns whether a certificate with this serial number may speak for the node: the
    /// node is neither revoked nor removed, and the certificate was not replaced.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn admits(self, node: NodeId, serial: &str) -> Result<bool, Failure> {
        let admitted = self.0.store.admits_certificate(node, serial).await;
        admitted.map_err(store_failure)
    }

    /// Returns the node's generation.
    ///
    /// # Errors
    /// `NotFound`, `DatabaseUnavailable`.
    pub async fn generation(self, node: NodeId) -> Result<u64, Failure> {
        let generation = self.0.store.generation(node).await;
        generation.map_err(store_failure)
    }

    /// Notes that a worker was heard from. A failure is logged: the next time comes soon.
    pub async fn heard(self, node: NodeId, version: &str) {
        let now: Timestamp = self.0.clock.now();
        if let Err(error) = self.0.store.note_heard(node, version, now).await {
            tracing::warn!(%node, ?error, "that a worker was heard from could not be noted");
        }
    }

    /// Returns the address for workers, and how certificates are made.
    pub(super) fn access(self) -> Result<(String, Arc<dyn Certificates>), Failure> {
        let message = match &self.0.workers {
            WorkerAccess::Allowed {
                address,
                certificates,
            } => return Ok((address.clone(), certificates.clone())),
            WorkerAccess::NeedsPostgres => Message::WorkersNeedPostgres,
            WorkerAccess::NoAddress => Message::WorkersNoAddress,
        };
        Err(Failure::new(ErrorCode::WorkersUnavailable, message))
    }
}
