//! What workers report of what has happened, for every reader. A reader that is too slow
//! learns for each node how much it missed.

use domain::NodeId;
use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::{EventKind, Reported};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// The most events that wait for a reader.
const CAPACITY: usize = 1024;

struct Reader {
    events: mpsc::Sender<Reported>,
    missed: BTreeMap<NodeId, u64>,
}

impl Reader {
    /// Reports what was missed, as far as there is room. Returns whether the reader is
    /// still there.
    fn report_missed(&mut self) -> bool {
        while let Some((&node, &count)) = self.missed.first_key_value() {
            match self.events.try_send(Reported::Missed { node, count }) {
                Ok(()) => drop(self.missed.pop_first()),
                Err(mpsc::error::TrySendError::Full(_)) => return true,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        !self.events.is_closed()
    }
}

/// The readers of events.
#[derive(Default)]
pub(super) struct Events(Mutex<Vec<Reader>>);

impl Events {
    fn lock(&self) -> MutexGuard<'_, Vec<Reader>> {
        // Every change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Yields every event from now on.
    pub fn subscribe(&self) -> BoxStream<'static, Reported> {
        let (events, receiver) = mpsc::channel(CAPACITY);
        let missed = BTreeMap::new();
        self.lock().push(Reader { events, missed });
        stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|event| (event, receiver))
        })
        .boxed()
    }

    /// Reports an event of a node.
    pub fn report(&self, node: NodeId, event: EventKind) {
        self.lock().retain_mut(|reader| {
            let is_there = reader.report_missed();
            let reported = Reported::Event {
                node,
                event: event.clone(),
            };
            if is_there && (!reader.missed.is_empty() || reader.events.try_send(reported).is_err())
            {
                *reader.missed.entry(node).or_default() += 1;
            }
            is_there
        });
    }

    /// Reports that so many events of a node were lost.
    pub fn report_lost(&self, node: NodeId, count: u64) {
        self.lock().retain_mut(|reader| {
            if count > 0 {
                let missed = reader.missed.entry(node).or_default();
                *missed = missed.saturating_add(count);
            }
            reader.report_missed()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const EVENT: EventKind = EventKind::EventsLost { count: 1 };

    #[tokio::test]
    async fn a_slow_reader_learns_what_it_missed_of_which_node() {
        let events = Events::default();
        let mut reader = events.subscribe();
        drop(events.subscribe());
        (0..CAPACITY).for_each(|_| events.report(NodeId(2), EVENT));
        (0..3).for_each(|_| events.report(NodeId(2), EVENT));
        events.report(NodeId(3), EVENT);
        for _ in 0..CAPACITY {
            let reported = reader.next().await.unwrap();
            assert!(matches!(reported, Reported::Event { node, .. } if node == NodeId(2)));
        }
        events.report_lost(NodeId(3), 0);
        let missed = |node, count| Some(Reported::Missed { node, count });
        assert_eq!(reader.next().await, missed(NodeId(2), 3));
        assert_eq!(reader.next().await, missed(NodeId(3), 1));
        assert!(reader.next().now_or_never().is_none());
        assert_eq!(events.lock().len(), 1);
    }
}
