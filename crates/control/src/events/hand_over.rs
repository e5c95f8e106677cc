//! Events that another control plane writes. They are kept for a while, because it may die
//! before it has written them.

use crate::control_planes::Side;
use domain::NodeId;
use std::{collections::VecDeque, time::Duration};
use store::NewEvent;
use tokio::time::Instant;

/// How long events are kept that another control plane writes: longer than its lease lasts
/// without a renewal.
const RETENTION: Duration = Duration::from_secs(20);
/// The most events that are kept; the oldest are dropped.
const MAX_WAITING: usize = 4_096;

#[derive(Debug)]
struct WaitingEvent {
    at: Instant,
    node: NodeId,
    event: NewEvent,
}

/// The events, the oldest first.
#[derive(Debug, Default)]
pub(super) struct HandOver(VecDeque<WaitingEvent>);

impl HandOver {
    pub(super) fn add(&mut self, node: NodeId, event: NewEvent) {
        if self.0.len() >= MAX_WAITING {
            self.0.pop_front();
        }
        let at = Instant::now();
        self.0.push_back(WaitingEvent { at, node, event });
    }

    /// Removes the events of nodes that are this control plane's, and returns those that no
    /// other one has surely written. Drops those that another one has had 20 s to write.
    pub(super) fn settle(&mut self, side: impl Fn(NodeId) -> Side) -> Vec<(NodeId, NewEvent)> {
        let mut taken = Vec::new();
        for kept in std::mem::take(&mut self.0) {
            match side(kept.node) {
                Side::Own { since } if since.is_none_or(|since| kept.at >= since) => {
                    taken.push((kept.node, kept.event));
                }
                Side::Own { .. } => {}
                Side::Other if kept.at.elapsed() > RETENTION => {}
                Side::Other | Side::Unknown => self.0.push_back(kept),
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Timestamp;

    const NODE: NodeId = NodeId(7);

    fn event(n: i64) -> NewEvent {
        NewEvent {
            at: Timestamp(n),
            tenant: None,
            kind: "drift.rules_gone".to_owned(),
            detail: String::new(),
        }
    }

    fn times(taken: Vec<(NodeId, NewEvent)>) -> Vec<i64> {
        taken.into_iter().map(|(_, event)| event.at.0).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_control_plane_writes_what_the_dead_one_may_not_have() {
        let mut kept = HandOver::default();
        for n in 0..60 {
            kept.add(NODE, event(n));
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(kept.settle(|_| Side::Other).is_empty());
        }
        let since = Instant::now() - Duration::from_secs(16);
        kept.add(NodeId(8), event(99));
        let side = |node| match node == NODE {
            true => Side::Own { since: Some(since) },
            false => Side::Other,
        };
        assert_eq!(times(kept.settle(side)), (44..60).collect::<Vec<_>>());
        assert!(kept.settle(side).is_empty(), "once");
        assert_eq!(times(kept.settle(|_| Side::Own { since: None })), [99]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_database_events_wait() {
        let mut kept = HandOver::default();
        kept.add(NODE, event(1));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert!(kept.settle(|_| Side::Unknown).is_empty());
        assert_eq!(times(kept.settle(|_| Side::Own { since: None })), [1]);
        for n in 0..10_000 {
            kept.add(NODE, event(n));
        }
        assert_eq!(kept.0.len(), MAX_WAITING);
    }
}
