//! What has happened on this node, until each control plane was sent it: what happens
//! while none is connected is sent to the next one that is.

use domain::NodeId;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use protocol::{Reported, wire::SILENCE};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::watch, time::Instant};

/// The most events that wait. Of older ones, a control plane is sent the number.
const CAPACITY: usize = 1_000;

/// The last events, each with a number from 0.
#[derive(Default)]
struct Recorded {
    events: VecDeque<Reported>,
    /// The number of the first of them.
    first: u64,
    /// What each control plane was sent, by its address.
    readers: BTreeMap<String, Position>,
}

/// How far a control plane has come.
#[derive(Default)]
struct Position {
    /// The number of its next event.
    next: u64,
    /// The numbers of what it was sent lately.
    lately: VecDeque<(Instant, u64)>,
}

impl Recorded {
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Returns the next event of a control plane. One that was not connected before begins
    /// with what no other was sent.
    fn next(&mut self, node: NodeId, reader: &str) -> Option<Reported> {
        let begin = self.readers.values().map(|p| p.next).max().unwrap_or(0);
        let (first, end) = (self.first, self.end());
        if !self.readers.contains_key(reader) {
            let position = Position {
                next: begin,
                lately: VecDeque::new(),
            };
            self.readers.insert(reader.to_owned(), position);
        }
        let position = self.readers.get_mut(reader)?;
        let lost = first.saturating_sub(position.next);
        if lost > 0 {
            position.next = first;
            return Some(Reported::Missed { node, count: lost });
        }
        if position.next >= end {
            return None;
        }
        let index = usize::try_from(position.next - first).ok()?;
        let event = self.events.get(index)?.clone();
        let now = Instant::now();
        position
            .lately
            .retain(|(at, _)| now.duration_since(*at) < SILENCE);
        position.lately.push_back((now, position.next));
        position.next += 1;
        Some(event)
    }
}

/// See the module.
pub(super) struct EventLog {
    node: NodeId,
    recorded: Mutex<Recorded>,
    /// The number of events that were recorded.
    end: watch::Sender<u64>,
}

impl EventLog {
    /// Creates the log of a node, which is empty.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            recorded: Mutex::default(),
            end: watch::Sender::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        // Every change is complete before anything can panic.
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records events for as long as there are any.
    pub async fn record(self: Arc<Self>, mut events: BoxStream<'static, Reported>) {
        while let Some(reported) = events.next().await {
            let end = {
                let mut recorded = self.lock();
                recorded.events.push_back(reported);
                if recorded.events.len() > CAPACITY {
                    recorded.events.pop_front();
                    recorded.first += 1;
                }
                recorded.end()
            };
            self.end.send_replace(end);
        }
    }

    /// Yields what the control plane at an address was not sent yet, and from then on what
    /// happens.
    pub fn read(self: &Arc<Self>, reader: &str) -> BoxStream<'static, Reported> {
        let state = (self.clone(), reader.to_owned(), self.end.subscribe());
        stream::unfold(state, async |(log, reader, mut end)| {
            loop {
                end.mark_unchanged();
                let next = log.lock().next(log.node, &reader);
                if let Some(event) = next {
                    return Some((event, (log, reader, end)));
                }
                end.changed().await.ok()?;
            }
        })
        .boxed()
    }

    /// Notes that the control plane at an address has fallen silent: what it was sent since
    /// it was heard last may not have arrived and is sent again.
    pub fn was_silent(&self, reader: &str) {
        let mut recorded = self.lock();
        let Some(position) = recorded.readers.get_mut(reader) else {
            return;
        };
        let now = Instant::now();
        let mut lately = std::mem::take(&mut position.lately).into_iter();
        let unheard = lately.find(|(at, _)| now.duration_since(*at) < SILENCE);
        if let Some((_, number)) = unheard {
            position.next = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use protocol::EventKind;
    use std::time::Duration;
    use tokio::sync::mpsc;

    const NODE: NodeId = NodeId(3);

    fn event(count: u64) -> Reported {
        let event = EventKind::EventsLost { count };
        Reported::Event { node: NODE, event }
    }

    /// A log, and what records an event in it.
    struct Rig(Arc<EventLog>, mpsc::UnboundedSender<Reported>);

    impl Rig {
        fn new() -> Self {
            let log = Arc::new(EventLog::new(NODE));
            let (sender, receiver) = mpsc::unbounded_channel();
            let events = stream::unfold(receiver, async |mut receiver| {
                receiver.recv().await.map(|event| (event, receiver))
            });
            tokio::spawn(log.clone().record(events.boxed()));
            Self(log, sender)
        }

        async fn happen(&self, counts: std::ops::Range<u64>) {
            counts.for_each(|count| self.1.send(event(count)).unwrap());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn all(stream: &mut BoxStream<'static, Reported>) -> Vec<Reported> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
    }

    fn events(counts: std::ops::Range<u64>) -> Vec<Reported> {
        counts.map(event).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_meanwhile_is_sent_to_the_next_that_connects() {
        let rig = Rig::new();
        rig.happen(0..2).await;
        let mut first = rig.0.read("a");
        assert_eq!(all(&mut first), events(0..2));
        rig.happen(2..3).await;
        assert_eq!(all(&mut first), events(2..3));
        drop(first);
        rig.happen(3..5).await;
        // Another one, which was sent nothing, begins with what no other was sent.
        let (mut other, mut again) = (rig.0.read("b"), rig.0.read("a"));
        assert_eq!(all(&mut other), events(3..5));
        assert_eq!(all(&mut again), events(3..5));
        rig.happen(5..6).await;
        assert_eq!(
            (all(&mut other), all(&mut again)),
            (events(5..6), events(5..6))
        );
        // One that was away is sent what another has.
        drop(again);
        rig.happen(6..7).await;
        assert_eq!(all(&mut other), events(6..7));
        assert_eq!(all(&mut rig.0.read("a")), events(6..7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_not_have_arrived_is_sent_again() {
        let rig = Rig::new();
        let mut reader = rig.0.read("a");
        rig.happen(0..2).await;
        assert_eq!(all(&mut reader), events(0..2));
        tokio::time::sleep(SILENCE).await;
        rig.happen(2..4).await;
        assert_eq!(all(&mut reader), events(2..4));
        drop(reader);
        rig.0.was_silent("a");
        assert_eq!(all(&mut rig.0.read("a")), events(2..4));
        tokio::time::sleep(SILENCE).await;
        rig.0.was_silent("a");
        rig.0.was_silent("unknown");
        assert_eq!(all(&mut rig.0.read("a")), []);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_are_a_number() {
        let rig = Rig::new();
        let many = CAPACITY as u64 + 3;
        rig.happen(0..many).await;
        let all = all(&mut rig.0.read("a"));
        let missed = Reported::Missed {
            node: NODE,
            count: 3,
        };
        assert_eq!((&all[0], &all[1]), (&missed, &event(3)));
        assert_eq!(all.len(), CAPACITY + 1);
    }
}
