//! What is known of the nodes: what the database remembers, with what each reported last.
//! It costs the same with a million tenants as with none.

use super::{
    Capacity,
    silence::{MAX_SILENCE_MILLIS, worker_problem},
};
use crate::inner::Inner;
use domain::{
    ErrorCode, Message, NodeId, NodeStanding, Problem, Slot, Timestamp, view::CapacityView,
};
use protocol::NodeState;
use std::collections::BTreeSet;
use store::{NodeRecord, StoreError};

/// A node.
#[derive(Debug)]
pub(crate) struct KnownNode {
    pub(crate) record: NodeRecord,
    /// Whether it is in this process.
    pub(crate) is_local: bool,
    /// Whether this control plane hears from it.
    pub(crate) reports: bool,
    pub(crate) capacity: Capacity,
    /// How many more tenants fit.
    pub(crate) view: CapacityView,
    pub(crate) state: NodeState,
}

impl KnownNode {
    /// Returns whether it gets a new tenant now. The store decides in the end.
    pub(crate) fn takes_tenants(&self) -> bool {
        self.is_open() && self.view.more > 0
    }

    /// Returns whether it gets new tenants while there is room.
    pub(crate) fn is_open(&self) -> bool {
        self.record.standing == NodeStanding::Open && self.reports
    }

    /// Returns the tenants that it has and the number that it can have in all.
    fn share(&self) -> (u64, u64) {
        let held = u64::from(self.record.tenants);
        (held, held.saturating_add(self.view.more.into()))
    }

    /// Returns its problems, the most severe first. That it is full is one where no other
    /// node takes tenants.
    pub(crate) fn problems(&self, now: Timestamp, are_others_open: bool) -> Vec<Problem> {
        let own = self.standing_problem(now);
        let reported = self.state.problems.iter();
        // The link may say the same of a worker that does not answer.
        let reported = reported.filter(|p| own.as_ref().is_none_or(|own| own.code != p.code));
        let mut problems: Vec<_> = own.iter().chain(reported).cloned().collect();
        let capacity = self.capacity.problems(&self.view).into_iter();
        let is_told = |p: &Problem| p.code != ErrorCode::NodeFull || !are_others_open;
        if self.record.standing == NodeStanding::Open {
            problems.extend(capacity.filter(is_told));
        }
        problems
    }

    /// Returns what is wrong with the node as a whole.
    fn standing_problem(&self, now: Timestamp) -> Option<Problem> {
        if self.record.is_worker() {
            return worker_problem(&self.record, now);
        }
        let is_offline = !self.is_local && self.record.tenants > 0;
        is_offline.then_some(Problem {
            code: ErrorCode::NodeUnreachable,
            message: Message::NodeOffline,
        })
    }
}

impl Inner {
    /// Returns the nodes, by id: the local one, if this control plane has one or tenants
    /// are on it, and the workers.
    ///
    /// # Errors
    /// Returns the database's error.
    pub(crate) async fn known_nodes(&self) -> Result<Vec<KnownNode>, StoreError> {
        let records = self.store.nodes().await?.into_iter();
        let reporting: BTreeSet<_> = self.nodes.ids().into_iter().collect();
        let now = self.clock.now();
        let known = records.map(|record| self.known_node(record, &reporting, now));
        Ok(known
            .filter(|n| n.record.is_worker() || n.is_local || n.record.tenants > 0)
            .collect())
    }

    fn known_node(
        &self,
        record: NodeRecord,
        reporting: &BTreeSet<NodeId>,
        now: Timestamp,
    ) -> KnownNode {
        let node = record.id;
        let is_local = self.settings.local == Some(node);
        let is_heard = |at: Timestamp| now.millis_since(at) <= MAX_SILENCE_MILLIS;
        let reports = reporting.contains(&node)
            && (is_local || record.is_worker() && record.last_heard.is_some_and(is_heard));
        let capacity = self.capacity(node);
        let view = capacity.view(record.tenants, self.unassigned_slots(node));
        let state = self.nodes.node(node).unwrap_or_default();
        KnownNode {
            record,
            is_local,
            reports,
            capacity,
            view,
            state,
        }
    }

    /// Returns the number of a node's slots that no tenant holds and that none gets.
    fn unassigned_slots(&self, node: NodeId) -> u32 {
        let mut unusable = self.unusable_slots(node);
        if !unusable.is_empty() {
            let held: BTreeSet<Slot> = self.nodes.used_slots(node);
            unusable.retain(|slot| !held.contains(slot));
        }
        u32::try_from(unusable.len()).unwrap_or(u32::MAX)
    }
}

/// Returns the nodes that take a tenant, the emptiest first by the share of its room that
/// is taken.
pub(crate) fn by_share(mut nodes: Vec<KnownNode>) -> Vec<KnownNode> {
    nodes.retain(KnownNode::takes_tenants);
    nodes.sort_by(|a, b| {
        let ((a_held, a_all), (b_held, b_all)) = (a.share(), b.share());
        let shares = (a_held * b_all).cmp(&(b_held * a_all));
        // Of equals the larger one.
        shares.then(b_all.cmp(&a_all))
    });
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: i64, tenants: u32, more: u32) -> KnownNode {
        KnownNode {
            record: NodeRecord {
                id: NodeId(id),
                name: format!("w{id}"),
                host: None,
                standing: NodeStanding::Open,
                tenants,
                last_heard: Some(Timestamp(1_000_000)),
                version: None,
                certificate_expires: None,
            },
            is_local: false,
            reports: true,
            capacity: Capacity::new(None, None),
            view: CapacityView {
                more,
                ..CapacityView::default()
            },
            state: NodeState::default(),
        }
    }

    fn order(nodes: Vec<KnownNode>) -> Vec<i64> {
        by_share(nodes).into_iter().map(|n| n.record.id.0).collect()
    }

    #[test]
    fn the_emptiest_by_share_is_first() {
        // 50 of 100, 10 of 1,000, 1 of 4, none of 5.
        let nodes = vec![
            node(1, 50, 50),
            node(2, 10, 990),
            node(3, 1, 3),
            node(4, 0, 5),
        ];
        assert_eq!(order(nodes), [4, 2, 3, 1]);
        let equal = vec![node(1, 0, 5), node(2, 0, 500), node(3, 0, 500)];
        assert_eq!(
            order(equal),
            [2, 3, 1],
            "the larger one, then the older one"
        );
    }

    #[test]
    fn only_open_nodes_that_report_get_tenants() {
        let (mut closed, mut revoked, mut silent) = (node(1, 0, 9), node(2, 0, 9), node(3, 0, 9));
        closed.record.standing = NodeStanding::Closed;
        revoked.record.standing = NodeStanding::Revoked;
        silent.reports = false;
        let nodes = vec![closed, revoked, silent, node(4, 5, 0), node(5, 8, 1)];
        assert_eq!(order(nodes), [5]);
    }

    #[test]
    fn a_full_node_among_others_is_no_problem() {
        let mut full = node(2, 5, 0);
        full.view.slots_free = 900;
        let now = Timestamp(1_000_000);
        assert_eq!(full.problems(now, true), []);
        assert_eq!(full.problems(now, false)[0].code, ErrorCode::NodeFull);
        full.record.standing = NodeStanding::Closed;
        assert_eq!(full.problems(now, false), [], "the operator closed it");
    }
}
