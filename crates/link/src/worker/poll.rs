//! The poll loop: asks a control plane for the spec, waits for a change, and asks again.
//! It never gives up, and what it has received stays whatever happens.

use super::{
    credentials::Credentials,
    error::LinkError,
    feed::RemoteFeed,
    requests::{Answer, Connection},
    retry::{self, RECONNECT},
    targets::Targets,
};
use domain::NodeId;
use http::{Method, StatusCode};
use protocol::{
    Nodes,
    wire::{INSTANCE, MAX_SPEC_BYTES, POLL_TIME, REQUESTS, SPEC, SpecQuery, SpecUpdate},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// An answer that says nothing new takes at least this long; a control plane that answers
/// at once all the time is asked no more often.
const LEAST: Duration = Duration::from_secs(1);
/// Before a spec that cannot be used is asked for again, in milliseconds.
const UNUSABLE: std::ops::Range<u64> = 5000..30_000;

/// What the loop works with.
pub(super) struct Poller {
    pub node: NodeId,
    pub credentials: Arc<Credentials>,
    pub targets: Targets,
    pub feed: Arc<RemoteFeed>,
    pub nodes: Arc<dyn Nodes>,
    /// What this process calls itself.
    pub instance: String,
    /// Wakes the renewal of the certificate.
    pub refused: Arc<Notify>,
}

/// What an answer brought.
enum Outcome {
    New,
    Nothing,
    /// The next query asks for everything.
    Misfit,
}

impl Poller {
    /// Polls forever.
    pub async fn run(mut self) {
        let mut connection = None;
        let mut was_lost = false;
        loop {
            let begun = Instant::now();
            match self.poll(&mut connection).await {
                Ok(outcome) => {
                    if std::mem::take(&mut was_lost) {
                        tracing::info!(control_plane = %self.targets.current(), "the control plane answers again");
                    }
                    match outcome {
                        Outcome::New => self.nodes.nudge(self.node),
                        Outcome::Nothing => {
                            tokio::time::sleep(LEAST.saturating_sub(begun.elapsed())).await;
                        }
                        Outcome::Misfit => retry::pause(0..1000).await,
                    }
                }
                Err(e) => {
                    connection = None;
                    self.report(&e, &mut was_lost);
                    if e.is_identity_refused() {
                        self.refused.notify_one();
                    }
                    match &e {
                        LinkError::Answer { .. } => retry::pause(UNUSABLE).await,
                        _ => retry::pause(RECONNECT).await,
                    }
                    self.targets.next();
                }
            }
        }
    }

    /// Reports a failure: the first one loudly.
    fn report(&self, e: &LinkError, was_lost: &mut bool) {
        match std::mem::replace(was_lost, true) {
            false => {
                tracing::warn!(error = %e, cause = ?e, "no spec from the control plane; what is in force stays");
            }
            true => tracing::debug!(error = %e, cause = ?e, "still no spec from a control plane"),
        }
    }

    async fn poll(&mut self, connection: &mut Option<Connection>) -> Result<Outcome, LinkError> {
        let open = match connection {
            Some(open) => open,
            None => {
                let tls = self.credentials.tls(REQUESTS)?;
                connection.insert(Connection::open(self.targets.current(), tls).await?)
            }
        };
        let query = self.feed.query(POLL_TIME.as_secs());
        let get = Connection::request(Method::GET, &path(&query)).header(INSTANCE, &self.instance);
        let asking = open.ask(get, Vec::new(), POLL_TIME, MAX_SPEC_BYTES);
        let answer = tokio::select! {
            answer = asking => answer?,
            () = self.feed.is_behind(&query) => {
                // The question that waits was about something older.
                *connection = None;
                self.feed.forget();
                return Ok(Outcome::Misfit);
            }
        };
        self.take(&answer)
    }

    fn take(&self, answer: &Answer) -> Result<Outcome, LinkError> {
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Outcome::Nothing);
        }
        let unusable = |reason: String| LinkError::Answer {
            address: self.targets.current().to_string(),
            reason,
        };
        let update = SpecUpdate::from_bytes(&answer.body).map_err(|e| unusable(e.to_string()))?;
        let (full, generation) = (update.full, update.spec.generation);
        match self.feed.take(update) {
            Ok(new) => {
                tracing::debug!(generation, full, new, "a spec was received");
                Ok(if new { Outcome::New } else { Outcome::Nothing })
            }
            // A whole one that does not fit itself is damaged.
            Err(e) if full => Err(unusable(e.to_string())),
            Err(e) => {
                tracing::warn!(error = %e, generation, "asking for the whole spec");
                Ok(Outcome::Misfit)
            }
        }
    }
}

/// Returns the path of a query. Digests are hexadecimal.
fn path(query: &SpecQuery) -> String {
    let SpecQuery {
        since,
        digest,
        wait,
    } = query;
    match digest {
        Some(digest) => format!("{SPEC}?since={since}&digest={digest}&wait={wait}"),
        None => format!("{SPEC}?since={since}&wait={wait}"),
    }
}
