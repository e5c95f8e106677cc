//! Whether a new tenant fits, right after this control plane has started: it may not have
//! heard of its workers yet, and that is not "full".

use super::{KnownNode, NodesHandle};
use crate::{failures::store_failure, inner::Inner};
use domain::{ErrorCode, Failure, Message, NodeStanding};
use std::time::Duration;
use store::StoreError;

/// How long after its start a control plane expects workers to connect. A worker tries again
/// after 5 s at most.
const STARTING_MILLIS: i64 = 20_000;
/// How long a sign-up waits for the first of them.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// How often it is looked for one.
const INTERVAL: Duration = Duration::from_millis(100);
/// After how long a visitor may try again.
const RETRY_SECONDS: u64 = 5;

impl NodesHandle<'_> {
    /// Returns whether no node takes a further tenant: pages say so before a visitor
    /// fills a form in. The store decides in the end. Workers that have not connected yet
    /// since the start are not full.
    ///
    /// # Errors
    /// `DatabaseUnavailable`.
    pub async fn is_full(self) -> Result<bool, Failure> {
        let nodes = self.0.known_nodes().await.map_err(store_failure)?;
        let has_room = nodes.iter().any(KnownNode::takes_tenants);
        Ok(!has_room && !is_starting(self.0, &nodes))
    }

    /// Waits until a node takes a further tenant: not at all, unless workers have not
    /// connected yet since the start.
    ///
    /// # Errors
    /// `NodeFull`; `NodesStarting` if none has connected in time; `DatabaseUnavailable`.
    pub(crate) async fn wait_for_room(self) -> Result<(), Failure> {
        let mut waited = Duration::ZERO;
        loop {
            let nodes = self.0.known_nodes().await.map_err(store_failure)?;
            if nodes.iter().any(KnownNode::takes_tenants) {
                return Ok(());
            }
            if !is_starting(self.0, &nodes) {
                return Err(store_failure(StoreError::NodeFull));
            }
            if waited >= MAX_WAIT {
                let seconds = RETRY_SECONDS;
                let message = Message::NodesStarting { seconds };
                return Err(Failure::new(ErrorCode::NodesStarting, message));
            }
            tokio::time::sleep(INTERVAL).await;
            waited += INTERVAL;
        }
    }
}

/// Returns whether an open worker may be about to connect.
fn is_starting(inner: &Inner, nodes: &[KnownNode]) -> bool {
    let is_awaited = |n: &KnownNode| {
        n.record.is_worker() && n.record.standing == NodeStanding::Open && !n.reports
    };
    let age = inner.clock.now().millis_since(inner.started_at);
    age < STARTING_MILLIS && nodes.iter().any(is_awaited)
}
