//! What the hub asks of the control plane's database.

use async_trait::async_trait;
use domain::{NodeId, Problem};
use protocol::{
    SpecFeed,
    wire::{JoinAnswer, JoinRequest, RenewAnswer, RenewRequest},
};
use std::sync::Arc;

/// The nodes that the installation knows, and what is stored of them.
#[async_trait]
pub trait Registry: Send + Sync + 'static {
    /// Makes a node of a machine that shows a join token.
    ///
    /// # Errors
    /// Why it may not join.
    async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Problem>;

    /// Renews the certificate of a node whose present one is admitted.
    ///
    /// # Errors
    /// Why it is not renewed.
    async fn renew(&self, node: NodeId, request: RenewRequest) -> Result<RenewAnswer, Problem>;

    /// Returns whether a certificate with this serial number (hexadecimal) may still
    /// speak for the node. Asked at each connection and at each request.
    ///
    /// # Errors
    /// Why that is not known.
    async fn admits(&self, node: NodeId, serial: &str) -> Result<bool, Problem>;

    /// Returns what the node's spec is loaded from. Asked once for each node.
    fn feed(&self, node: NodeId) -> Arc<dyn SpecFeed>;

    /// Returns the generation of the node's spec. Asked every few seconds.
    ///
    /// # Errors
    /// Why that is not known.
    async fn generation(&self, node: NodeId) -> Result<u64, Problem>;

    /// Returns the addresses of all control planes that were heard lately, this one
    /// included, such as `https://10.0.0.2:8443`; none where they are not known. Asked at
    /// each answer and once a second while a worker waits, so it makes no query.
    fn control_planes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Stores that the node was heard now, and the version of its program. Called when
    /// a node connects, and at most every 20 s while it does.
    async fn heard(&self, node: NodeId, version: &str);
}
