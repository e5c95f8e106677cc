//! The poll loop: asks a control plane for the spec, waits for a change, and asks again.
//! It never gives up, and what it has received stays whatever happens.

use super::{
    address::ControlPlane,
    control_planes::{ControlPlanes, Cursor},
    credentials::Credentials,
    error::LinkError,
    feed::RemoteFeed,
    requests::{Answer, Connection},
    retry::{self, MOVE, RECONNECT},
    wakes::Wakes,
};
use domain::NodeId;
use http::{Method, StatusCode};
use protocol::{
    Nodes,
    wire::{INSTANCE, MAX_SPEC_BYTES, POLL_TIME, REQUESTS, SPEC, SpecQuery, SpecUpdate},
};
use std::{future, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// An answer that says nothing new takes at least this long; a control plane that answers
/// at once all the time is asked no more often.
const LEAST: Duration = Duration::from_secs(1);
/// Before a spec that cannot be used is asked for again, in milliseconds.
const UNUSABLE: std::ops::Range<u64> = 5000..30_000;
/// How long a question is left alone after it was asked: its answer may be on its way.
/// Doubled each time that a question was asked again in vain.
const PATIENCE: Duration = Duration::from_millis(250);
const MAX_PATIENCE: Duration = Duration::from_secs(8);
/// A nudge of the control plane that got the question so recently was sent before that.
const RECENT: Duration = Duration::from_secs(1);
/// How long the one that is asked may take to a new connection where it may be gone, or
/// another one has something new.
const HURRIED_DIAL: Duration = Duration::from_secs(2);

/// What the loop is made of.
pub(super) struct PollParts {
    pub node: NodeId,
    pub credentials: Arc<Credentials>,
    pub control_planes: Arc<ControlPlanes>,
    pub wakes: Arc<Wakes>,
    pub feed: Arc<RemoteFeed>,
    pub nodes: Arc<dyn Nodes>,
    /// What this process calls itself.
    pub instance: String,
    /// Wakes the renewal of the certificate.
    pub refused: Arc<Notify>,
}

/// What the loop works with.
pub(super) struct Poller {
    parts: PollParts,
    cursor: Cursor,
    wakes: watch::Receiver<Option<ControlPlane>>,
    renewals: watch::Receiver<u64>,
    connection: Option<Connection>,
    patience: Duration,
    /// What ended the last question before its answer, as in [`GaveUp::Woken`].
    woken: Option<Option<ControlPlane>>,
}

/// What an answer brought.
enum Outcome {
    New,
    Nothing,
    /// The next query asks for everything.
    Misfit,
    /// There was no answer yet: the question is asked again at once.
    Woken,
}

/// Why a question is not waited for any longer.
enum GaveUp {
    /// There is something that it did not ask about.
    Behind,
    /// A nudge by this control plane, or a loss.
    Woken(Option<ControlPlane>),
}

impl Poller {
    pub fn new(parts: PollParts) -> Self {
        Self {
            cursor: Cursor::new(parts.control_planes.clone()),
            wakes: parts.wakes.subscribe(),
            renewals: parts.credentials.renewals(),
            parts,
            connection: None,
            patience: PATIENCE,
            woken: None,
        }
    }

    /// Polls forever.
    pub async fn run(mut self) {
        let mut was_lost = false;
        loop {
            let begun = Instant::now();
            match self.poll().await {
                Ok(Outcome::Woken) => {}
                Ok(outcome) => {
                    self.cursor.note_success();
                    if std::mem::take(&mut was_lost) {
                        tracing::info!(control_plane = %self.cursor.current(), "the control plane answers again");
                    }
                    match outcome {
                        Outcome::New => self.parts.nodes.nudge(self.parts.node),
                        Outcome::Misfit => retry::pause(0..1000).await,
                        Outcome::Nothing | Outcome::Woken => self.rest(begun).await,
                    }
                }
                // The certificate that was refused is the former one.
                Err(e) if e.is_identity_refused() && self.is_renewed() => {
                    self.connection = None;
                }
                Err(e) => {
                    self.connection = None;
                    self.report(&e, &mut was_lost);
                    if e.is_identity_refused() {
                        self.parts.refused.notify_one();
                    }
                    match &e {
                        LinkError::Answer { .. } => retry::pause(UNUSABLE).await,
                        _ if self.cursor.has_other() => retry::pause(MOVE).await,
                        _ => retry::pause(RECONNECT).await,
                    }
                    self.cursor.next();
                    self.parts.control_planes.set_asked(self.cursor.current());
                }
            }
        }
    }

    /// Returns whether the certificate was renewed since the connection was made.
    fn is_renewed(&self) -> bool {
        // The sender is in `parts`.
        self.renewals.has_changed().unwrap_or(false)
    }

    /// Waits until an answer that said nothing has taken long enough.
    async fn rest(&mut self, begun: Instant) {
        tokio::select! {
            () = tokio::time::sleep_until(begun + LEAST) => {}
            // The sender is in `parts`. What is said meanwhile is asked about at once.
            _ = self.wakes.changed() => {}
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

    /// Connects to the one that is asked. If a question was ended early and that one does not
    /// answer soon, connects to the one that nudged.
    async fn connect(&mut self) -> Result<Connection, LinkError> {
        self.renewals.mark_unchanged();
        let tls = self.parts.credentials.tls(REQUESTS)?;
        let current = self.cursor.current().clone();
        let Some(by) = self.woken.take() else {
            return Connection::open(&current, tls).await;
        };
        let by = by.filter(|by| *by != current);
        if by.is_none() && !self.cursor.has_other() {
            return Connection::open(&current, tls).await;
        }
        let opening = Connection::open(&current, tls.clone());
        let opened = match tokio::time::timeout(HURRIED_DIAL, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(LinkError::Silent {
                address: current.to_string(),
            }),
        };
        let (Err(_), Some(by)) = (&opened, by) else {
            return opened;
        };
        tracing::info!(control_plane = %by, from = %current, "another control plane is asked: it has something new");
        self.cursor.go_to(by);
        self.parts.control_planes.set_asked(self.cursor.current());
        Connection::open(self.cursor.current(), tls).await
    }

    async fn poll(&mut self) -> Result<Outcome, LinkError> {
        let mut open = match self.connection.take() {
            Some(open) if !self.is_renewed() => open,
            _ => self.connect().await?,
        };
        // What was said until now is answered by this question.
        self.wakes.mark_unchanged();
        let query = self.parts.feed.query(POLL_TIME.as_secs());
        let get = Connection::request(Method::GET, &path(&query));
        let get = get.header(INSTANCE, &self.parts.instance);
        // One for everything is answered at once, as soon as that is written.
        let can_wait = query.digest.is_some();
        let (feed, wakes) = (&self.parts.feed, &mut self.wakes);
        let (current, patience) = (self.cursor.current(), self.patience);
        let give_up = async {
            tokio::select! {
                () = feed.is_behind(&query) => GaveUp::Behind,
                by = woken(wakes, current, patience), if can_wait => GaveUp::Woken(by),
            }
        };
        let asking = open.ask_unless(get, POLL_TIME, MAX_SPEC_BYTES, give_up);
        match asking.await? {
            Ok(answer) => {
                self.connection = Some(open);
                self.patience = PATIENCE;
                self.parts.control_planes.learn(&answer.control_planes);
                self.take(&answer)
            }
            Err(GaveUp::Behind) => {
                self.parts.feed.forget();
                Ok(Outcome::Misfit)
            }
            Err(GaveUp::Woken(by)) => {
                self.patience = (self.patience * 2).min(MAX_PATIENCE);
                self.woken = Some(by);
                Ok(Outcome::Woken)
            }
        }
    }

    fn take(&self, answer: &Answer) -> Result<Outcome, LinkError> {
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Outcome::Nothing);
        }
        let unusable = |reason: String| LinkError::Answer {
            address: self.cursor.current().to_string(),
            reason,
        };
        let update = SpecUpdate::from_bytes(&answer.body).map_err(|e| unusable(e.to_string()))?;
        let (full, generation) = (update.full, update.spec.generation);
        match self.parts.feed.take(update) {
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

/// Waits until a question that was asked just now is to be asked again. Returns the one that
/// nudged; `None` if the one that is asked may be gone.
async fn woken(
    wakes: &mut watch::Receiver<Option<ControlPlane>>,
    current: &ControlPlane,
    patience: Duration,
) -> Option<ControlPlane> {
    let asked = Instant::now();
    while wakes.changed().await.is_ok() {
        let by = wakes.borrow_and_update().clone();
        let is_answered = by.as_ref() == Some(current) && asked.elapsed() < RECENT;
        if !is_answered {
            tokio::time::sleep_until(asked + patience).await;
            return by;
        }
    }
    // The sender is gone, and the process with it.
    future::pending().await
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
